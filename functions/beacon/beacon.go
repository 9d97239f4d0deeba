// Package beacon is where events come in: Segment's tracking API over HTTP.
// A request is answered with 200 only after the raw stream has made its events
// durable.
package beacon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// Handler serves the write side of the API. Projects, Raw, Quarantine, Origin,
// Now and NewID are required; Telemetry and Log may be nil, TrustedProxies and
// MaxBodies 0. It must not be copied after its first request.
type Handler struct {
	// Projects finds the project of a write key.
	Projects project.Directory
	// Raw is the stream that accepted events go to.
	Raw stream.Publisher
	// Quarantine keeps events that cannot be accepted.
	Quarantine quarantine.Sink
	// Telemetry takes the measurements of each request; nil discards them.
	Telemetry telemetry.Sink
	// Origin names the cloud: "local", "aws" or "gcp".
	Origin string
	// Now is the clock.
	Now func() time.Time
	// NewID mints ids for events that came without, unique and at most event.MaxID
	// bytes. A hash of one is the receipt that all records of a request share.
	NewID func() string
	// Log is told what operators must know; nil is slog.Default().
	Log *slog.Logger
	// TrustedProxies is how many proxies stand before the handler, each adding the
	// address it was called from to X-Forwarded-For. With 0 the header is not
	// believed, and a client is who it connects as.
	TrustedProxies int
	// MaxBodies bounds the memory of all bodies being taken in at once, wire and
	// inflated bytes, in bytes; 0 is 64 MiB. It grows with what has come, and a
	// request that would exceed it gets 503. Less than 2 MiB refuses large batches.
	MaxBodies int64

	buffers    buffers
	requests   sync.Pool
	complained atomic.Int64 // Unix milliseconds
	failed     atomic.Int64 // since when nothing can be made durable, Unix milliseconds; 0 when it can
}

// The reasons, beside package event's, why a request is refused.
const (
	unknownKey       event.Reason = "unknown_key"
	notFound         event.Reason = "not_found"
	methodNotAllowed event.Reason = "method_not_allowed"
	unavailable      event.Reason = "unavailable"
	unreadable       event.Reason = "unreadable_body"
	duplicate        event.Reason = "duplicate"
)

// refusal is an answer other than 200.
type refusal struct {
	status  int
	code    event.Reason
	message string
}

func (r *refusal) Error() string { return r.message }

var (
	errKey      = &refusal{http.StatusUnauthorized, unknownKey, "the write key is missing or not known: send it as the Basic user name, X-Write-Key, writeKey or Bearer"}
	errPath     = &refusal{http.StatusNotFound, notFound, "no such path: see POST /v1/batch"}
	errMethod   = &refusal{http.StatusMethodNotAllowed, methodNotAllowed, "this path takes another method: see Allow"}
	errTooLarge = &refusal{http.StatusRequestEntityTooLarge, event.TooLarge, "a request may have 500 KB, inflated: send smaller batches"}
	errBody     = &refusal{http.StatusBadRequest, unreadable, "the body could not be read to its end"}
	errCrowded  = &refusal{http.StatusServiceUnavailable, unavailable, "too many requests are being read: send it again"}
	errBusy     = &refusal{http.StatusServiceUnavailable, unavailable, "the events could not be stored: send them again"}
)

// asRefusal returns the answer for an error in reading the request.
func asRefusal(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if e, ok := errors.AsType[*event.Error](err); ok {
		status := http.StatusBadRequest
		if e.Reason == event.TooLarge || e.Reason == event.TooManyEvents {
			status = http.StatusRequestEntityTooLarge
		}
		return &refusal{status, e.Reason, e.Detail}
	}
	return errBody
}

// route is what a path takes.
type route struct {
	serve   func(h *Handler, w http.ResponseWriter, r *http.Request, t event.Type)
	methods string
	t       event.Type
}

const (
	post = "POST, OPTIONS"
	get  = "GET, HEAD, OPTIONS"
	// HEAD asks for no event to be taken in.
	pixelGet = "GET, OPTIONS"
)

// find returns the route of a path; nil when there is none.
func find(path string) *route {
	if path == "/health" {
		return &route{serve: (*Handler).health, methods: get}
	}
	path, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return nil
	}
	path = strings.TrimSuffix(path, "/")
	if t, ok := event.ParseType(path); ok {
		return &typed[t]
	}
	switch path {
	case "batch", "b", "import":
		return &typed[event.Type_TYPE_UNSPECIFIED]
	case "t":
		return &typed[event.Type_TYPE_TRACK]
	case "p":
		return &typed[event.Type_TYPE_PAGE]
	case "s":
		return &typed[event.Type_TYPE_SCREEN]
	case "i":
		return &typed[event.Type_TYPE_IDENTIFY]
	case "g":
		return &typed[event.Type_TYPE_GROUP]
	case "a":
		return &typed[event.Type_TYPE_ALIAS]
	case "m":
		return &route{serve: (*Handler).metrics, methods: post}
	}
	if word, ok := strings.CutPrefix(path, "pixel/"); ok {
		if t, ok := event.ParseType(word); ok {
			return &route{(*Handler).pixel, pixelGet, t}
		}
	}
	if key, ok := strings.CutPrefix(path, "projects/"); ok {
		if key, ok := strings.CutSuffix(key, "/settings"); ok && key != "" && !strings.Contains(key, "/") {
			return &route{serve: (*Handler).settings, methods: get}
		}
	}
	return nil
}

