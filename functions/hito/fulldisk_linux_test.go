package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFullDisk fills the disk of the real process: it answers 503 with
// Retry-After, never 200, /healthz says so, and it recovers without a restart.
func TestFullDisk(t *testing.T) {
	data := t.TempDir()
	// The probe mounts as the test does: whatever fails afterwards is a failure.
	const mount = `mount -t tmpfs -o size=48m none "$HITO_DATA"`
	probe := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount)
	probe.Env = append(os.Environ(), "HITO_DATA="+data)
	if out, err := probe.CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("cannot make a small disk, so that a full one is NOT tested here: %v: install util-linux's unshare and allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)\n%s", err, out))
	}
	// A small disk of its own, which needs no privileges in a user namespace.
	cmd := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount",
		"sh", "-c", mount+" && exec hito run")
	log := &lockedBuffer{}
	c, err := startCommand(cmd, data, log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() {
		_ = c.stop() // checked below
		if t.Failed() {
			t.Logf("the server's log:\n%s", log)
		}
	})
	hito(t, c, "send", "--type", "page", "--anonymous-id", "a1", "--message-id", "before")

	// The server's mount is seen through its /proc entry.
	filler := filepath.Join("/proc", fmt.Sprint(c.cmd.Process.Pid), "root", data, "filler")
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 64<<10); err == nil; {
		_, err = file.Write(block)
		if errors.Is(err, syscall.ENOSPC) && len(block) > 1 {
			block, err = block[:len(block)/2], nil
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	// Some bytes may still fit into the log's last block; then none do.
	accepted := map[string]bool{"before": true}
	var refused *http.Response
	for i := 0; refused == nil; i++ {
		id := fmt.Sprintf("full-%d", i)
		resp, err := http.Post(c.url+"/v1/page?writeKey=demo", "text/plain",
			strings.NewReader(`{"anonymousId":"a1","messageId":"`+id+`","properties":{"filling":"`+strings.Repeat("x", 16<<10)+`"}}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			accepted[id] = true
		} else {
			refused = resp
		}
		if i > 10_000 {
			t.Fatal("a full disk takes everything")
		}
	}
	if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" || refused.Header.Get("Hito-Reason") == "" {
		t.Errorf("a full disk answers %s with %v", refused.Status, refused.Header)
	}
	if resp, err := http.Get(c.url + "/healthz"); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/healthz answers %v, %v", resp, err)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(c.url + "/healthz")
		if err == nil && resp.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("/healthz still answers %v, %v", resp, err)
		}
	}
	hito(t, c, "send", "--type", "page", "--anonymous-id", "a1", "--message-id", "after")
	if err := settle(c.url); err != nil {
		t.Fatal(err)
	}
	var p struct {
		Events struct{ Total int }
	}
	if err := get(c.url+"/v1/profiles/anonymous_id:a1?after=after", &p); err != nil {
		t.Fatal(err)
	}
	// What was refused may have been taken in all the same; nothing acknowledged may be missing.
	if want := len(accepted) + 1; p.Events.Total < want || p.Events.Total > want+1 {
		t.Errorf("%d events in the profile, %d were acknowledged", p.Events.Total, want)
	}
}
