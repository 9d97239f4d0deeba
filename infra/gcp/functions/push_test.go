package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/infra/gcp/cloudlogging"
	"github.com/hitolayer/hito/shared/stream"
)

// lets is a Verifier that lets those in it returns nil for.
type lets func(authorization string) error

func (l lets) Verify(_ context.Context, authorization string) error { return l(authorization) }

var anybody = lets(func(authorization string) error {
	if authorization != "Bearer token" {
		return errNoToken
	}
	return nil
})

// TestPushStatus: what is answered, and that only 204 acknowledges.
// https://cloud.google.com/pubsub/docs/push#receive_push
func TestPushStatus(t *testing.T) {
	post := func(path string, body io.Reader) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, body)
			r.Header.Set("Authorization", "Bearer token")
			return r
		}
	}
	push := func(path string, unwrap bool) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request { return request(t, path, packed(t, "a", "b"), unwrap) }
	}
	edit := func(from func(*testing.T) *http.Request, change func(*http.Request)) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request {
			r := from(t)
			change(r)
			return r
		}
	}
	handles := func(h func([]stream.Record) error) func(*Push, *under) {
		return func(_ *Push, u *under) {
			u.Handler = func(ctx context.Context, records []stream.Record) error {
				return errors.Join(book(ctx, records...), h(records))
			}
		}
	}
	for name, c := range map[string]struct {
		request func(*testing.T) *http.Request
		change  func(*Push, *under)
		status  int
		log     string
	}{
		"wrapped":          {push("/", false), nil, 204, ""},
		"unwrapped":        {push("/", true), nil, 204, ""},
		"a dead letter":    {push("/dead-letter", false), nil, 204, ""},
		"for good":         {push("/", false), handles(func([]stream.Record) error { return errUnfit }), 204, ""},
		"for a while":      {push("/", false), handles(func([]stream.Record) error { return errAway }), 500, "the table is away"},
		"a panic":          {push("/", false), handles(func([]stream.Record) error { panic("poison") }), 500, "poison"},
		"the store's time": {push("/", false), handles(func([]stream.Record) error { return context.DeadlineExceeded }), 503, "deadline exceeded"},
		"a panic outside": {push("/", false), func(_ *Push, u *under) {
			u.shelf, u.Quarantine = nil, nil
			u.Handler = func(context.Context, []stream.Record) error { return errUnfit }
		}, 500, "a handler panicked"},
		"no message":        {post("/", strings.NewReader(`{"hello":"world"}`)), nil, 400, errNoMessage.Error()},
		"no body":           {post("/", nil), nil, 400, errNoMessage.Error()},
		"too large":         {post("/", io.LimitReader(endless{}, maxBody+1)), nil, 413, errTooLarge.Error()},
		"cut short":         {edit(push("/", false), func(r *http.Request) { r.ContentLength++ }), nil, 500, "read the body"},
		"not posted":        {edit(push("/", false), func(r *http.Request) { r.Method = http.MethodGet }), nil, 405, errMethod.Error()},
		"put":               {edit(push("/", false), func(r *http.Request) { r.Method = http.MethodPut }), nil, 405, errMethod.Error()},
		"another path":      {push("/v1/batch", false), nil, 404, errPath.Error()},
		"below":             {push("/dead-letter/", false), nil, 404, errPath.Error()},
		"no token":          {edit(push("/", false), func(r *http.Request) { r.Header.Del("Authorization") }), nil, 401, errNoToken.Error()},
		"no token, swept":   {edit(push("/sweep", false), func(r *http.Request) { r.Header.Del("Authorization") }), nil, 401, errNoToken.Error()},
		"two tokens":        {edit(push("/", false), func(r *http.Request) { r.Header.Set("X-Serverless-Authorization", "Bearer token") }), nil, 401, errTwoTokens.Error()},
		"none configured":   {push("/", false), func(p *Push, _ *under) { p.Token = nil }, 401, errNobody.Error()},
		"keys not there":    {push("/", false), func(p *Push, _ *under) { p.Token = lets(func(string) error { return fmt.Errorf("%w: away", ErrKeys) }) }, 503, ErrKeys.Error()},
		"nothing scheduled": {push("/sweep", false), func(p *Push, _ *under) { p.Scheduled = nil }, 404, errPath.Error()},
		"no time":           {post("/sweep", nil), nil, 400, errNoTime.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			u := newSettler(func(ctx context.Context, records []stream.Record) error { return book(ctx, records...) })
			before := 0
			p := &Push{
				Settler: &u.Settler, Token: anybody, Log: u.Log, Before: func(context.Context) { before++ },
				Scheduled: &Scheduled{Do: func(context.Context, time.Time) error { t.Error("called"); return nil }},
			}
			if c.change != nil {
				c.change(p, u)
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, c.request(t))
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			if w.Code == 204 && (w.Body.Len() != 0 || u.books.total.Accepted != 4) {
				t.Errorf("body %q, booked %+v", w.Body, u.books.total)
			}
			if w.Code != 204 && (u.books.total.Accepted != 0 || u.books.commits != 0) {
				t.Errorf("booked %+v", u.books.total)
			}
			if refused := w.Code == 401 || w.Code == 405 || errors.Is(p.verify(), ErrKeys); refused == (before == 1) || before > 1 {
				t.Errorf("Before was called %d times", before)
			}
			if log := u.log.String(); !strings.Contains(log, c.log) || (c.log == "") != (log == "") {
				t.Errorf("log %q, want %q", log, c.log)
			}
		})
	}
}

