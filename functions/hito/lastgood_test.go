package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRestartWithABrokenFileLosesNoMetrics: a file that was broken when the
// process began cost every event its metrics, and the project its service.
func TestRestartWithABrokenFileLosesNoMetrics(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	shop, keys := filepath.Join(dir, "projects", "shop.yaml"), filepath.Join(dir, "projects", "keys.yaml")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	revenue := func(want float64) {
		t.Helper()
		var p struct{ Metrics map[string]any }
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if err := get(c.url+"/v1/profiles/anonymous_id:a1", &p); err == nil && p.Metrics["turnover"] == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("metrics are %v, want a turnover of %v", p.Metrics, want)
			}
		}
	}
	sent := 0
	order := func() {
		t.Helper()
		for range 3 {
			sent++
			id := "order-" + strconv.Itoa(sent)
			hito(t, c, "send", "--type", "track", "--name", "Order Completed", "--anonymous-id", "a1", "-p", "revenue=10", "--message-id", id)
			hito(t, c, "profile", "anonymous_id:a1", "--after", id)
		}
	}
	const good = "metrics:\n  turnover: {kind: sum, event: Order Completed, value: properties.revenue}\n"
	write(shop, good)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		kept, err := os.ReadFile(filepath.Join(dir, "lastgood", "shop.yaml"))
		if err == nil && string(kept) == good {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("kept %q, %v", kept, err)
		}
	}
	order()
	revenue(30)
	write(shop, strings.Replace(good, "sum", "some", 1))
	order()
	revenue(60)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.gone
	write(keys, "shop: [")
	c = start(t, dir)
	order()
	revenue(90)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.gone
	// Keys that are gone must not bring back the sample's.
	for _, path := range []string{shop, keys} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	c = start(t, dir)
	if _, err := os.Stat(keys); err == nil {
		t.Error("the sample was laid out again")
	}
	order()
	write(shop, good)
	revenue(120)
}
