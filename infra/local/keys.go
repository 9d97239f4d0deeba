package local

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/hitolayer/hito/shared/profile"
)

// The database's key space, one letter per kind of thing. A name inside a key
// is escaped (see appendName) so that whatever bytes it holds, the keys that
// share it form one contiguous range.
const (
	metaKind      = 'a' // name → form of the whole database
	cursorKind    = 'c' // stream, group, partition → cursor
	streamKind    = 'd' // stream → number of partitions
	fragmentKind  = 'f' // project, visitor → version, state
	entryIDKind   = 'i' // project, entry id → the entry's key
	minuteKind    = 'l' // project, minute → counts
	totalsKind    = 'm' // project → counts and people
	segmentKind   = 'n' // project, segment → size
	entryKind     = 'q' // project, time descending, entry id → entry
	arrivalKind   = 'r' // time of arrival, the entry's key → bytes of the entry
	chunkKind     = 's' // stream, partition, sequence → chunk
	escape        = 0x00
	escapedEscape = 0xff
	nameEnd       = 0x01
)

// appendName appends a name that ends where it ends: 00 becomes 00 ff, and 00 01 closes it.
func appendName(key []byte, name string) []byte {
	for i := range len(name) {
		key = append(key, name[i])
		if name[i] == escape {
			key = append(key, escapedEscape)
		}
	}
	return append(key, escape, nameEnd)
}

// cutName is appendName's inverse; rest is what follows.
func cutName(key []byte) (name string, rest []byte, err error) {
	var out []byte
	for i := 0; i+1 < len(key); i++ {
		if key[i] != escape {
			out = append(out, key[i])
			continue
		}
		i++
		if key[i] == nameEnd {
			return string(out), key[i+1:], nil
		}
		out = append(out, escape)
	}
	return "", nil, fmt.Errorf("local: key %q has no end of name", key)
}

func prefix(kind byte, names ...string) []byte {
	key := []byte{kind}
	for _, n := range names {
		key = appendName(key, n)
	}
	return key
}

// keyAfter returns the first key behind all that begin with prefix.
func keyAfter(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func fragmentKey(buf []byte, k profile.Key) []byte {
	buf = appendName(append(buf, fragmentKind), k.Project)
	return append(buf, k.Visitor...)
}

func minuteKey(project string, minute int64) []byte {
	return binary.BigEndian.AppendUint64(prefix(minuteKind, project), uint64(minute)^1<<63)
}

func partitionPrefix(stream string, partition int) []byte {
	return append(prefix(chunkKind, stream), byte(partition))
}

func chunkKey(buf, partition []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(buf, partition...), seq)
}

func cursorKey(stream, group string, partition int) []byte {
	return append(prefix(cursorKind, stream, group), byte(partition))
}