func (p *Push) verify() error {
	if p.Token == nil {
		return nil
	}
	return p.Token.Verify(context.Background(), "Bearer token")
}

// TestPushedAsWritten: what a push carries is what the handler gets, in both forms.
func TestPushedAsWritten(t *testing.T) {
	for _, unwrap := range []bool{false, true} {
		var got []stream.Record
		var data []string
		u := newSettler(func(_ context.Context, records []stream.Record) error {
			got, data = slices.Clone(records), names(records)
			return nil
		})
		m := packed(t, "a", "日本", "\x00")
		m.Attempt = 7
		w := httptest.NewRecorder()
		(&Push{Settler: &u.Settler, Token: anybody}).ServeHTTP(w, request(t, "/", m, unwrap))
		if w.Code != 204 || !slices.Equal(data, []string{"a", "日本", "\x00"}) {
			t.Fatalf("status %d, %q", w.Code, data)
		}
		attempt := 7
		if unwrap { // which does not tell
			attempt = 1
		}
		for i, r := range got {
			if want := fmt.Sprintf("%s.%d", m.Attributes["id"], i); r.ID != want || r.Attempt != attempt || r.Project != "shop" || r.Events != 2 || r.Time != accepted || r.Key != "u:"+data[i] {
				t.Errorf("unwrapped %v: %+v", unwrap, r)
			}
		}
	}
}

// TestDeadLettersAreFinal: by the path, and by the attempt of the envelope.
func TestDeadLettersAreFinal(t *testing.T) {
	for _, c := range []struct {
		path    string
		attempt int
		status  int
	}{{"/", 30, 500}, {"/dead-letter", 1, 500}, {"/dead-letter", 2, 500}, {"/dead-letter", 3, 204}, {"/dead-letter", 4, 204}} {
		u := newSettler(func(context.Context, []stream.Record) error { return errAway })
		m := packed(t, "a")
		m.Attempt = c.attempt
		w := httptest.NewRecorder()
		(&Push{Settler: &u.Settler, Token: anybody, Log: quiet}).ServeHTTP(w, request(t, c.path, m, false))
		if kept := len(u.shelf.all()); w.Code != c.status || (kept == 1) != (c.status == 204) {
			t.Errorf("attempt %d of %s: status %d, %d entries", c.attempt, c.path, w.Code, kept)
		}
	}
}

// TestPushEndsInTime: there is an answer before Cloud Run gives up.
func TestPushEndsInTime(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		0: 60*time.Second - answerMargin - 2*time.Second, 10 * time.Second: 10*time.Second - answerMargin - 2*time.Second, 4 * time.Second: 2850 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newSettler(func(ctx context.Context, _ []stream.Record) error {
				<-ctx.Done()
				return ctx.Err()
			})
			began := time.Now()
			w := httptest.NewRecorder()
			(&Push{Settler: &u.Settler, Token: anybody, Timeout: timeout, Log: quiet}).ServeHTTP(w, request(t, "/", packed(t, "a"), true))
			if got := time.Since(began); w.Code != 503 || got != want {
				t.Errorf("of %v: status %d after %v, want 503 after %v", timeout, w.Code, got, want)
			}
		})
	}
}

// TestScheduled: what is due is done, for the time that was scheduled.
func TestScheduled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var due time.Time
		do := func(context.Context) error { return nil }
		before := 0
		p := &Push{Token: anybody, Log: quiet, Timeout: 10 * time.Second, Before: func(context.Context) { before++ }, Scheduled: &Scheduled{Do: func(ctx context.Context, at time.Time) error {
			due = at
			return do(ctx)
		}}}
		sweep := func(at string) int {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sweep", http.NoBody)
			r.Header.Set("Authorization", "Bearer token")
			r.Header.Set("X-CloudScheduler", "true")
			r.Header.Set("X-CloudScheduler-ScheduleTime", at)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			return w.Code
		}
		for at, want := range map[string]int{"2026-11-27T17:05:00Z": 204, "2026-11-27T17:05:00.123456Z": 204, "2026-11-28T02:05:00+09:00": 204, "": 400, "17:05": 400} {
			due = time.Time{}
			if got := sweep(at); got != want || (got == 204) != due.Truncate(time.Second).Equal(time.Date(2026, 11, 27, 17, 5, 0, 0, time.UTC)) {
				t.Errorf("%q: status %d, due %v", at, got, due)
			}
		}
		if before != 5 {
			t.Errorf("Before was called %d times", before)
		}
		do = func(context.Context) error { return errAway }
		if got := sweep("2026-11-27T17:05:00Z"); got != 500 {
			t.Errorf("status %d", got)
		}
		do = func(context.Context) error { panic("poison") }
		if got := sweep("2026-11-27T17:05:00Z"); got != 500 {
			t.Errorf("status %d", got)
		}
		began := time.Now()
		do = func(ctx context.Context) error { // which has time to say how far it came
			<-ctx.Done()
			return ctx.Err()
		}
		if got, took := sweep("2026-11-27T17:05:00Z"), time.Since(began); got != 503 || took != 10*time.Second-answerMargin-time.Second {
			t.Errorf("status %d after %v", got, took)
		}
	})
}

