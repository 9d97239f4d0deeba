package lambda

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// HTTP runs an http.Handler behind a function URL or an API Gateway HTTP API,
// with payloads of format 2.0. A handler that panics is answered for with 500.
//
// It must not be copied after its first invocation.
type HTTP struct {
	// Handler serves. A request's context ends Margin before the invocation, so
	// that there is time to answer. RemoteAddr is who called the function's front,
	// with port 0, whatever headers say.
	Handler http.Handler
	// Before, if set, is called as every invocation begins.
	Before func(context.Context)
	// Log is told of panics; nil is slog.Default().
	Log *slog.Logger
	// Margin is the time kept for answering, 500 ms when 0.
	Margin time.Duration

	exchanges sync.Pool
}

// What Lambda takes and gives synchronously is 6 MB.
//
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxRequest  = 8 << 20 // with room for what grows in JSON
	maxResponse = 6 << 20
)

// exchange is the memory that one request and its response are worked in, reused
// by later ones.
type exchange struct {
	request  request
	response response
}

// Invoke takes one request. It fails only when the payload is none of format 2.0.
func (h *HTTP) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if h.Before != nil {
		h.Before(ctx)
	}
	x, ok := h.exchanges.Get().(*exchange)
	if !ok {
		x = &exchange{response: response{header: make(http.Header, 8)}}
	}
	defer func() {
		x.request.reset()
		x.response.reset()
		if cap(x.response.body) <= 256<<10 { // what a big one took is not kept for small ones
			h.exchanges.Put(x)
		}
	}()
	ctx, cancel := early(ctx, cmp.Or(h.Margin, 500*time.Millisecond))
	defer cancel()
	if len(payload) > maxRequest {
		return x.response.refuse(http.StatusRequestEntityTooLarge, "too_large", "a request may have 6 MB"), nil
	}
	if err := x.request.read(payload); err != nil {
		return nil, fmt.Errorf("read the request's payload: %w", err)
	}
	r, err := x.request.build(ctx)
	if err != nil {
		return x.response.refuse(http.StatusBadRequest, "unreadable_body", err.Error()), nil
	}
	if !h.serve(&x.response, r, x.request.id) {
		return x.response.refuse(http.StatusInternalServerError, "internal", "the server failed"), nil
	}
	answer := x.response.encode(r.Method == http.MethodHead)
	if len(answer) > maxResponse {
		logger(h.Log).ErrorContext(ctx, "an answer is larger than Lambda takes", "path", r.URL.Path, "bytes", len(answer))
		return x.response.refuse(http.StatusInternalServerError, "internal", "the answer is larger than 6 MB"), nil
	}
	return answer, nil
}

// serve reports whether the handler has come to its end.
func (h *HTTP) serve(w *response, r *http.Request, id []byte) (ok bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			logger(h.Log).ErrorContext(r.Context(), "a handler panicked", "method", r.Method, "path", r.URL.Path,
				"gateway_request", string(id), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	h.Handler.ServeHTTP(w, r)
	return true
}
