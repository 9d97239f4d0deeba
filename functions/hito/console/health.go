package console

import (
	"context"
	"net/http"

	"github.com/hitolayer/hito/functions/profile"
)

// Health answers /healthz: 200 {"status":"ok"} while Check returns nil (or is
// nil), else 503. It needs no key and says nothing else.
type Health struct {
	Check func(context.Context) error
}

// ServeHTTP answers one probe.
func (h Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !profile.Allow(w, r, "GET, HEAD") {
		return
	}
	if h.Check != nil {
		if err := h.Check(r.Context()); err != nil {
			w.Header().Set("Retry-After", "1")
			profile.Answer(w, http.StatusServiceUnavailable, status{"unavailable"})
			return
		}
	}
	profile.Answer(w, http.StatusOK, status{"ok"})
}

type status struct {
	Status string `json:"status"`
}
