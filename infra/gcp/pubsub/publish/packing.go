package publish

import (
	"errors"
	"fmt"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// piece is a run of one call's records that travels in one message.
type piece struct {
	call     *call
	from, to int
	size     int // of a pack's payload, at most
}

// records returns how many there are in it.
func (w *piece) records() int { return w.to - w.from }

// cut makes pieces of a call's records, each as large as a message of packBytes carries.
func cut(c *call, packBytes int) (pieces []piece) {
	for i := range c.records {
		size := pack.Size(&c.records[i])
		if n := len(pieces); n > 0 && pieces[n-1].records() < maxPackRecords && pieces[n-1].size+size <= packBytes {
			pieces[n-1].to++
			pieces[n-1].size += size
		} else {
			pieces = append(pieces, piece{c, i, i + 1, size})
		}
	}
	return pieces
}

// together returns how many pieces, from the first, one message carries.
func together(pieces []piece, packBytes int) (n int) {
	for records, size := 0, 0; n < len(pieces); n++ {
		records += pieces[n].records()
		size += pieces[n].size
		if n > 0 && (records > maxPackRecords || size > packBytes) {
			break
		}
	}
	return n
}

// fits returns how many pieces, from the first, one request carries.
func fits(pieces []piece, packBytes, maxBytes int) (n int) {
	for messages, size := 0, 0; n < len(pieces) && messages < MaxMessages; messages++ {
		end := n + together(pieces[n:], packBytes)
		for i := range pieces[n:end] {
			size += pieces[n+i].size
		}
		if n > 0 && size > maxBytes {
			break
		}
		n = end
	}
	return n
}

// packed is one message, or why there can be none.
type packed struct {
	pieces  []piece
	message Message
	err     error
}

// packing is a worker's memory.
type packing struct {
	origin              string
	packBytes, maxBytes int
	records             []stream.Record
}

// ErrTooLarge says that a message would be larger than Pub/Sub takes.
var ErrTooLarge = errors.New("too large for a message")

// pack makes messages of pieces. The records are their callers' again when it returns.
func (k *packing) pack(pieces []piece) (packs []packed) {
	for len(pieces) > 0 {
		n := together(pieces, k.packBytes)
		packs = append(packs, k.message(pieces[:n]))
		pieces = pieces[n:]
	}
	return packs
}

// message makes a message. It fails when that is larger than Pub/Sub takes, which
// only a record that is alone in it can make it.
func (k *packing) message(pieces []piece) packed {
	records := pieces[0].call.records[pieces[0].from:pieces[0].to]
	if len(pieces) > 1 {
		k.records = k.records[:0]
		for i := range pieces {
			w := &pieces[i]
			k.records = append(k.records, w.call.records[w.from:w.to]...)
		}
		records = k.records
		defer clear(k.records)
	}
	data, attributes, err := message.Encode(k.origin, records)
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	case len(data) > k.maxBytes:
		err = fmt.Errorf("%w: %d bytes of data take %d bytes packed, at most %d may be", ErrTooLarge, len(records[0].Data), len(data), k.maxBytes)
	}
	for i := range pieces {
		pieces[i].call.reading.Done()
	}
	if err != nil {
		return packed{pieces: pieces, err: err}
	}
	return packed{pieces: pieces, message: Message{data, attributes}}
}
