package local

import (
	"encoding/binary"
	"fmt"

	"github.com/hitolayer/hito/shared/stream"
)

// A chunk is a run of one partition's records, stored as one value.
//
//	form(1) appended(8) firstRecord(8) firstEvent(8) records(4) events(4) record…
//	record = project key events time data
//
// Numbers of the header are little endian; appended is when the chunk was
// written, Unix milliseconds; firstRecord and firstEvent count the partition's
// records and events before the chunk. In a record, project and data are a
// varint length and bytes (project length 0: as the record before; else length
// plus one), events a varint, and time a varint difference to the record before.
const (
	chunkForm   = 1
	chunkHeader = 1 + 8 + 8 + 8 + 4 + 4
)

// chunkBuilder encodes one chunk. It is a value, so that a copy is a savepoint.
type chunkBuilder struct {
	buf             []byte
	records, events int
	project         string
	time            int64
}

func (b *chunkBuilder) add(r *stream.Record) {
	if b.buf == nil {
		b.buf = make([]byte, chunkHeader, max(4096, 2*chunkHeader+len(r.Data)+len(r.Key)))
	}
	buf := b.buf
	if b.records > 0 && r.Project == b.project {
		buf = append(buf, 0)
	} else {
		buf = binary.AppendUvarint(buf, uint64(len(r.Project))+1)
		buf = append(buf, r.Project...)
		b.project = r.Project
	}
	buf = binary.AppendUvarint(buf, uint64(len(r.Key)))
	buf = append(buf, r.Key...)
	buf = binary.AppendUvarint(buf, uint64(max(r.Events, 0)))
	buf = binary.AppendVarint(buf, r.Time-b.time)
	buf = binary.AppendUvarint(buf, uint64(len(r.Data)))
	b.buf = append(buf, r.Data...)
	b.time = r.Time
	b.records++
	b.events += max(r.Events, 0)
}

// finish writes the header and returns the chunk.
func (b *chunkBuilder) finish(appended int64, firstRecord, firstEvent uint64) []byte {
	h := b.buf[:chunkHeader]
	h[0] = chunkForm
	binary.LittleEndian.PutUint64(h[1:], uint64(appended))
	binary.LittleEndian.PutUint64(h[9:], firstRecord)
	binary.LittleEndian.PutUint64(h[17:], firstEvent)
	binary.LittleEndian.PutUint32(h[25:], uint32(b.records))
	binary.LittleEndian.PutUint32(h[29:], uint32(b.events))
	return b.buf
}

// chunk is a stored chunk and its place in the partition.
type chunk struct {
	seq  uint64
	data []byte
}

func (c chunk) check() error {
	if len(c.data) < chunkHeader || c.data[0] != chunkForm {
		return fmt.Errorf("local: chunk %d has an unknown form", c.seq)
	}
	return nil
}

func (c chunk) appended() int64     { return int64(binary.LittleEndian.Uint64(c.data[1:])) }
func (c chunk) firstRecord() uint64 { return binary.LittleEndian.Uint64(c.data[9:]) }
func (c chunk) firstEvent() uint64  { return binary.LittleEndian.Uint64(c.data[17:]) }
func (c chunk) records() int        { return int(binary.LittleEndian.Uint32(c.data[25:])) }
func (c chunk) events() int         { return int(binary.LittleEndian.Uint32(c.data[29:])) }

// decode appends the chunk's records to into. Their Data aliases the chunk.
func (c chunk) decode(into []stream.Record) ([]stream.Record, error) {
	if err := c.check(); err != nil {
		return into, err
	}
	in := chunkReader{data: c.data[chunkHeader:]}
	var last stream.Record
	for range c.records() {
		if n := in.uvarint(); n > 0 {
			last.Project = string(in.bytes(n - 1))
		}
		last.Key = string(in.bytes(in.uvarint()))
		last.Events = int(in.uvarint())
		last.Time += in.varint()
		last.Data = in.bytes(in.uvarint())
		if in.bad {
			return into, fmt.Errorf("local: chunk %d is cut short", c.seq)
		}
		into = append(into, last)
	}
	return into, nil
}

type chunkReader struct {
	data []byte
	bad  bool
}

func (r *chunkReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *chunkReader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *chunkReader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.bad = true
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}
