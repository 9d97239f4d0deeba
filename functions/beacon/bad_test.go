package beacon

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
)

func zip(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGzipWhateverTheHeadersSay(t *testing.T) {
	body := `{"batch":[{"type":"page","userId":"u"}]}`
	for _, headers := range [][]string{
		{"Content-Type", "application/x-www-form-urlencoded"},
		{"Content-Encoding", "gzip", "Content-Type", "application/json"},
		{"Content-Encoding", "br"},
		nil,
	} {
		for _, body := range []string{body, zip(t, body)} {
			c := new(capture)
			res := do(c.handler(), "POST", "/v1/batch", body, append(headers, "Authorization", basic)...)
			if res.StatusCode != 200 || len(c.events(t)) != 1 {
				t.Errorf("%v: %d %s", headers, res.StatusCode, text(t, res))
			}
		}
	}
}

// badRequests are refused whole, with what they get.
func badRequests(t testing.TB) map[string]struct {
	body   string
	status int
	reason string
} {
	page := `{"type":"page","userId":"u"}`
	type want = struct {
		body   string
		status int
		reason string
	}
	return map[string]want{
		"empty":               {"", 400, "bad_json"},
		"not JSON":            {"hello", 400, "bad_json"},
		"half":                {`{"batch":[` + page, 400, "bad_json"},
		"NaN":                 {`{"batch":[{"type":"page","userId":NaN}]}`, 400, "bad_json"},
		"an array":            {`[` + page + `]`, 400, "bad_shape"},
		"no batch":            {page, 400, "bad_shape"},
		"deep":                {`{"batch":[` + strings.Repeat(`[`, 200_000), 400, "bad_json"},
		"deep in an event":    {`{"batch":[{"properties":` + strings.Repeat(`{"a":`, 80_000), 400, "bad_json"},
		"too large":           {`{"batch":["` + strings.Repeat("x", event.MaxBatchSize) + `"]}`, 413, "too_large"},
		"too many":            {`{"batch":[` + page + strings.Repeat(","+page, event.MaxEvents) + `]}`, 413, "too_many_events"},
		"gzip bomb":           {zip(t, strings.Repeat(" ", 20<<20)+`{}`), 413, "too_large"},
		"half a gzip":         {zip(t, page)[:20], 400, "unreadable_body"},
		"gzip's head":         {"\x1f\x8b\x08", 400, "unreadable_body"},
		"gzip of gzip":        {zip(t, zip(t, page)), 400, "bad_json"},
		"NUL bytes":           {strings.Repeat("\x00", 1000), 400, "bad_json"},
		"UTF-16":              {"\xff\xfe{\x00}\x00", 400, "bad_json"},
		"more after the body": {`{"batch":[]}{"batch":[]}`, 400, "bad_json"},
	}
}

func TestBadRequests(t *testing.T) {
	for name, c := range badRequests(t) {
		cap := new(capture)
		res := do(cap.handler(), "POST", "/v1/batch", c.body, "Authorization", basic)
		if res.StatusCode != c.status || res.Header.Get("Hito-Reason") != c.reason {
			t.Errorf("%s: %d %s, want %d %s", name, res.StatusCode, res.Header.Get("Hito-Reason"), c.status, c.reason)
		}
		checkError(t, text(t, res), c.reason)
		if len(cap.records)+len(cap.entries) != 0 || cap.metrics["beacon.requests_refused"] != 1 {
			t.Errorf("%s: %d records, %d entries, %v", name, len(cap.records), len(cap.entries), cap.metrics)
		}
	}
}

// One connection carries bad requests of every kind and good ones in between.
func TestConnectionStaysUsable(t *testing.T) {
	c := new(capture)
	server := httptest.NewServer(c.handler())
	defer server.Close()
	dials := 0
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}}
	defer client.CloseIdleConnections()
	send := func(method, path, key, body string) (int, string, bool) {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		r, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Write-Key", key)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b), reused
	}
	good := func(after string) {
		status, _, reused := send("POST", "/v1/page", "demo", `{"userId":"u"}`)
		if status != 200 || !reused {
			t.Errorf("after %s: %d, connection reused: %v", after, status, reused)
		}
	}
	send("POST", "/v1/page", "demo", `{"userId":"u"}`)
	for name, b := range badRequests(t) {
		if status, _, _ := send("POST", "/v1/batch", "demo", b.body); status != b.status {
			t.Errorf("%s: %d", name, status)
		}
		good(name)
	}
	large := strings.Repeat("x", 1<<20)
	for _, r := range []struct {
		method, path, key string
		status            int
	}{{"POST", "/v1/batch", "other", 401}, {"POST", "/nowhere", "demo", 404}, {"PUT", "/v1/batch", "demo", 405}, {"POST", "/v1/m", "demo", 200}} {
		if status, _, _ := send(r.method, r.path, r.key, large); status != r.status {
			t.Errorf("%v: %d", r, status)
		}
		good(fmt.Sprint(r))
	}
	if dials != 1 {
		t.Errorf("%d connections", dials)
	}
	// What is endless is cut off.
	if status, _, _ := send("POST", "/v1/batch", "demo", strings.Repeat("x", 2*maxDrain)); status != 413 {
		t.Error(status)
	}
}

