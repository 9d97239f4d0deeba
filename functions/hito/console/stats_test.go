package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/stream"
)

// get asks a site with a key and returns status and body.
func (s *site) get(t *testing.T, path, key string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// scored shows stats a record of a project whose events took so long.
func scored(s *Stats, project string, events int, took time.Duration) {
	s.Observe([]stream.Record{{Project: project, Events: events, Time: s.now().Add(-took).UnixMilli()}})
}

func TestStats(t *testing.T) {
	s := startSite(t)
	now := time.Date(2026, 3, 4, 5, 6, 15, 0, time.UTC)
	s.stats.Now = func() time.Time { return now }
	want := func(body string) {
		t.Helper()
		if status, got := s.get(t, "/v1/stats", "shop-secret"); status != 200 || got != body+"\n" {
			t.Errorf("%d %swant %s", status, got, body)
		}
	}
	want(`{"window_seconds":60,"events_per_second":{"accepted":0,"scored":0},"latency_ms":null}`)

	// A quarter of this minute has passed, so three quarters of the last one count.
	minute := now.Unix() / 60
	s.minutes["shop"] = []ledger.Minute{
		{Minute: minute - 2, Counts: ledger.Counts{Accepted: 1e6, Scored: 1e6}},
		{Minute: minute - 1, Counts: ledger.Counts{Accepted: 6000, Scored: 4800}},
		{Minute: minute, Counts: ledger.Counts{Accepted: 1500, Scored: 1200}},
	}
	s.minutes["bank"] = []ledger.Minute{{Minute: minute, Counts: ledger.Counts{Accepted: 9e9}}}
	scored(s.stats, "shop", 98, 8*time.Millisecond)
	scored(s.stats, "shop", 2, 1024*time.Millisecond)
	scored(s.stats, "bank", 1e6, time.Minute)
	scored(s.stats, "shop", 0, time.Hour) // an erasure
	want(`{"window_seconds":60,"events_per_second":{"accepted":100,"scored":80},"latency_ms":{"events":100,"p50":8,"p99":1024}}`)

	// A second later, then when the minute is over.
	now = now.Add(time.Second)
	scored(s.stats, "shop", 900, 2*time.Millisecond)
	if l := s.stats.latency("shop", now.Unix()); l.Events != 1000 || l.P50 != 2 || l.P99 != 8 {
		t.Errorf("both seconds: %+v", l)
	}
	now = now.Add((window - 1) * time.Second)
	if l := s.stats.latency("shop", now.Unix()); l.Events != 900 {
		t.Errorf("the first second over: %+v", l)
	}
	now = now.Add(time.Second)
	if l := s.stats.latency("shop", now.Unix()); l != nil {
		t.Errorf("all over: %+v", l)
	}
}

func TestStatsNeedASecretKey(t *testing.T) {
	s := startSite(t)
	for _, key := range []string{"", "shop-write", "wrong"} {
		if status, body := s.get(t, "/v1/stats", key); status != 401 {
			t.Errorf("key %q: %d %s", key, status, body)
		}
	}
}

func TestQuantilesAreNearTheTruth(t *testing.T) {
	for ms := 1.0; ms < 100_000; ms *= 1.37 {
		if got := upper(bucket(ms)); got < ms*0.9999 || got > ms*1.0906 {
			t.Errorf("%v ms are shown as %v", ms, got)
		}
	}
	if bucket(1e300) != buckets-1 || bucket(0) != 0 {
		t.Error("latency out of the range of the buckets")
	}
}

// TestStatsTellNothingOfOtherProjects: a project without events sees none.
func TestStatsTellNothingOfOtherProjects(t *testing.T) {
	s := startSite(t)
	scored(s.stats, "shop", 1000, time.Second)
	want := `{"window_seconds":60,"events_per_second":{"accepted":0,"scored":0},"latency_ms":null}` + "\n"
	if status, got := s.get(t, "/v1/stats", "bank-secret"); status != 200 || got != want {
		t.Errorf("%d %s", status, got)
	}
}

func TestHealth(t *testing.T) {
	s := startSite(t)
	if status, body := s.get(t, "/healthz", ""); status != 200 || body != `{"status":"ok"}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	w := serve(Health{Check: func(context.Context) error { return errors.New("disk 7 is full") }}, "GET", "/healthz")
	if w.Code != 503 || w.Body.String() != `{"status":"unavailable"}`+"\n" || w.Header().Get("Retry-After") == "" {
		t.Errorf("unhealthy: %d %s", w.Code, w.Body)
	}
	if w := serve(Health{}, "POST", "/healthz"); w.Code != 405 || !json.Valid(w.Body.Bytes()) {
		t.Errorf("POST: %d %s", w.Code, w.Body)
	}
}

func BenchmarkStatsObserve(b *testing.B) {
	s := &Stats{}
	records := make([]stream.Record, 100)
	for i := range records {
		records[i] = stream.Record{Project: "shop", Events: 10, Time: time.Now().UnixMilli() - int64(i)}
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Observe(records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
