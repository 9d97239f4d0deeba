package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// api does what it is told to first, and then answers with a document.
type api struct {
	mu       sync.Mutex
	asked    []*http.Request
	troubles []http.HandlerFunc
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, r)
	var trouble http.HandlerFunc
	if len(a.troubles) > 0 {
		trouble, a.troubles = a.troubles[0], a.troubles[1:]
	}
	a.mu.Unlock()
	if trouble != nil {
		trouble(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Goog-Generation", "7")
	_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
}

func (a *api) calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func (a *api) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return s.URL
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		if code != http.StatusNotModified {
			_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":"told to","status":"X"}}`, code)
		}
	}
}

// reset closes the connection in place of an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// breakOff promises more than it sends.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "half of")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// breakOffUntold ends in the middle of an answer that does not say how long it is.
func breakOffUntold(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "half of")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// emulated returns a client that takes the API for an emulator.
func emulated(t *testing.T, host string) *Client {
	t.Helper()
	c, err := NewClient(func(name string) (string, bool) { return host, name == "X_EMULATOR_HOST" }, "X_EMULATOR_HOST", "https://x.googleapis.com")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEmulator: its variable is a host and port, or a URL.
func TestEmulator(t *testing.T) {
	a := &api{}
	url := a.serve(t)
	for _, host := range []string{url, url + "/", strings.TrimPrefix(url, "http://")} {
		answer, err := emulated(t, host).Do(t.Context(), http.MethodPost, "/v1/x?y=%2F", []byte("body"), 100)
		if err != nil || string(answer.Body) != "POST /v1/x?y=%2F body" || answer.Header.Get("X-Goog-Generation") != "7" {
			t.Errorf("%s: %q, %v", host, answer.Body, err)
		}
	}
	for _, r := range a.asked {
		if r.Header.Get("Authorization") != "" {
			t.Error("an emulator was told who calls")
		}
	}
}

// TestAgain: what passes is tried again, with the same body.
func TestAgain(t *testing.T) {
	for name, trouble := range map[string]http.HandlerFunc{
		"408": status(408), "429": status(429), "500": status(500), "502": status(502), "503": status(503), "504": status(504),
		"reset": reset, "broken off": breakOff, "broken off, of no length": breakOffUntold,
	} {
		a := &api{troubles: []http.HandlerFunc{trouble, trouble}}
		c := emulated(t, a.serve(t))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if answer, err := c.Do(ctx, http.MethodPost, "/x", []byte("body"), 100); err != nil || string(answer.Body) != "POST /x body" || a.calls() < 3 {
			t.Errorf("%s: %q, %v after %d calls", name, answer.Body, err, a.calls())
		}
	}
}

// TestRefused: what another attempt would not change is not tried again, and what
// Google says of it is told.
func TestRefused(t *testing.T) {
	for _, code := range []int{304, 400, 401, 403, 404, 409, 412} {
		a := &api{troubles: []http.HandlerFunc{status(code)}}
		answer, err := emulated(t, a.serve(t)).Do(t.Context(), http.MethodGet, "/x", nil, 100)
		if StatusOf(err) != code || a.calls() != 1 || answer.Body != nil || code != 304 && err.Error() != fmt.Sprintf("%d %s: told to", code, http.StatusText(code)) {
			t.Errorf("%d: %q, %v after %d calls", code, answer.Body, err, a.calls())
		}
	}
	for said, want := range map[string]string{
		"No such object: a/b\n":            "404 Not Found: No such object: a/b",
		"":                                 "404 Not Found",
		`{"error":"x"}`:                    `404 Not Found: {"error":"x"}`,
		strings.Repeat("x", 10*maxMessage): "404 Not Found: " + strings.Repeat("x", 200),
	} {
		a := &api{troubles: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, said)
		}}}
		if _, err := emulated(t, a.serve(t)).Do(t.Context(), http.MethodGet, "/x", nil, 100); err == nil || err.Error() != want {
			t.Errorf("said %.30q, told %.300v", said, err)
		}
	}
	if StatusOf(nil) != 0 || StatusOf(io.EOF) != 0 || StatusOf(fmt.Errorf("x: %w", &Error{Status: 404})) != 404 {
		t.Error("an error has another's status")
	}
}

// TestBounded: of an answer no more is read than tells that it is too large.
func TestBounded(t *testing.T) {
	a := &api{troubles: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil { // for as long as somebody reads
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}}}
	answer, err := emulated(t, a.serve(t)).Do(t.Context(), http.MethodGet, "/x", nil, 1000)
	if err != nil || len(answer.Body) != 1001 || a.calls() != 1 {
		t.Errorf("%d bytes, %v after %d calls", len(answer.Body), err, a.calls())
	}
	a = &api{troubles: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1000)) }}}
	if answer, err := emulated(t, a.serve(t)).Do(t.Context(), http.MethodGet, "/x", nil, 1000); err != nil || len(answer.Body) != 1000 {
		t.Errorf("%d bytes, %v", len(answer.Body), err)
	}
}

// transportFunc answers in place of a network.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTime: an attempt that hangs is given up for another one, the waits between
// attempts are short, and the last attempt ends with the caller's time.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		hang := 2
		c := &Client{URL: "http://x", HTTP: &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			if asked++; asked <= hang {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("fine")), ContentLength: 4}, nil
		})}}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if answer, err := c.Do(ctx, http.MethodGet, "/", nil, 10); string(answer.Body) != "fine" || err != nil || asked != 3 {
			t.Errorf("%q, %v after %d calls", answer.Body, err, asked)
		}
		if took := time.Since(began); took < 2*attemptTimeout || took > 2*attemptTimeout+150*time.Millisecond {
			t.Errorf("two attempts that hang took %s", took)
		}
		asked, hang, began = 0, 1000, time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := c.Do(ctx, http.MethodGet, "/", nil, 10)
		if !errors.Is(err, context.DeadlineExceeded) || asked != 3 || time.Since(began) > 5*time.Second {
			t.Errorf("%v after %d calls in %s", err, asked, time.Since(began))
		}
		// Called off between attempts, and before the first.
		asked = 0
		c.HTTP.Transport = transportFunc(func(*http.Request) (*http.Response, error) {
			asked++
			return &http.Response{StatusCode: 503, Body: io.NopCloser(strings.NewReader(`{"error":{"message":"down"}}`))}, nil
		})
		ctx, off := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, off)
		began = time.Now()
		if _, err := c.Do(ctx, http.MethodGet, "/", nil, 10); !errors.Is(err, context.Canceled) || StatusOf(err) != 503 || !strings.Contains(err.Error(), "down") || time.Since(began) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if asked < 100 || asked > 300 { // of half a second at most each, and half of that at least
			t.Errorf("%d attempts in a minute", asked)
		}
	})
	ctx, off := context.WithCancel(t.Context())
	off()
	a := &api{}
	if _, err := emulated(t, a.serve(t)).Do(ctx, http.MethodGet, "/", nil, 10); !errors.Is(err, context.Canceled) || a.calls() != 0 {
		t.Errorf("%v after %d calls", err, a.calls())
	}
}
