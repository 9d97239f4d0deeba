package rest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const secret = "ya29.hush-hush"

// metadata is the metadata server of a machine of Google's, as far as it gives
// tokens out. https://cloud.google.com/compute/docs/access/authenticate-workloads
type metadata struct {
	asked   atomic.Int64 // for tokens
	trouble atomic.Pointer[http.HandlerFunc]
}

func (m *metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Metadata-Flavor", "Google")
	if !strings.HasSuffix(r.URL.Path, "/service-accounts/default/token") {
		http.NotFound(w, r)
		return
	}
	m.asked.Add(1)
	if trouble := m.trouble.Load(); trouble != nil {
		(*trouble)(w, r)
		return
	}
	if r.Header.Get("Metadata-Flavor") != "Google" {
		http.Error(w, "no such header", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, secret)
}

func nothing(string) (string, bool) { return "", false }

// onGoogle has this process run where a metadata server is, and returns a client.
func onGoogle(t *testing.T, m *metadata, url string) *Client {
	t.Helper()
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(s.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	c, err := NewClient(nothing, "X_EMULATOR_HOST", url)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestToken: calls carry a token, which is asked for once.
func TestToken(t *testing.T) {
	m, a := &metadata{}, &api{troubles: []http.HandlerFunc{status(503)}}
	c := onGoogle(t, m, a.serve(t))
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			if _, err := c.Do(t.Context(), http.MethodGet, "/x", nil, 100); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	for _, r := range a.asked {
		if r.Header.Get("Authorization") != "Bearer "+secret {
			t.Errorf("a call came with %q", r.Header.Get("Authorization"))
		}
	}
	if m.asked.Load() != 1 || a.calls() != 9 {
		t.Errorf("%d tokens for %d calls", m.asked.Load(), a.calls())
	}
}

// TestTokenIsNotTold: neither by an error nor by what is logged meanwhile.
func TestTokenIsNotTold(t *testing.T) {
	var logged bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Setenv("GOOGLE_SDK_GO_LOGGING_LEVEL", "debug")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = stderr }()
	for _, trouble := range []http.HandlerFunc{status(401), status(403), reset, breakOff} {
		a := &api{troubles: []http.HandlerFunc{trouble, trouble, trouble, trouble, trouble, trouble, trouble}}
		c := onGoogle(t, &metadata{}, a.serve(t))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := c.Do(ctx, http.MethodGet, "/x", nil, 100)
		cancel()
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); err == nil || strings.Contains(text, secret) {
			t.Errorf("error %s", text)
		}
	}
	os.Stderr = stderr
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := io.ReadAll(r)
	if err != nil || bytes.Contains(written, []byte(secret)) || strings.Contains(logged.String(), secret) {
		t.Errorf("logged %s%s, %v", &logged, written, err)
	}
}

// TestNoToken: a metadata server that gives none is told of, and holds nobody for
// longer than was allowed.
func TestNoToken(t *testing.T) {
	m, a := &metadata{}, &api{}
	c := onGoogle(t, m, a.serve(t))
	do := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := c.Do(ctx, http.MethodGet, "/x", nil, 100)
		return err
	}
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no service account", http.StatusNotFound) })
	m.trouble.Store(&refuse)
	if err := do(200 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "no service account") && !strings.Contains(err.Error(), "not defined") {
		t.Errorf("without a service account: %v", err)
	}
	ends := make(chan struct{})
	defer close(ends)
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ends:
		case <-r.Context().Done():
		}
	})
	m.trouble.Store(&hang)
	if err := do(100 * time.Millisecond); err == nil { // or it hangs
		t.Error("no error of a metadata server that does not answer")
	}
	m.trouble.Store(nil)
	if err := do(10 * time.Second); err != nil || a.calls() != 1 {
		t.Errorf("once it answers: %v after %d calls", err, a.calls())
	}
}
