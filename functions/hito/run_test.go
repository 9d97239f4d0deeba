package main

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/local"
	"github.com/hitolayer/hito/shared/config"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/project/sample"
)

// TestTerminate: SIGTERM under load ends the process in order, with exit code 0
// though somebody reads the tail, and what was acknowledged is there afterwards.
func TestTerminate(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	tail := exec.CommandContext(t.Context(), "hito", "tail", "--json")
	tail.Env = append(os.Environ(), "HITO_URL="+c.url)
	var seen lockedBuffer
	tail.Stdout = &seen
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	load := exec.CommandContext(t.Context(), "hito", "load", "--events", "2000", "--visitors", "100", "--verify")
	load.Env = append(os.Environ(), "HITO_URL="+c.url)
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for deadline := time.Now().Add(time.Minute); seen.String() == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the tail shows nothing")
		}
		hito(t, c, "send", "--type", "page", "--anonymous-id", "a2")
	}
	hito(t, c, "send", "--type", "page", "--anonymous-id", "a1", "--message-id", "m1")
	began := time.Now()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if <-c.gone; c.err != nil {
		t.Errorf("SIGTERM ends it with %v after %v", c.err, time.Since(began))
	}
	if err := tail.Wait(); err == nil {
		t.Error("a tail whose server ended has exit code 0")
	}
	c = start(t, dir)
	var p struct{ Events struct{ Total int } }
	if err := get(c.url+"/v1/profiles/anonymous_id:a1", &p); err != nil || p.Events.Total != 1 {
		t.Errorf("after the restart: %+v, %v", p, err)
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	if err := layOut(dir); err != nil {
		t.Fatal(err)
	}
	registry := &project.Registry{
		Keys: local.File{Path: filepath.Join(dir, "keys.yaml")},
		File: func(name string) project.Source { return local.File{Path: filepath.Join(dir, name+".yaml")} },
	}
	if err := registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string][]string{
		"127.0.0.1:1": nil, "[::1]:1": nil,
		"0.0.0.0:1": {"from other machines", "demo-secret", "pprof"}, "[::]:1": {"demo-secret"}, "10.1.2.3:1": {"demo-secret"},
	} {
		var log bytes.Buffer
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		(&runCmd{config.Server{Projects: dir, Pprof: true}}).warn(slog.New(slog.NewTextHandler(&log, nil)), tcp, &pipeline{registry: registry})
		if want == nil && log.Len() > 0 {
			t.Errorf("%s: %s", addr, &log)
		}
		for _, text := range want {
			if !strings.Contains(log.String(), text) {
				t.Errorf("%s: no %q in %s", addr, text, &log)
			}
		}
	}
}

// TestLayOut: the sample is laid out once, and never over what is there.
func TestLayOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "projects")
	shop := filepath.Join(dir, sample.Name+".yaml")
	if err := layOut(dir); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(shop); err != nil || !bytes.Equal(data, sample.File) {
		t.Errorf("the shop is %q, %v", data, err)
	}
	if err := os.Remove(shop); err != nil {
		t.Fatal(err)
	}
	if err := layOut(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(shop); err == nil {
		t.Error("a project that was removed came back")
	}
	// A layout that was cut short goes on, over nothing that was edited.
	if err := os.Remove(filepath.Join(dir, "keys.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shop, []byte("segments: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := layOut(dir); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(shop); err != nil || string(data) != "segments: {}\n" {
		t.Errorf("what was edited is now %q, %v", data, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.new"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestPaths: one address serves everything, and nothing that was not asked for.
func TestPaths(t *testing.T) {
	t.Setenv("HITO_PPROF", "true")
	profiled := start(t, t.TempDir())
	t.Setenv("HITO_PPROF", "false")
	plain := start(t, t.TempDir())
	long := strings.Repeat("x", 64<<10)
	for _, c := range []struct {
		url    string
		header string
		want   int
	}{
		{plain.url + "/", "", http.StatusOK},
		{plain.url + "/healthz", "", http.StatusOK},
		{plain.url + "/metrics", "", http.StatusOK},
		{plain.url + "/v1/ledger", "", http.StatusUnauthorized},
		{plain.url + "/v1/tail", "", http.StatusUnauthorized},
		{plain.url + "/v1/stats", "", http.StatusUnauthorized},
		{plain.url + "/v1/profiles/user_id:u1", "", http.StatusUnauthorized},
		{plain.url + "/v1/projects/demo/settings", "", http.StatusOK},
		{plain.url + "/v1/nowhere", "", http.StatusNotFound},
		{plain.url + "/nowhere", "", http.StatusNotFound},
		{plain.url + "/", long, http.StatusRequestHeaderFieldsTooLarge},
		{plain.url + "/debug/pprof/", "", http.StatusNotFound},
		{profiled.url + "/debug/pprof/", "", http.StatusOK},
		{profiled.url + "/debug/pprof/profile?seconds=1", "", http.StatusOK},
		{profiled.url + "/debug/pprof/heap", "", http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Long", c.header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s answers %d, want %d", c.url, resp.StatusCode, c.want)
		}
	}
}
