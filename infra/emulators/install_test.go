package emulators

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What is there when install returns must be whole, also when another process
// installs the same, and nothing must be left of what was not finished.
func TestInstall(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	broken := errors.New("broken")
	if _, err := install(t.Context(), "node", func(context.Context, string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	built := 0
	var first string
	dir, err := install(t.Context(), "node", func(_ context.Context, making string) error {
		built++
		write(t, making, "built", "by us")
		// Another process is faster.
		root := filepath.Dir(making)
		files := os.DirFS("node")
		sum, err := hash(files)
		if err != nil {
			return err
		}
		first = filepath.Join(root, "node-"+sum)
		write(t, first, "built", "by another")
		return nil
	})
	if err != nil || dir != first {
		t.Fatalf("%s, %v; want %s", dir, err, first)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "built")); err != nil || string(text) != "by another" {
		t.Errorf("%q, %v", text, err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if again, err := install(t.Context(), "node", func(context.Context, string) error { built++; return nil }); err != nil || again != dir {
				t.Errorf("%s, %v", again, err)
			}
		})
	}
	all.Wait()
	if built != 1 {
		t.Errorf("built %d times", built)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// The lock file must name no registry: each user has his own.
func TestLockNamesNoRegistry(t *testing.T) {
	lock, err := embedded.ReadFile("npm/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(lock), `"resolved"`) {
		t.Error("npm/package-lock.json names where packages come from: set omit-lockfile-registry-resolved=true and make it anew")
	}
}
