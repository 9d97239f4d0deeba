package functions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHTTPEndsInTime(t *testing.T) {
	for _, c := range []struct{ timeout, margin, want time.Duration }{
		{0, 0, 59500 * time.Millisecond},
		{10 * time.Second, 0, 9500 * time.Millisecond},
		{10 * time.Second, time.Second, 9 * time.Second},
		{10 * time.Second, 3 * time.Second, 7500 * time.Millisecond}, // a quarter at most
		{400 * time.Millisecond, 0, 300 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			h := &HTTP{Timeout: c.timeout, Margin: c.margin, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				if got := time.Since(began); got != c.want {
					t.Errorf("of %v with margin %v the request had %v, want %v", c.timeout, c.margin, got, c.want)
				}
				w.WriteHeader(503)
			})}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			if w.Code != 503 {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	// Whoever calls may have less time.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := &HTTP{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Context().Err() == nil {
			t.Error("the caller is gone, and the request goes on")
		}
	})}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
}

// TestBeforeComesFirst: once for every request.
func TestBeforeComesFirst(t *testing.T) {
	var order []string
	h := &HTTP{
		Before: func(ctx context.Context) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("it has no end")
			}
			order = append(order, "before")
		},
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { order = append(order, "serve") }),
	}
	for range 2 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	}
	if got := strings.Join(order, " "); got != "before serve before serve" {
		t.Error(got)
	}
}

const failed = `{"success":false,"error":{"code":"internal","message":"the server failed"}}`

// TestHTTPPanics: a handler that panics is answered for, unless it has answered.
func TestHTTPPanics(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		body    string // else the connection breaks
		log     string
	}{
		"at once": {func(http.ResponseWriter, *http.Request) { panic("poison") }, failed, "poison"},
		"an error": {func(http.ResponseWriter, *http.Request) {
			panic(errAway)
		}, failed, errAway.Error()},
		"with headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.Header().Set("Content-Type", "image/gif")
			w.Header().Set("Cache-Control", "max-age=3600")
			panic("poison")
		}, failed, "poison"},
		"after a status": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			panic("poison")
		}, "", "poison"},
		"after some": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "some")
			panic("poison")
		}, "", "poison"},
		"after a flush": {func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
			panic("poison")
		}, "", "poison"},
		"given up": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log written
			server := httptest.NewUnstartedServer(&HTTP{Handler: c.handler, Log: slog.New(slog.NewJSONHandler(&log, nil))})
			server.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelError)
			server.Start()
			defer server.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/track?secret=1", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := server.Client().Do(req)
			var body []byte
			if err == nil {
				body, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			switch {
			case c.body == "":
				if err == nil {
					t.Errorf("%s with %q looks whole", resp.Status, body)
				}
			case err != nil || resp.StatusCode != 500 || string(body) != c.body || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "":
				t.Errorf("%v, %q, %v", resp, body, err)
			}
			server.Close()
			if got := log.String(); (c.log == "") != (got == "") || !strings.Contains(got, c.log) || strings.Contains(got, "secret") || got != "" && !strings.Contains(got, "functions_test.go") {
				t.Errorf("log: %s", got)
			}
		})
	}
}

// TestParallelRequests: each gets its own answer, while callers leave.
func TestParallelRequests(t *testing.T) {
	h := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Header.Get("X-Wait") != "" {
			<-r.Context().Done() // which only one who has read the body sees
			return
		}
		w.Header().Set("X-Echo", r.Header.Get("X-Key"))
		_, _ = w.Write(body)
	})}
	server := httptest.NewServer(h)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for caller := range 64 {
		wg.Go(func() {
			for n := range 20 {
				key := fmt.Sprintf("%d.%d ", caller, n)
				want := bytes.Repeat([]byte(key), 1+(caller*n)%500)
				ctx, cancel := context.WithCancel(t.Context())
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, bytes.NewReader(want))
				if err != nil {
					t.Error(err)
				}
				r.Header.Set("X-Key", key)
				if leaves := (caller+n)%5 == 0; leaves {
					r.Header.Set("X-Wait", "1")
					time.AfterFunc(time.Millisecond, cancel)
					if _, err := client.Do(r); !errors.Is(err, context.Canceled) {
						t.Errorf("it left: %v", err)
					}
					continue
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Error(err)
					cancel()
					continue
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				cancel()
				if err != nil || !bytes.Equal(got, want) || resp.Header.Get("X-Echo") != strings.TrimSpace(key) {
					t.Errorf("%q was answered with %q, %.20q, %v", key, resp.Header.Get("X-Echo"), got, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestHTTPPassesOn: what a handler answers is what is answered.
func TestHTTPPassesOn(t *testing.T) {
	h := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), http.Header{"X-A": {"1", "2"}})
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.URL.Path)
	})}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/caf%C3%A9", http.NoBody))
	if w.Code != http.StatusTeapot || w.Body.String() != "/v1/café" || len(w.Header()["X-A"]) != 2 {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}