// A bomb may not take memory for what it would inflate to.
func TestGzipBombIsBounded(t *testing.T) {
	bomb := zip(t, strings.Repeat(" ", 60<<20))
	h := new(capture).handler()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		if res := do(h, "POST", "/v1/batch", bomb, "Authorization", basic); res.StatusCode != 413 {
			t.Fatal(res.StatusCode)
		}
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) / 20; took > 4<<20 {
		t.Errorf("%d bytes a bomb", took)
	}
}

func TestStorageFails(t *testing.T) {
	const mixed = `{"batch":[{"type":"page","userId":"u","messageId":"m1"},{"type":"page","messageId":"m2"}]}`
	for name, fail := range map[string]func(c *capture){
		"publish":    func(c *capture) { c.fail = errors.New("no space left on device") },
		"quarantine": func(c *capture) { c.failPut = errors.New("no space left on device") },
	} {
		c := new(capture)
		fail(c)
		h := c.handler()
		res := do(h, "POST", "/v1/batch", mixed, "Authorization", basic)
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || res.Header.Get("Hito-Reason") != "unavailable" || len(c.records) != 0 {
			t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
		}
		checkError(t, text(t, res), "unavailable")
		// Space returns, the client tries again: nothing is there twice.
		c.fail, c.failPut = nil, nil
		if res := do(h, "POST", "/v1/batch", mixed, "Authorization", basic); res.StatusCode != 200 || len(c.events(t)) != 1 {
			t.Errorf("%s: then %d", name, res.StatusCode)
		}
		for _, e := range c.entries {
			if e.ID != c.entries[0].ID {
				t.Errorf("%s: the retry made another entry", name)
			}
		}
	}
}

func TestRequestIsGivenUp(t *testing.T) {
	c := new(capture)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "POST", "/v1/page", strings.NewReader(`{"userId":"u","writeKey":"demo"}`))
	w := httptest.NewRecorder()
	c.handler().ServeHTTP(w, r)
	if w.Code != 503 || len(c.records) != 0 {
		t.Error(w.Code)
	}
}