// typed are the routes of the paths that take events, by the type they name.
var typed = func() (routes [event.Type_TYPE_ALIAS + 1]route) {
	for t := range routes {
		routes[t] = route{(*Handler).track, post, event.Type(t)}
	}
	return routes
}()

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	allowOrigin(w.Header(), r)
	route := find(r.URL.Path)
	switch {
	case route == nil:
		h.refuse(w, r, errPath)
	case r.Method == http.MethodOptions:
		preflight(w, r, route.methods)
	case r.Method == http.MethodHead && route.methods == get, r.Method == route.methods[:strings.IndexByte(route.methods, ',')]:
		route.serve(h, w, r, route.t)
	default:
		w.Header().Set("Allow", route.methods)
		h.refuse(w, r, errMethod)
	}
}

// track takes events in. t is the type the path names.
func (h *Handler) track(w http.ResponseWriter, r *http.Request, t event.Type) {
	b := body{buffers: &h.buffers, limit: h.MaxBodies}
	if b.limit == 0 {
		b.limit = defaultMaxBodies
	}
	defer b.free()
	p, err := h.known(r)
	if err == nil {
		err = b.read(r)
	}
	rq := h.request() // only now: who is slow to send holds none of its memory
	defer h.release(rq)
	rq.wireBytes = len(b.wire.data)
	if err == nil {
		var data []byte
		if data, err = b.inflate(&rq.gzip); err == nil {
			err = h.accept(r, rq, p, data, t)
		}
	}
	h.measure(r.Context(), rq, err)
	if err != nil {
		b.free() // refusing may wait for the client
		h.refuse(w, r, asRefusal(err))
		return
	}
	rq.answer(w, r.Header.Get("Hito-Receipts") == "1")
}

// known returns the project of the write key that is known before the body is
// read, nil when there is none: nothing is read for those who may not write.
func (h *Handler) known(r *http.Request) (*project.Project, error) {
	key := earlyKey(r)
	if key == "" {
		return nil, nil
	}
	p, ok := h.Projects.ByWriteKey(key)
	if !ok {
		return nil, errKey
	}
	return p, nil
}

// accept does the work of one request: decode, check, and make durable. p is
// nil when the key is in the body.
func (h *Handler) accept(r *http.Request, rq *request, p *project.Project, data []byte, t event.Type) error {
	if err := event.Segment(&rq.batch, data, t); err != nil {
		return err
	}
	if p == nil {
		known := false
		if p, known = h.Projects.ByWriteKey(lateKey(r, &rq.batch)); !known {
			return errKey
		}
	}
	rq.project = p
	rq.receivedAt = h.Now().UnixMilli()
	rq.batch.Check(event.Terms{
		ReceivedAt: rq.receivedAt,
		IP:         h.clientAddress(r),
		UserAgent:  r.Header.Get("User-Agent"),
		Address:    p.Settings.IP,
		Junk:       p.Settings.JunkIDs,
		NewID:      h.NewID,
	})
	return h.store(r.Context(), rq)
}

// store makes a checked batch durable: first what goes to quarantine, so that a
// failure in between repeats it under the same identity.
func (h *Handler) store(ctx context.Context, rq *request) (err error) {
	defer func() {
		switch {
		case err == nil:
			h.failed.Store(0)
		case !errors.Is(ctx.Err(), context.Canceled): // else the client has left
			h.failed.Store(rq.receivedAt)
		}
	}()
	if err := rq.sort(h.Origin, uint32(xxhash.Sum64String(h.NewID()))); err != nil {
		h.complain(ctx, "encode", rq, err)
		return errBusy
	}
	if len(rq.unfit) > 0 {
		if err := h.Quarantine.Put(ctx, rq.unfit); err != nil {
			h.complain(ctx, "quarantine", rq, err)
			return errBusy
		}
	}
	if len(rq.records) > 0 {
		if err := h.Raw.Publish(ctx, rq.records); err != nil {
			h.complain(ctx, "publish", rq, err)
			return errBusy
		}
	}
	return nil
}

// complain logs why requests are answered with 503, at most once a second: a
// full disk fails them all, and the log may be on it.
func (h *Handler) complain(ctx context.Context, operation string, rq *request, err error) {
	last := h.complained.Load()
	if rq.receivedAt-last < 1000 || !h.complained.CompareAndSwap(last, rq.receivedAt) {
		return
	}
	log := h.Log
	if log == nil {
		log = slog.Default()
	}
	log.ErrorContext(ctx, "beacon: requests are refused", "operation", operation, "project", rq.project.Name, "events", len(rq.batch.Items), "error", err)
}

// measure emits what the request was.
func (h *Handler) measure(ctx context.Context, rq *request, err error) {
	if h.Telemetry == nil {
		return
	}
	refused := 0.0
	events, unfit, repeated := len(rq.batch.Items), len(rq.unfit), rq.repeated
	if err != nil {
		refused, events, unfit, repeated = 1, 0, 0, 0
	}
	rq.values = append(rq.values[:0],
		telemetry.Value{Name: "requests", Unit: telemetry.Count, V: 1},
		telemetry.Value{Name: "requests_refused", Unit: telemetry.Count, V: refused},
		telemetry.Value{Name: "request_bytes", Unit: telemetry.Bytes, V: float64(rq.wireBytes)},
		telemetry.Value{Name: "events_received", Unit: telemetry.Count, V: float64(events)},
		telemetry.Value{Name: "events_quarantined", Unit: telemetry.Count, V: float64(unfit)},
		telemetry.Value{Name: "events_duplicate", Unit: telemetry.Count, V: float64(repeated)})
	h.Telemetry.Emit(ctx, "beacon", rq.values...)
}

// metrics swallows what browser SDKs report about themselves.
func (h *Handler) metrics(w http.ResponseWriter, r *http.Request, _ event.Type) {
	drain(w, r)
	writeJSON(w, http.StatusOK, []byte(success))
}
