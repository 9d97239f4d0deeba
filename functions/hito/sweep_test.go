package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/config"
	"github.com/hitolayer/hito/shared/profile"
)

// TestSweepDecidesWhatTimeAndRulesChange: nobody sends anything, and still
// people leave a segment whose time is over and enter one that is new.
func TestSweepDecidesWhatTimeAndRulesChange(t *testing.T) {
	dir := t.TempDir()
	c := config.Server{Data: dir, Projects: filepath.Join(dir, "projects"), Memory: 128 << 20, Retention: time.Hour, DiskLimit: 1 << 30}
	if err := layOut(c.Projects); err != nil {
		t.Fatal(err)
	}
	rules := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(c.Projects, "shop.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rules("segments:\n  fresh: now - last_seen < duration('1s')\n  old: events.total > 0\n")
	p, err := openPipeline(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.db.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	server := httptest.NewServer(p.handler(t.Context(), c))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/batch", strings.NewReader(
		`{"batch":[{"type":"page","anonymousId":"a","messageId":"1"},{"type":"page","anonymousId":"b","messageId":"2"},{"type":"identify","anonymousId":"b","userId":"u","messageId":"3"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("demo", "")
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	sizes := func(want map[string]int64) bool {
		totals, err := p.db.Ledger().Totals(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		for s, n := range want {
			if totals.Segments[s] != n {
				t.Logf("segments %v, want %v", totals.Segments, want)
				return false
			}
		}
		return true
	}
	// until polls: a sweep, then a look.
	until := func(want map[string]int64) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !sizes(want); {
			if time.Now().After(deadline) {
				t.Fatal("not in time")
			}
			if err := p.sweepProject(t.Context(), "shop", func(key profile.Key, cause any) { t.Error(key, cause) }); err != nil {
				t.Fatal(err)
			}
			pause(t.Context(), 20*time.Millisecond)
		}
	}
	until(map[string]int64{"old": 2})
	until(map[string]int64{"fresh": 0, "old": 2})
	rules("segments:\n  users: user_id != ''\n")
	if err := p.registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(map[string]int64{"fresh": 0, "old": 0, "users": 1})
}
