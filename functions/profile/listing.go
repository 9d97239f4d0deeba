package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
)

const (
	defaultSpan = time.Hour          // of the ledger by minute
	maxSpan     = 7 * 24 * time.Hour // of the ledger by minute

	defaultLimit = 50 // quarantined events per page
	maxLimit     = 500
)

// Minute is one minute of a project's ledger.
type Minute struct {
	// Minute is its begin.
	Minute Time `json:"minute"`
	ledger.Counts
	InFlight int64 `json:"in_flight"`
}

// getLedger answers the project's totals, or with ?by=minute the minutes that
// have counts, from ?from= to ?to= (RFC 3339; the last hour when absent).
func (h *Handler) getLedger(w http.ResponseWriter, r *http.Request, p *project.Project) {
	query := r.URL.Query()
	switch query.Get("by") {
	case "":
		totals, err := h.Ledger.Totals(r.Context(), p.Name)
		if err != nil {
			h.unavailable(w, r, fmt.Errorf("ledger: %w", err))
			return
		}
		if totals.Segments == nil {
			totals.Segments = map[string]int64{}
		}
		Answer(w, http.StatusOK, totals)
		return
	case "minute":
	default:
		Refuse(w, http.StatusBadRequest, "invalid_by", "by can only be minute; without it the answer is the totals")
		return
	}
	now := h.now()
	to, err := parseTime(query.Get("to"), now)
	if err == nil {
		var from time.Time
		from, err = parseTime(query.Get("from"), to.Add(-defaultSpan))
		if err == nil {
			h.getMinutes(w, r, p, from, to)
			return
		}
	}
	Refuse(w, http.StatusBadRequest, "invalid_time", "from and to are times in RFC 3339, such as "+now.UTC().Truncate(time.Minute).Format(time.RFC3339))
}

func (h *Handler) getMinutes(w http.ResponseWriter, r *http.Request, p *project.Project, from, to time.Time) {
	if to.Before(from) || to.Sub(from) > maxSpan {
		Refuse(w, http.StatusBadRequest, "invalid_span", "to must be after from, by 7 days at most")
		return
	}
	minutes, err := h.Ledger.Minutes(r.Context(), p.Name, from.Unix()/60, to.Unix()/60)
	if err != nil {
		h.unavailable(w, r, fmt.Errorf("ledger by minute: %w", err))
		return
	}
	out := make([]Minute, len(minutes))
	for i, m := range minutes {
		out[i] = Minute{Time{time.Unix(m.Minute*60, 0)}, m.Counts, m.InFlight}
	}
	Answer(w, http.StatusOK, struct {
		Minutes []Minute `json:"minutes"`
	}{out})
}

func parseTime(text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	return time.Parse(time.RFC3339, text)
}

// Quarantined is one event in quarantine. Body is what came when that was
// JSON; BodyBase64 is what came, byte by byte, when it was anything else.
type Quarantined struct {
	ID         string           `json:"id"`
	Stage      quarantine.Stage `json:"stage"`
	Reason     string           `json:"reason"`
	Detail     string           `json:"detail,omitempty"`
	Time       Time             `json:"time"`
	Events     int              `json:"events"`
	Body       json.RawMessage  `json:"body,omitempty"`
	BodyBase64 []byte           `json:"body_base64,omitempty"`
}

// getQuarantine answers a page of the project's quarantine, newest first. Next
// is the cursor of the page after, null on the last.
func (h *Handler) getQuarantine(w http.ResponseWriter, r *http.Request, p *project.Project) {
	query := r.URL.Query()
	limit := defaultLimit
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			Refuse(w, http.StatusBadRequest, "invalid_limit", fmt.Sprintf("limit must be a number from 1 to %d", maxLimit))
			return
		}
		limit = n
	}
	entries, next, err := h.Quarantine.List(r.Context(), p.Name, query.Get("cursor"), limit)
	if errors.Is(err, quarantine.ErrCursor) {
		Refuse(w, http.StatusBadRequest, "invalid_cursor", "cursor must be the next of an earlier answer")
		return
	}
	if err != nil {
		h.unavailable(w, r, fmt.Errorf("quarantine: %w", err))
		return
	}
	page := struct {
		Entries []Quarantined `json:"entries"`
		Next    *string       `json:"next"`
	}{Entries: make([]Quarantined, len(entries))}
	for i, e := range entries {
		q := Quarantined{ID: e.ID, Stage: e.Stage, Reason: e.Reason, Detail: e.Detail, Time: Time{time.UnixMilli(e.Time)}, Events: e.Events}
		if json.Valid(e.Body) && utf8.Valid(e.Body) {
			q.Body = e.Body
		} else {
			q.BodyBase64 = e.Body
		}
		page.Entries[i] = q
	}
	if next != "" {
		page.Next = &next
	}
	Answer(w, http.StatusOK, page)
}