// TestPushLogsBelongToTheTrace: what is logged of a request is found by it.
func TestPushLogsBelongToTheTrace(t *testing.T) {
	var log bytes.Buffer
	u := newSettler(func(context.Context, []stream.Record) error { panic("poison") })
	u.Log = cloudlogging.Logger(&log, slog.LevelInfo)
	p := &Push{Settler: &u.Settler, Token: anybody, Log: u.Log, Project: "my-project"}
	r := request(t, "/", packed(t, "a"), false)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	p.ServeHTTP(httptest.NewRecorder(), r)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Errorf("%d lines: %s", len(lines), &log)
	}
	for _, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil || got["logging.googleapis.com/trace"] != "projects/my-project/traces/0af7651916cd43dd8448eb211c80319c" || got["severity"] != "ERROR" {
			t.Errorf("%v: %s", err, line)
		}
	}
}

// TestParallelPushes: of 64 at a time, through a server, while callers leave, every
// one gets its own answer, what is acknowledged is booked, and who left is not
// worked for.
func TestParallelPushes(t *testing.T) {
	const callers, each = 64, 12
	var mu sync.Mutex
	entered := map[string]chan struct{}{} // closed when the handler has the record
	ended := map[string]chan struct{}{}   // closed when its context ended
	u := newSettler(nil)
	u.Log = quiet
	u.Calls = callers // so that nobody shares a call
	u.Handler = func(ctx context.Context, records []stream.Record) error {
		if err := book(ctx, records...); err != nil {
			return err
		}
		name := string(records[0].Data)
		mu.Lock()
		in, out := entered[name], ended[name]
		mu.Unlock()
		switch kind, _, _ := strings.Cut(name, " "); kind {
		case "fails":
			return errAway
		case "late":
			return context.DeadlineExceeded
		case "panics":
			panic(name)
		case "waits":
			close(in)
			<-ctx.Done()
			close(out)
			return ctx.Err()
		}
		return nil
	}
	server := httptest.NewServer(&Push{Settler: &u.Settler, Token: anybody, Log: quiet, Timeout: time.Minute})
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	status := map[string]int{"done": 204, "fails": 500, "late": 503, "panics": 500, "none": 400}
	kinds := []string{"done", "fails", "late", "panics", "none", "waits", "leaves"}
	var acknowledged, left sync.Map
	var wg sync.WaitGroup
	for caller := range callers {
		rng := rand.New(rand.NewPCG(uint64(caller), 1))
		wg.Go(func() {
			for n := range each {
				kind := kinds[rng.IntN(len(kinds))]
				name := fmt.Sprintf("%s %d.%d", kind, caller, n)
				in, out := make(chan struct{}), make(chan struct{})
				mu.Lock()
				entered[name], ended[name] = in, out
				mu.Unlock()
				m := packed(t, name)
				r := request(t, server.URL+"/", m, rng.IntN(2) == 0)
				if kind == "none" {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{}")), 2
					r.Header.Del("x-goog-pubsub-message-id")
				}
				ctx, cancel := context.WithCancel(t.Context())
				switch kind {
				case "waits": // until its caller leaves
					go func() { <-in; cancel() }()
				case "leaves": // at any time
					time.AfterFunc(time.Duration(rng.IntN(3000))*time.Microsecond, cancel)
				}
				resp, err := client.Do(r.WithContext(ctx))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				switch {
				case kind == "waits":
					if !errors.Is(err, context.Canceled) {
						t.Errorf("%s: %v", name, err)
					}
					<-out
				case kind == "leaves" && err != nil:
					left.Store(m.Attributes["id"], true)
				case err != nil:
					t.Errorf("%s: %v", name, err)
				case kind == "leaves" && resp.StatusCode != 204 || kind != "leaves" && resp.StatusCode != status[kind]:
					t.Errorf("%s: status %d", name, resp.StatusCode)
				case resp.StatusCode == 204:
					acknowledged.Store(m.Attributes["id"], true)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	server.Close() // waits for those whose callers left
	booked := 0
	acknowledged.Range(func(id, _ any) bool {
		booked++
		if u.books.counts[id.(string)+".0"].Scored != 2 {
			t.Errorf("%s is acknowledged, and not booked", id)
		}
		return true
	})
	for id := range u.books.counts {
		id, _, _ := strings.Cut(id, ".")
		_, acked := acknowledged.Load(id)
		if _, gone := left.Load(id); !acked && !gone {
			t.Errorf("%s is booked, and not acknowledged", id)
		}
	}
	if booked < callers {
		t.Errorf("only %d were acknowledged: this shows too little", booked)
	}
}
