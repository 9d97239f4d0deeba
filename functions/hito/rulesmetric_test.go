package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStoppedRulesAreMeasured: an operator must see on /metrics that a rule was stopped.
func TestStoppedRulesAreMeasured(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	const ten = "[0,1,2,3,4,5,6,7,8,9].all("
	costly := ten + "a, " + ten + "b, " + ten + "c, " + ten + "d, a + b + c + d >= 0))))"
	if err := os.WriteFile(filepath.Join(dir, "projects", "shop.yaml"), []byte("segments:\n  costly: |\n    "+costly+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hito(t, c, "send", "--type", "page", "--anonymous-id", "a1")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_ = get(c.url+"/v1/profiles/anonymous_id:a1", nil) // not found at first; it evaluates the rules
		resp, err := http.Get(c.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), `hito_rules_disabled{project="shop"} 1`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no stopped rule is measured")
		}
	}
}
