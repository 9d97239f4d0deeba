package console

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/stream"
)

// Stats answers GET /v1/stats: a project's events per second over the last
// minute, from its ledger, and how long its events took from the beacon to
// their profile, from the records it observes. It tells nothing of other projects.
type Stats struct {
	Projects project.Directory
	Ledger   ledger.Reader
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	mu     sync.Mutex
	scored map[string]*minute
}

// minute is what was scored of a project in the last seconds.
type minute [window]second

const (
	window = 60 // seconds that the latency covers

	// Eight buckets per doubling from a millisecond, the finest that latency is
	// measured in, to two minutes: a quantile is off by 9% at most.
	perDoubling = 8
	buckets     = 17*perDoubling + 1
)

// second is what was scored in one second, by latency.
type second struct {
	unix   int64
	counts [buckets]int64
	total  int64
}

// Observe takes records of the enriched stream, once they are scored.
func (s *Stats) Observe(records []stream.Record) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		r := &records[i]
		if r.Events == 0 {
			continue // an erasure
		}
		m := s.scored[r.Project]
		if m == nil {
			if s.scored == nil {
				s.scored = map[string]*minute{}
			}
			m = new(minute)
			s.scored[r.Project] = m
		}
		slot := &m[now.Unix()%window]
		if slot.unix != now.Unix() {
			*slot = second{unix: now.Unix()}
		}
		slot.counts[bucket(float64(now.UnixMilli()-r.Time))] += int64(r.Events)
		slot.total += int64(r.Events)
	}
}

func bucket(ms float64) int {
	if ms <= 1 {
		return 0
	}
	return min(int(math.Ceil(math.Log2(ms)*perDoubling)), buckets-1)
}

// upper is the upper end of a bucket in milliseconds.
func upper(bucket int) float64 { return math.Exp2(float64(bucket) / perDoubling) }

// Rates are events per second over the last minute.
type Rates struct {
	Accepted float64 `json:"accepted"`
	Scored   float64 `json:"scored"`
}

// Latency is how long events took from being accepted to being in their
// profile.
type Latency struct {
	Events int64   `json:"events"`
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99"`
}

// ServeHTTP answers with the last minute's rates and latency. The latency is
// null when nothing was scored.
func (s *Stats) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !profile.Allow(w, r, "GET, HEAD") {
		return
	}
	p, ok := profile.Authenticate(w, r, s.Projects)
	if !ok {
		return
	}
	now := s.now()
	rates, err := s.rates(r.Context(), p.Name, now)
	if err != nil {
		if r.Context().Err() != nil {
			return
		}
		slog.ErrorContext(r.Context(), "stats failed", "error", err)
		w.Header().Set("Retry-After", "1")
		profile.Refuse(w, http.StatusServiceUnavailable, "unavailable", "the server could not do this just now; ask again")
		return
	}
	profile.Answer(w, http.StatusOK, struct {
		WindowSeconds int      `json:"window_seconds"`
		Rates         Rates    `json:"events_per_second"`
		Latency       *Latency `json:"latency_ms"`
	}{window, rates, s.latency(p.Name, now.Unix())})
}

// rates takes of the minute before the present one as much as the present one lacks.
func (s *Stats) rates(ctx context.Context, project string, now time.Time) (Rates, error) {
	present := now.Unix() / 60
	minutes, err := s.Ledger.Minutes(ctx, project, present-1, present)
	if err != nil {
		return Rates{}, fmt.Errorf("rates: %w", err)
	}
	var rates Rates
	for _, m := range minutes {
		share := 1.0
		if m.Minute < present {
			share = 1 - float64(now.Unix()%60)/60
		}
		rates.Accepted += share * float64(m.Accepted) / 60
		rates.Scored += share * float64(m.Scored) / 60
	}
	return Rates{hundredths(rates.Accepted), hundredths(rates.Scored)}, nil
}

func hundredths(v float64) float64 { return math.Round(v*100) / 100 }

func (s *Stats) latency(project string, now int64) *Latency {
	var sum second
	s.mu.Lock()
	m := s.scored[project]
	if m == nil {
		m = new(minute)
	}
	for i := range m {
		if slot := &m[i]; slot.unix > now-window && slot.unix <= now {
			sum.total += slot.total
			for b, n := range slot.counts {
				sum.counts[b] += n
			}
		}
	}
	s.mu.Unlock()
	if sum.total == 0 {
		return nil
	}
	return &Latency{Events: sum.total, P50: sum.quantile(0.5), P99: sum.quantile(0.99)}
}

// quantile returns the upper end of the bucket that holds it, to a hundredth.
func (s *second) quantile(q float64) float64 {
	rank := int64(math.Ceil(q * float64(s.total)))
	for b, n := range s.counts {
		if rank -= n; rank <= 0 {
			return hundredths(upper(b))
		}
	}
	return upper(buckets - 1)
}

func (s *Stats) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
