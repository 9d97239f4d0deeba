package load

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 10_000 {
		h.record(time.Duration(i+1) * time.Microsecond)
	}
	l := h.latencies()
	for name, c := range map[string]struct{ got, want float64 }{
		"p50": {l.P50, 5}, "p90": {l.P90, 9}, "p99": {l.P99, 9.9}, "p999": {l.P999, 9.99}, "max": {l.Max, 10},
	} {
		if c.got < c.want || c.got > c.want*1.01 {
			t.Errorf("%s is %v ms, want %v to 1 %% more", name, c.got, c.want)
		}
	}
	if l.Count != 10_000 {
		t.Errorf("%d counted", l.Count)
	}
	if (&histogram{}).latencies() != (Latencies{}) {
		t.Error("an empty histogram has percentiles")
	}
	h = histogram{}
	h.record(1<<63 - 1)
	h.record(-1)
	if got := h.latencies(); got.Max < 9e12 || got.P50 != 0 {
		t.Errorf("extremes: %+v", got)
	}
}

func TestBuckets(t *testing.T) {
	for n := uint64(0); n < 1<<20; n += 1 + n/300 {
		b := bucket(n)
		if upper(b) < n || b > 0 && upper(b-1) >= n {
			t.Fatalf("%d falls into bucket %d, which ends at %d", n, b, upper(b))
		}
	}
}

func TestEventsAreWhatTheySay(t *testing.T) {
	shapes := templates("load-0123456789abcdef-", "load-1-", rand.New(rand.NewPCG(1, 1)))
	r := newRequest("127.0.0.1:1", "/v1/batch", "demo", shapes, rand.New(rand.NewPCG(1, 2)), 10)
	r.stamp(time.Date(2026, 5, 4, 3, 2, 1, 987e6, time.UTC))
	for i := range r.events {
		r.fill(i, int64(70+i), int64(1000+i))
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(r.text))))
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Batch []json.RawMessage
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	for i, raw := range body.Batch {
		var e struct{ Type, MessageID, AnonymousID, Timestamp, Event string }
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("{track load-0123456789abcdef-%012d load-1-%09d 2026-05-04T03:02:01.987Z", 1000+i, 70+i)
		if got := fmt.Sprint(e); !strings.HasPrefix(got, want) || e.Event == "" || len(raw) != EventBytes {
			t.Errorf("event of %d bytes %s, want %s…", len(raw), got, want)
		}
		if r.messageID(i, "load-0123456789abcdef-") != e.MessageID {
			t.Errorf("message id %q, want %q", r.messageID(i, "load-0123456789abcdef-"), e.MessageID)
		}
	}
	if key, _, _ := req.BasicAuth(); len(body.Batch) != 10 || key != "demo" {
		t.Errorf("%d events under key %q", len(body.Batch), key)
	}
}

func TestReadAnswer(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":                      "200 0 false",
		"HTTP/1.1 503 x\r\ncontent-length:0\r\nRetry-After: 7\r\n\r\n":        "503 7 false",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}": "200 0 true",
		"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}":                     "unexpected EOF",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":      "without Content-Length",
		"HTTP/1.1 2xx OK\r\n\r\n":                                             "not an HTTP status",
		"SSH-2.0-OpenSSH\r\n":                                                 "not an HTTP/1 answer",
		"":                                                                    "EOF",
	} {
		a, closing, err := readAnswer(bufio.NewReader(strings.NewReader(text)))
		got := fmt.Sprint(a.status, a.retryAfter, closing)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}

// stand counts events as a hito would; break says what it does wrong.
type stand struct {
	mu        sync.Mutex
	seen      map[string]bool
	byVisitor map[string]int64
	accepted  int64
	duplicate int64
	requests  int
	// before is asked before a request is taken; it may answer it.
	before func(n int, w http.ResponseWriter) bool
	// late are events not scored before the ledger is next asked.
	late int64
	// count is how often an event is counted.
	count func(n int) int64
}

