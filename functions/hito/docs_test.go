package main

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/functions/hito/e2e"
)

// TestOperationsPage runs the commands that docs/operations.md shows (its "sh"
// blocks) against a real process, and compares its table of metrics with /metrics.
func TestOperationsPage(t *testing.T) {
	for _, program := range []string{"bash", "curl", "zcat"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program+" is missing, so that the commands in docs/operations.md are NOT tested: install it with: apt-get install -y bash curl gzip")
		}
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"access.log":    `1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 10 "-" "Mozilla/5.0"` + "\n",
		"events.ndjson": `{"type":"page","anonymousId":"a1"}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := start(t, filepath.Join(dir, ".hito"))
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	const export = "export HITO_URL=http://127.0.0.1:8080\n"
	if !strings.HasPrefix(blocks[0][1], export) {
		t.Errorf("the first block does not begin with %s", export)
	}
	for _, block := range blocks {
		block[1] = strings.TrimPrefix(block[1], export) // this one is elsewhere
		cmd := exec.CommandContext(t.Context(), "bash", "-euxo", "pipefail", "-c", block[1])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HITO_URL="+c.url)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v in\n%s\n%s", err, block[1], out)
		}
	}
	// A read that times out has a metric of its own.
	if err := get(c.url+"/v1/profiles/user_id:u1?after=never&timeout=1ms", nil); err == nil || errors.Is(err, e2e.ErrNotFound) {
		t.Errorf("waiting for an event that never was gives %v", err)
	}

	resp, err := http.Get(c.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	exposed, told := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (hito_\w+)`).FindAllStringSubmatch(string(body), -1) {
		exposed[m[1]] = true
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `hito_") {
			for _, m := range regexp.MustCompile("`(hito_\\w+)`").FindAllStringSubmatch(line, -1) {
				told[m[1]] = true
			}
		}
	}
	if a, b := slices.Sorted(maps.Keys(exposed)), slices.Sorted(maps.Keys(told)); !slices.Equal(a, b) {
		for _, name := range a {
			if !told[name] {
				t.Errorf("docs/operations.md does not tell of %s", name)
			}
		}
		for _, name := range b {
			if !exposed[name] {
				t.Errorf("docs/operations.md tells of %s, which is not measured", name)
			}
		}
	}
}

// TestLinksResolve: what a page links to inside the repository is there.
func TestLinksResolve(t *testing.T) {
	root := filepath.Join("..", "..")
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	links := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == ".hito") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		page, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(page), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(target))); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
		return nil
	})
	if err != nil || links < 10 {
		t.Errorf("%d links, %v", links, err)
	}
}

// TestOneProcessPerDirectory: the second is told why it cannot start.
func TestOneProcessPerDirectory(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	cmd := exec.CommandContext(t.Context(), "hito", "run", "--addr", "127.0.0.1:0", "--data", dir)
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), dir) || !strings.Contains(string(out), "another process") {
		t.Errorf("the second process ends with %v: %s", err, out)
	}
}