// No wrong value in any field costs a neighbour, and all of them are somewhere.
func TestWrongTypesEverywhere(t *testing.T) {
	values := []string{`null`, `true`, `0`, `-1e999`, `123456789012345678901234567890`, `""`, `"x"`, `"\u0000"`, "\"\x00\xff\"", `[]`, `[1]`, `{}`, `{"a":{"ip":1}}`, `"` + strings.Repeat("y", 5000) + `"`, strings.Repeat("9", 3000)}
	fields := []string{"type", "messageId", "userId", "anonymousId", "previousId", "groupId", "event", "name", "category", "timestamp", "originalTimestamp", "sentAt", "receivedAt", "properties", "traits", "context", "integrations", "writeKey", "channel", "version", "_metadata"}
	for _, typ := range []string{"track", "page", "screen", "identify", "group", "alias"} {
		for _, field := range fields {
			for _, value := range values {
				c := new(capture)
				bad := `{"type":"` + typ + `","event":"e","userId":"u","previousId":"p","groupId":"g","` + field + `":` + value + `}`
				body := `{"batch":[{"type":"page","userId":"before"},` + bad + `,{"type":"page","userId":"after"}]}`
				res := do(c.handler(), "POST", "/v1/batch", body, "Authorization", basic)
				events := c.events(t)
				if res.StatusCode != 200 || len(events)+len(c.entries) != 3 || len(events) < 2 {
					t.Fatalf("%.200s: %d, %d events, %v", bad, res.StatusCode, len(events), c.reasons())
				}
				for _, e := range events {
					if e.Timestamp <= 0 || e.Timestamp > received.UnixMilli() {
						t.Errorf("%.200s: timestamp %d", bad, e.Timestamp)
					}
				}
				// The same in the batch's own fields must not lose the batch's events.
				if field != "writeKey" {
					c := new(capture)
					res := do(c.handler(), "POST", "/v1/batch", `{"`+field+`":`+value+`,"batch":[{"type":"page","userId":"u"}]}`, "Authorization", basic)
					if res.StatusCode != 200 || len(c.events(t)) != 1 {
						t.Errorf("batch's %s %.40s: %d", field, value, res.StatusCode)
					}
				}
			}
		}
	}
}

func TestManyTinyEvents(t *testing.T) {
	c := new(capture)
	res := do(c.handler(), "POST", "/v1/batch", `{"batch":[`+strings.Repeat(`{"type":"page","userId":"u"},`, event.MaxEvents-1)+`7]}`, "Authorization", basic)
	if events := c.events(t); res.StatusCode != 200 || len(events) != event.MaxEvents-1 || !slices.Equal(c.reasons(), []string{"not_an_object"}) {
		t.Errorf("%d, %d events, %v", res.StatusCode, len(events), c.reasons())
	}
}

// What one request leaves in reused memory must not show in another's records.
func TestConcurrentRequests(t *testing.T) {
	c := new(capture)
	h := c.handler()
	done := make(chan string)
	for w := range 8 {
		go func() {
			for i := range 50 {
				id := fmt.Sprintf("w%d-%d", w, i)
				body := fmt.Sprintf(`{"batch":[{"type":"track","event":"%s","userId":"%s","properties":{"id":"%s"},"context":{"ip":"1.2.3.4","id":"%s"}},{"type":"page","messageId":"%s"}]}`, id, id, id, id, id)
				if i%2 == 0 {
					body = zip(t, body)
				}
				if res := do(h, "POST", "/v1/batch", body, "Authorization", basic); res.StatusCode != 200 {
					done <- fmt.Sprint(res.StatusCode)
					return
				}
			}
			done <- ""
		}()
	}
	for range 8 {
		if problem := <-done; problem != "" {
			t.Error(problem)
		}
	}
	events := c.events(t)
	if len(events) != 400 || len(c.entries) != 400 {
		t.Fatal(len(events), len(c.entries))
	}
	for _, e := range events {
		if want := `{"id":"` + e.UserId + `"}`; e.Name != e.UserId || string(e.Properties) != want || string(e.Context) != want {
			t.Errorf("mixed up: %v", e)
		}
	}
}

func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"batch":[{"type":"page","userId":"u"}]}`))
	f.Add([]byte(zip(f, `{"batch":[{"type":"page","userId":"u"}]}`)))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte(zip(f, strings.Repeat(" ", 1<<20))))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := new(capture)
		res := do(c.handler(), "POST", "/v1/batch", string(body), "Authorization", basic, "Hito-Receipts", "1")
		switch res.StatusCode {
		case 200, 400, 413:
		default:
			t.Fatalf("%d of %q", res.StatusCode, body)
		}
		c.events(t)
	})
}

// A disk that is full, perhaps with the log on it, fails every request.
func TestFailuresAreLoggedOnceASecond(t *testing.T) {
	var log bytes.Buffer
	c := &capture{fail: errors.New("no space left on device")}
	h := c.handler()
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	now := received
	h.Now = func() time.Time { return now }
	for range 3 {
		for range 10 {
			do(h, "POST", "/v1/page", `{"userId":"u"}`, "Authorization", basic)
		}
		now = now.Add(time.Second)
	}
	if n := strings.Count(log.String(), "no space left"); n != 3 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}
