package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
)

// LedgerCheck is the project's ledger over the run: everything acknowledged is
// scored, once. Repeated requests appear as duplicates.
type LedgerCheck struct {
	Accepted    int64 `json:"accepted"`
	Scored      int64 `json:"scored"`
	Duplicate   int64 `json:"duplicate"`
	Quarantined int64 `json:"quarantined"`
	InFlight    int64 `json:"in_flight"`
	OK          bool  `json:"ok"`
}

// ProfileCheck compares visitors' profiles with what was acknowledged.
type ProfileCheck struct {
	Visitors int `json:"visitors"`
	// Events is the sum over the profiles.
	Events int64 `json:"events"`
	// Wrong names a few visitors whose count is not theirs, WrongCount how many there are.
	Wrong      []string `json:"wrong,omitempty"`
	WrongCount int      `json:"wrong_count"`
	OK         bool     `json:"ok"`
}

// drained waits until so many events were scored, ever, and nothing is in
// flight, at most for Drain, and returns the ledger as it is then. Where
// acceptance is booked by whoever reads the raw stream, nothing in flight says
// little by itself, and a stream may carry some events twice.
func (g *generator) drained(ctx context.Context, scored int64) (ledger.Totals, error) {
	deadline := time.Now().Add(g.Drain)
	for {
		now, err := g.reads.ledger(ctx)
		if err != nil || now.InFlight == 0 && now.Scored >= scored || time.Now().After(deadline) {
			return now, err
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return now, ctx.Err()
		}
	}
}

// settle waits until nothing is in flight and books the run.
func (g *generator) settle(ctx context.Context, r *Report, before ledger.Totals) error {
	now, err := g.drained(ctx, before.Scored+r.Events)
	if err != nil {
		return err
	}
	r.Drained = time.Since(g.start).Seconds()
	r.AckedPerSecond = float64(r.Events) / r.Seconds
	l := &r.Ledger
	l.Accepted = now.Accepted - before.Accepted
	l.Scored = now.Scored - before.Scored
	l.Duplicate = now.Duplicate - before.Duplicate
	l.Quarantined = now.Quarantined - before.Quarantined
	l.InFlight = now.InFlight
	r.ScoredPerSecond = float64(l.Scored) / r.Drained
	// What was not acknowledged may still have been taken in.
	l.OK = now.InFlight == 0 && l.Scored >= r.Events && l.Scored <= r.Events+r.Unknown && l.Accepted == l.Scored+l.Duplicate
	return nil
}

// verify reads every visitor's profile.
func (g *generator) verify(ctx context.Context, r *Report, baseline []int64) error {
	totals, err := g.reads.totals(ctx, g.visitorPrefix(), g.Visitors)
	if err != nil {
		return err
	}
	p := &ProfileCheck{}
	for i, total := range totals {
		if baseline != nil {
			total -= baseline[i]
		}
		want := g.acked[i].Load()
		if total > 0 || want > 0 {
			p.Visitors++
		}
		p.Events += total
		if total != want {
			if p.WrongCount++; len(p.Wrong) < 10 {
				p.Wrong = append(p.Wrong, fmt.Sprintf("%s: %d in the profile, %d acknowledged", visitorID(g.visitorPrefix(), int64(i)), total, want))
			}
		}
	}
	p.OK = p.WrongCount == 0 && p.Events == r.Events
	r.Profiles = p
	return nil
}

func visitorID(prefix string, n int64) string {
	text := make([]byte, visitorDigits)
	digits(text, n)
	return prefix + string(text)
}

// reader asks the read API.
type reader struct {
	url, key string
	http     *http.Client
}

const readers = 16

func newReader(o Options) *reader {
	return &reader{strings.TrimSuffix(o.URL, "/"), o.SecretKey, &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4 * readers},
	}}
}

// get returns a path's answer; any status.
func (r *reader) get(ctx context.Context, path string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := r.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

func (r *reader) ledger(ctx context.Context) (ledger.Totals, error) {
	var t ledger.Totals
	status, body, err := r.get(ctx, "/v1/ledger")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("answers %d: %s", status, body)
	}
	if err == nil {
		err = json.Unmarshal(body, &t)
	}
	if err != nil {
		return t, fmt.Errorf("read the ledger of %s: %w", r.url, err)
	}
	return t, nil
}

// await returns true as soon as the visitor's profile reflects the message.
func (r *reader) await(ctx context.Context, visitor, message string, patience time.Duration) bool {
	path := "/v1/profiles/anonymous_id:" + url.PathEscape(visitor) + "?timeout=10s&after=" + url.QueryEscape(message)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		status, _, err := r.get(ctx, path)
		switch {
		case err == nil && status == http.StatusOK:
			return true
		case err == nil && status != http.StatusGatewayTimeout && status != http.StatusServiceUnavailable:
			return false
		case err != nil && !sleep(ctx, 100*time.Millisecond):
			return false
		}
	}
	return false
}

// totals returns how many events each visitor's profile has.
func (r *reader) totals(ctx context.Context, prefix string, visitors int) ([]int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]int64, visitors)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range readers {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(visitors) && ctx.Err() == nil; i = next.Add(1) - 1 {
				n, err := r.total(ctx, visitorID(prefix, i))
				if err != nil {
					cancel(fmt.Errorf("read the profile of %s: %w", visitorID(prefix, i), err))
				}
				out[i] = n
			}
		})
	}
	wait.Wait()
	return out, context.Cause(ctx)
}

func (r *reader) total(ctx context.Context, visitor string) (int64, error) {
	status, body, err := r.get(ctx, "/v1/profiles/anonymous_id:"+url.PathEscape(visitor))
	switch {
	case err != nil:
		return 0, err
	case status == http.StatusNotFound:
		return 0, nil
	case status != http.StatusOK:
		return 0, fmt.Errorf("answers %d: %s", status, body)
	}
	var p struct {
		Events struct{ Total int64 }
	}
	return p.Events.Total, json.Unmarshal(body, &p)
}
