package beacon

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/klauspost/compress/gzip"

	"github.com/hitolayer/hito/shared/event"
)

const (
	// minBuffer is what a body's buffer begins with, in bytes: a client that
	// announces much and sends little must not hold more.
	minBuffer = 4 << 10
	// bufferSizes is how many sizes there are, each twice the one before: the
	// last holds event.MaxBatchSize and the byte after it.
	bufferSizes = 8
)

// defaultMaxBodies is MaxBodies when nothing is said, in bytes.
const defaultMaxBodies = 64 << 20

// buffers lends memory to bodies and counts what is lent.
type buffers struct {
	lent  atomic.Int64
	pools [bufferSizes]sync.Pool // of *byte, by size; the collector empties them
}

// take returns an empty buffer; nil when more than limit would be lent.
func (b *buffers) take(size int, limit int64) []byte {
	n := minBuffer << size
	if b.lent.Add(int64(n)) > limit {
		b.lent.Add(-int64(n))
		return nil
	}
	if p, ok := b.pools[size].Get().(*byte); ok {
		return unsafe.Slice(p, n)[:0]
	}
	return make([]byte, 0, n)
}

func (b *buffers) give(buffer []byte, size int) {
	b.pools[size].Put(unsafe.SliceData(buffer))
	b.lent.Add(-int64(minBuffer << size))
}

// body is one request's body. It holds borrowed memory until free.
type body struct {
	buffers        *buffers
	limit          int64
	wire, inflated piece
}

// piece is a buffer that grows by being exchanged for the next size.
type piece struct {
	data []byte // nil when nothing is borrowed
	size int
}

func (b *body) free() {
	for _, p := range [...]*piece{&b.wire, &b.inflated} {
		if p.data != nil {
			b.buffers.give(p.data, p.size)
			p.data = nil
		}
	}
}

// read reads the request's body as it came.
func (b *body) read(r *http.Request) error {
	if r.ContentLength > event.MaxBatchSize {
		return errTooLarge
	}
	err := b.fill(&b.wire, r.Body)
	if err != nil && r.Context().Err() != nil {
		return errBusy
	}
	return err
}

// inflate returns the body, inflated if it is gzip. Neither Content-Type nor
// Content-Encoding is believed: the bytes say what they are.
func (b *body) inflate(z *gzip.Reader) ([]byte, error) {
	if !isGzip(b.wire.data) {
		return b.wire.data, nil
	}
	if err := z.Reset(bytes.NewReader(b.wire.data)); err != nil {
		return nil, errBody
	}
	err := b.fill(&b.inflated, z)
	return b.inflated.data, err
}

// isGzip knows gzip's magic number and its only method (RFC 1952), with which
// no JSON begins.
func isGzip(body []byte) bool {
	return len(body) > 2 && body[0] == 0x1f && body[1] == 0x8b && body[2] == 8
}

// fill reads all of r, of which event.MaxBatchSize bytes are taken. Memory
// grows with what has come, never with what was announced.
func (b *body) fill(p *piece, r io.Reader) error {
	if p.data = b.buffers.take(0, b.limit); p.data == nil {
		return errCrowded
	}
	for {
		if len(p.data) == cap(p.data) {
			larger := b.buffers.take(p.size+1, b.limit)
			if larger == nil {
				return errCrowded
			}
			larger = append(larger, p.data...)
			b.buffers.give(p.data, p.size)
			p.data, p.size = larger, p.size+1
		}
		n, err := r.Read(p.data[len(p.data):cap(p.data)])
		p.data = p.data[:len(p.data)+n]
		switch {
		case len(p.data) > event.MaxBatchSize:
			return errTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return errTooLarge
			}
			return errBody
		}
	}
}

// maxDrain bounds what is read of a body nobody wants, in bytes.
const maxDrain = 2 << 20

// drain reads what is left of the body, so that the connection can carry the
// next request; one with too much left is closed.
func drain(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil {
		return
	}
	if n, err := io.CopyN(io.Discard, r.Body, maxDrain); n == maxDrain || err != nil && err != io.EOF {
		w.Header().Set("Connection", "close")
	}
}
