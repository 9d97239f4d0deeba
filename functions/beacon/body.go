package beacon

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/hitolayer/hito/shared/event"
)

// read returns the request's body, inflated. Neither Content-Type nor
// Content-Encoding is believed: the bytes say whether they are gzip.
func (rq *request) read(r *http.Request) ([]byte, error) {
	if r.ContentLength > event.MaxBatchSize {
		return nil, errTooLarge
	}
	wire, err := readAll(rq.wire[:0], r.Body, int(max(r.ContentLength, 0)))
	rq.wire, rq.wireBytes = wire, len(wire)
	if err != nil {
		if r.Context().Err() != nil {
			return nil, errBusy
		}
		return nil, err
	}
	return rq.inflate(wire)
}

// inflate returns body, inflated if it is gzip.
func (rq *request) inflate(body []byte) ([]byte, error) {
	if !isGzip(body) {
		return body, nil
	}
	if err := rq.gzip.Reset(bytes.NewReader(body)); err != nil {
		return nil, errBody
	}
	inflated, err := readAll(rq.inflated[:0], &rq.gzip, 0)
	rq.inflated = inflated
	return inflated, err
}

// isGzip knows gzip's magic number and its only method (RFC 1952), with which
// no JSON begins.
func isGzip(body []byte) bool {
	return len(body) > 2 && body[0] == 0x1f && body[1] == 0x8b && body[2] == 8
}

// readAll appends all of r to dst, which may get event.MaxBatchSize bytes long.
func readAll(dst []byte, r io.Reader, expected int) ([]byte, error) {
	dst = slices.Grow(dst, max(expected, bytes.MinRead)+1) // one more to see the end
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, len(dst))
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > event.MaxBatchSize:
			return dst, errTooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return dst, errTooLarge
			}
			return dst, errBody
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