func (s *stand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.URL.Path == "/v1/ledger":
		scored := int64(0)
		for _, n := range s.byVisitor {
			scored += n
		}
		fmt.Fprintf(w, `{"accepted":%d,"scored":%d,"duplicate":%d,"in_flight":%d}`, s.accepted, scored-s.late, s.duplicate, s.late)
		s.late = 0
	case strings.HasPrefix(r.URL.Path, "/v1/profiles/anonymous_id:"):
		n, ok := s.byVisitor[strings.TrimPrefix(r.URL.Path, "/v1/profiles/anonymous_id:")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `{"events":{"total":%d}}`, n)
	default:
		s.requests++
		if s.before != nil && s.before(s.requests, w) {
			return
		}
		var body struct {
			Batch []struct{ MessageID, AnonymousID string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, e := range body.Batch {
			s.accepted++
			if s.seen[e.MessageID] {
				s.duplicate++
				continue
			}
			s.seen[e.MessageID] = true
			n := int64(1)
			if s.count != nil {
				n = s.count(len(s.seen))
			}
			s.byVisitor[e.AnonymousID] += n
		}
		io.WriteString(w, `{"success":true}`)
	}
}

func drive(t *testing.T, s *stand, o Options) *Report {
	t.Helper()
	s.seen, s.byVisitor = map[string]bool{}, map[string]int64{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	o.URL, o.Visitors, o.Seed, o.Duration, o.Drain, o.Verify = server.URL, 50, 1, 10*time.Second, 10*time.Second, true
	o.Events, o.PerRequest, o.Connections = 1000, 10, 4
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	for name, o := range map[string]Options{
		"unequal visitors": {Exponent: 1.2}, "one after the other": {}, "at a rate": {Exponent: 1.2, Rate: 20_000},
	} {
		r := drive(t, &stand{}, o)
		if !r.OK || r.Events != 1000 || r.Requests != 100 || r.Ledger.Scored != 1000 || r.Profiles.Events != 1000 || r.Ack.Count != 100 || r.Readable.Count == 0 {
			t.Errorf("%s: %+v %+v", name, r, r.Profiles)
		}
		if o.Exponent == 0 && r.Profiles.Visitors != 50 {
			t.Errorf("%s: %d of 50 came", name, r.Profiles.Visitors)
		}
	}
}

// TestRunSees: whatever a server does wrong, the report is not OK.
func TestRunSees(t *testing.T) {
	lost := drive(t, &stand{count: func(n int) int64 { return int64(min(n%100, 1)) }}, Options{Exponent: 1.2})
	if lost.OK || lost.Ledger.OK || lost.Profiles.OK || lost.Profiles.WrongCount == 0 {
		t.Errorf("lost events: %+v %+v", lost, lost.Profiles)
	}
	twice := drive(t, &stand{count: func(n int) int64 { return int64(1 + n/1000) }}, Options{Exponent: 1.2})
	if twice.OK || twice.Profiles.WrongCount != 1 {
		t.Errorf("an event counted twice: %+v %+v", twice, twice.Profiles)
	}
	refused := drive(t, &stand{before: func(n int, w http.ResponseWriter) bool {
		if n == 50 {
			w.WriteHeader(http.StatusBadRequest)
		}
		return n == 50
	}}, Options{Exponent: 1.2})
	if refused.OK || refused.Unknown != 10 {
		t.Errorf("a refused request: %+v", refused)
	}
}

// TestRunRetries: what a busy server refused is sent again.
func TestRunRetries(t *testing.T) {
	busy := drive(t, &stand{before: func(n int, w http.ResponseWriter) bool {
		if n%10 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return n%10 == 0
	}}, Options{Exponent: 1.2})
	if !busy.OK || busy.Retries == 0 {
		t.Errorf("busy: %+v %+v", busy, busy.Profiles)
	}
}

// TestRunWaitsForWhatOthersSent: an event accepted before the run and scored
// in it was once counted as the run's.
func TestRunWaitsForWhatOthersSent(t *testing.T) {
	s := &stand{accepted: 1, late: 1}
	if r := drive(t, s, Options{}); !r.Ledger.OK {
		t.Fatalf("ledger %+v", r.Ledger)
	}
}

func TestRunBeginsFromWhatWasThere(t *testing.T) {
	s := &stand{}
	first := drive(t, s, Options{Exponent: 1.2})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	second, err := Run(t.Context(), Options{URL: server.URL, Visitors: 50, Seed: 1, Duration: time.Minute, Drain: time.Minute, Verify: true,
		Events: 100, PerRequest: 1, Connections: 2, Exponent: 1.2})
	if err != nil || !first.OK || !second.OK || second.Ledger.Scored != 100 {
		t.Errorf("%+v, then %+v, %v", first, second, err)
	}
}
