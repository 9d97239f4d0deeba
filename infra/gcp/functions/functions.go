// Package functions runs hito's handlers on Cloud Run functions: an http.Handler
// behind a URL (HTTP), a stream.Handler behind Pub/Sub push subscriptions and
// Cloud Scheduler (Push). Both are plain http.Handlers for Google's Functions
// Framework, with nothing of a request outside of it: an instance has 80 at a
// time, and more.
package functions

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/hitolayer/hito/infra/gcp/cloudlogging"
)

// early returns a context that ends margin before ctx does, so that there is
// time left to settle and answer; of a short time, a quarter of it.
func early(ctx context.Context, margin time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(margin, time.Until(deadline)/4)))
}

// settling returns a context that ends in time to answer, but not because whoever
// called is gone: what has happened is booked all the same, since some of it
// happens only once. Of a ctx without an end it ends after most.
func settling(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(most)
	}
	left := min(answerMargin, time.Until(deadline)/4)
	return context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(-left))
}

// logger returns log, or else the default.
func logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.Default()
	}
	return log
}

// answerMargin is kept for the answer, whatever hangs.
const answerMargin = 200 * time.Millisecond

// traced returns r with a context that ends margin before Cloud Run ends the
// request, and whose logs belong to its trace.
func traced(r *http.Request, project string, timeout, margin time.Duration) (*http.Request, context.CancelFunc) {
	ctx := cloudlogging.WithTrace(r.Context(), project, r.Header.Get("Traceparent"))
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(timeout, 60*time.Second))
	ctx, end := early(ctx, margin)
	return r.WithContext(ctx), func() { end(); cancel() }
}

// HTTP serves an http.Handler. One that panics is answered for with 500.
type HTTP struct {
	// Handler serves. A request's context ends Margin before Timeout.
	Handler http.Handler
	// Before, if set, is called as every request begins.
	Before func(context.Context)
	// Timeout is how long Cloud Run lets a request take, 60 s when 0.
	Timeout time.Duration
	// Margin is the time kept for answering, 500 ms when 0.
	Margin time.Duration
	// Project is Google's, which traces belong to.
	Project string
	// Log is told of panics; nil is slog.Default().
	Log *slog.Logger
}

// ServeHTTP implements http.Handler.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, cancel := traced(r, h.Project, h.Timeout, cmp.Or(h.Margin, 500*time.Millisecond))
	defer cancel()
	if h.Before != nil {
		h.Before(r.Context())
	}
	a := &answer{ResponseWriter: w}
	defer recovered(a, r, h.Log)
	h.Handler.ServeHTTP(a, r)
}

// recovered answers for a handler that panicked, unless it has answered itself.
// It is to be deferred.
func recovered(a *answer, r *http.Request, log *slog.Logger) {
	p := recover()
	if p == nil {
		return
	}
	if p != http.ErrAbortHandler {
		logger(log).ErrorContext(r.Context(), "a handler panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	}
	if a.begun {
		panic(http.ErrAbortHandler) // what was sent is not whole
	}
	clear(a.Header())
	a.Header().Set("Content-Type", "application/json")
	a.WriteHeader(http.StatusInternalServerError)
	_, _ = a.Write([]byte(`{"success":false,"error":{"code":"internal","message":"the server failed"}}`))
}

// answer knows whether an answer has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(data []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(data)
}

// FlushError is for http.ResponseController.
func (a *answer) FlushError() error {
	a.begun = true
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
