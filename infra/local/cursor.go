package local

import (
	"encoding/binary"
	"fmt"
	"time"
)

// cursor is how far a group has handled a partition: everything before the
// position but the parked records.
type cursor struct {
	position
	parked []parked
}

// parked is a record that failed and will be delivered again.
type parked struct {
	seq    uint64
	index  int
	failed int // how often it failed
	due    time.Time
}

// low returns the first chunk that is still needed.
func (c *cursor) low() uint64 {
	low := c.seq
	for _, p := range c.parked {
		low = min(low, p.seq)
	}
	return low
}

const cursorForm = 1

func (c *cursor) append(b []byte) []byte {
	b = append(b, cursorForm)
	b = binary.AppendUvarint(b, c.seq)
	b = binary.AppendUvarint(b, uint64(c.index))
	b = binary.AppendUvarint(b, c.records)
	b = binary.AppendUvarint(b, c.events)
	b = binary.AppendUvarint(b, uint64(len(c.parked)))
	for _, p := range c.parked {
		b = binary.AppendUvarint(b, p.seq)
		b = binary.AppendUvarint(b, uint64(p.index))
		b = binary.AppendUvarint(b, uint64(p.failed))
	}
	return b
}

func (c *cursor) read(b []byte) error {
	if len(b) == 0 || b[0] != cursorForm {
		return fmt.Errorf("local: cursor %x has a form this build cannot read: run a newer build", b)
	}
	in := chunkReader{data: b[1:]}
	*c = cursor{position: position{seq: in.uvarint(), index: int(in.uvarint()), records: in.uvarint(), events: in.uvarint()}}
	for n := in.uvarint(); n > 0 && !in.bad; n-- {
		c.parked = append(c.parked, parked{seq: in.uvarint(), index: int(in.uvarint()), failed: int(in.uvarint())})
	}
	if in.bad {
		return fmt.Errorf("local: cursor %x is cut short", b)
	}
	return nil
}
