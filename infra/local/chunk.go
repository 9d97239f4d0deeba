package local

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/hitolayer/hito/shared/stream"
)

// A chunk is a run of one partition's records, stored as one value.
//
//	form(1) packing(1) appended(8) firstRecord(8) firstEvent(8) records(4) events(4) body
//	body   = record…, as it is or S2-compressed
//	record = project key events time data
//
// Numbers of the header are little endian; appended is when the chunk was
// written, Unix milliseconds; firstRecord and firstEvent count the partition's
// records and events before the chunk. In a record, project and data are a
// varint length and bytes (project length 0: as the record before; else length
// plus one), events a varint, and time a varint difference to the record before.
const (
	chunkForm   = 1
	chunkHeader = 1 + 1 + 8 + 8 + 8 + 4 + 4

	plain  = 0
	packed = 1 // S2: the log, the tables and memory hold a quarter for 0.6 ns a byte
)

// packBytes is the least body that is worth packing.
const packBytes = 1 << 10

// chunkBuilder encodes one chunk. It is a value, so that a copy is a savepoint.
type chunkBuilder struct {
	body            []byte
	records, events int
	project         string
	time            int64
	sealed          []byte
	unpacked        []byte // what sealed packs, nil when it is plain
}

var bodies = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

func (b *chunkBuilder) add(r *stream.Record) {
	if b.body == nil {
		b.body = (*bodies.Get().(*[]byte))[:0]
	}
	body := b.body
	if b.records > 0 && r.Project == b.project {
		body = append(body, 0)
	} else {
		body = binary.AppendUvarint(body, uint64(len(r.Project))+1)
		body = append(body, r.Project...)
		b.project = r.Project
	}
	body = binary.AppendUvarint(body, uint64(len(r.Key)))
	body = append(body, r.Key...)
	body = binary.AppendUvarint(body, uint64(max(r.Events, 0)))
	body = binary.AppendVarint(body, r.Time-b.time)
	body = binary.AppendUvarint(body, uint64(len(r.Data)))
	b.body = append(body, r.Data...)
	b.time = r.Time
	b.records++
	b.events += max(r.Events, 0)
}

// seal ends the chunk: nothing can be added any more, and all but its place is encoded.
func (b *chunkBuilder) seal() {
	if b.sealed != nil {
		return
	}
	packing := byte(plain)
	body := b.body
	if len(body) >= packBytes {
		space := bodies.Get().(*[]byte)
		*space = slices.Grow((*space)[:0], s2.MaxEncodedLen(len(body)))
		defer bodies.Put(space)
		if p := s2.Encode((*space)[:cap(*space)], body); len(p) < len(body)*9/10 {
			b.unpacked = slices.Clone(body)
			packing, body = packed, p
		}
	}
	c := make([]byte, chunkHeader+len(body))
	c[0], c[1] = chunkForm, packing
	binary.LittleEndian.PutUint32(c[26:], uint32(b.records))
	binary.LittleEndian.PutUint32(c[30:], uint32(b.events))
	copy(c[chunkHeader:], body)
	if used := b.body; cap(used) <= 2*chunkBytes {
		bodies.Put(&used)
	}
	b.sealed, b.body, b.project = c, nil, ""
}

// place writes the chunk's place into its header and returns it.
func (b *chunkBuilder) place(appended int64, firstRecord, firstEvent uint64) []byte {
	binary.LittleEndian.PutUint64(b.sealed[2:], uint64(appended))
	binary.LittleEndian.PutUint64(b.sealed[10:], firstRecord)
	binary.LittleEndian.PutUint64(b.sealed[18:], firstEvent)
	return b.sealed
}

// chunk is a stored chunk and its place in the partition.
type chunk struct {
	seq  uint64
	data []byte
	// body is what data packs, while it is in memory: consumers that keep up
	// need not unpack it.
	body []byte
}

func (c chunk) check() error {
	if len(c.data) < chunkHeader || c.data[0] != chunkForm || c.data[1] > packed {
		return fmt.Errorf("local: chunk %d has a form this build cannot read: run a newer build", c.seq)
	}
	return nil
}

func (c chunk) appended() int64     { return int64(binary.LittleEndian.Uint64(c.data[2:])) }
func (c chunk) firstRecord() uint64 { return binary.LittleEndian.Uint64(c.data[10:]) }
func (c chunk) firstEvent() uint64  { return binary.LittleEndian.Uint64(c.data[18:]) }
func (c chunk) records() int        { return int(binary.LittleEndian.Uint32(c.data[26:])) }
func (c chunk) events() int         { return int(binary.LittleEndian.Uint32(c.data[30:])) }

// maxBody bounds what a damaged length makes the decoder allocate. A chunk
// holds one record or chunkBytes and a record.
const maxBody = 1 << 30

// decode appends the chunk's records to into. Their Data shares one piece of
// memory, which nobody may write to.
func (c chunk) decode(into []stream.Record) ([]stream.Record, error) {
	if err := c.check(); err != nil {
		return into, err
	}
	in := chunkReader{data: c.data[chunkHeader:]}
	if c.body != nil {
		in.data = c.body
	} else if c.data[1] == packed {
		n, err := s2.DecodedLen(in.data)
		if err == nil && n > maxBody {
			err = fmt.Errorf("%d bytes are too many", n)
		}
		if err == nil {
			in.data, err = s2.Decode(make([]byte, n), in.data)
		}
		if err != nil {
			return into, fmt.Errorf("local: unpack chunk %d: %w", c.seq, err)
		}
	}
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
