// Package profile is the function that reads: it answers what is known of a
// person, erases a person, and shows a project its ledger and its quarantine.
// It changes nothing itself: an erasure is a record on the raw stream, like
// every other change.
package profile

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/rules"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// Handler serves the read side: /v1/profiles/…, /v1/ledger and /v1/quarantine.
// Every request names its project by a secret key, Authorization: Bearer.
// Projects, Store, Raw, Ledger and Quarantine must be set.
type Handler struct {
	Projects project.Directory
	Store    profile.Store
	// Rules returns a project's rules in service, nil when it has none.
	Rules func(project string) *rules.Rules
	// Raw takes the records that erase.
	Raw        stream.Publisher
	Ledger     ledger.Reader
	Quarantine quarantine.Reader
	// Origin is the cloud that accepts the erasures: "local", "aws" or "gcp".
	Origin string
	// Telemetry gets requests, request_time and unreflected; nil discards them.
	Telemetry telemetry.Sink
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Jitter spreads the polls of waiting requests: a number in [0,1),
	// math/rand/v2's when nil.
	Jitter func() float64
	// Log gets what went wrong on the server's side; nil means slog.Default.
	Log *slog.Logger
}

// ServeHTTP answers one request. Which paths there are depends on nobody's
// key, whether a person exists only on the key's project.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := h.now()
	h.route(w, r)
	if h.Telemetry != nil {
		h.Telemetry.Emit(r.Context(), "profile",
			telemetry.Value{Name: "requests", Unit: telemetry.Count, V: 1},
			telemetry.Value{Name: "request_time", Unit: telemetry.Milliseconds, V: float64(h.now().Sub(began).Microseconds()) / 1000})
	}
}

func (h *Handler) route(w http.ResponseWriter, r *http.Request) {
	var serve func(http.ResponseWriter, *http.Request, *project.Project)
	path, allow := r.URL.EscapedPath(), "GET, HEAD"
	switch {
	case strings.HasPrefix(path, profilesPath):
		serve, allow = h.getPerson, "GET, HEAD, DELETE"
		if r.Method == http.MethodDelete {
			serve = h.erasePerson
		}
	case path == "/v1/ledger":
		serve = h.getLedger
	case path == "/v1/quarantine":
		serve = h.getQuarantine
	default:
		Refuse(w, http.StatusNotFound, "not_found", "no such path: the read side has /v1/profiles/, /v1/ledger and /v1/quarantine")
		return
	}
	if !Allow(w, r, allow) {
		return
	}
	if p, ok := Authenticate(w, r, h.Projects); ok {
		serve(w, r, p)
	}
}

// Allow answers 405 and returns false when the request's method is not in the
// list, which has the form of an Allow header.
func Allow(w http.ResponseWriter, r *http.Request, methods string) bool {
	for method := range strings.SplitSeq(methods, ", ") {
		if r.Method == method {
			return true
		}
	}
	w.Header().Set("Allow", methods)
	Refuse(w, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers "+methods)
	return false
}

// Authenticate returns the project whose secret key the request bears
// (Authorization: Bearer), or answers 401 and returns false. A write key is
// public and opens nothing here.
func Authenticate(w http.ResponseWriter, r *http.Request, projects project.Directory) (*project.Project, bool) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if key = strings.TrimSpace(key); key != "" && strings.EqualFold(scheme, "Bearer") {
		if p, ok := projects.BySecretKey(key); ok {
			return p, true
		}
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="hito"`)
	Refuse(w, http.StatusUnauthorized, "unauthorized", "send the project's secret key as Authorization: Bearer <key>")
	return nil, false
}

// Refuse answers with a one-line JSON error.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	type failure struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	Answer(w, status, struct {
		Success bool    `json:"success"`
		Error   failure `json:"error"`
	}{Error: failure{code, message}})
}

// Answer answers with v as one line of JSON, in which <, > and & stand as they are.
func Answer(w http.ResponseWriter, status int, v any) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// What fails here is the connection, and there is nobody left to tell.
	_ = encoder.Encode(v)
}

// unavailable answers 503 for an error on the server's side, and logs it. What
// failed stays inside: it may name another's data.
func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Cause(r.Context())) {
		return // the client left
	}
	log := h.Log
	if log == nil {
		log = slog.Default()
	}
	log.ErrorContext(r.Context(), "read side failed", "method", r.Method, "error", err)
	w.Header().Set("Retry-After", "1")
	Refuse(w, http.StatusServiceUnavailable, "unavailable", "the server could not do this just now; nothing is lost, ask again")
}

func (h *Handler) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

func (h *Handler) jitter() float64 {
	if h.Jitter == nil {
		return rand.Float64()
	}
	return h.Jitter()
}
