package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hitolayer/hito/shared/stream"
)

// fullMount, when set, is where the process has a small disk of its own.
const fullMount = "HITO_TEST_FULL_MOUNT"

// TestFullFileSystem fills a real file system up, and frees space again. It runs
// itself in a user namespace, where mounting one needs no privileges.
func TestFullFileSystem(t *testing.T) {
	if mount := os.Getenv(fullMount); mount != "" {
		fillFileSystem(t, mount)
		return
	}
	mount := t.TempDir()
	inside := func(script string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--user", "--map-root-user", "--mount",
			"sh", "-c", `mount -t tmpfs -o size=24m none "$` + fullMount + `" && ` + script, "sh"}, args...)...)
		cmd.Env = append(os.Environ(), fullMount+"="+mount)
		return cmd
	}
	if out, err := inside("true").CombinedOutput(); err != nil {
		skip := t.Skipf
		if os.Getenv("CI") == "true" {
			skip = t.Fatalf
		}
		skip("cannot make a small disk, so that a full one is NOT tested here: %v: install util-linux's unshare and allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)\n%s", err, out)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := inside(`exec "$@"`, exe, "-test.run=^TestFullFileSystem$", "-test.v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFullFileSystem") {
		t.Errorf("%v\n%s", err, out)
	}
}

func fillFileSystem(t *testing.T, mount string) {
	db := open(t, Options{Dir: filepath.Join(mount, "data")})
	s := openStream(t, db, "raw", StreamOptions{BooksAccepted: true})
	var handled atomic.Int64
	if err := s.Subscribe("g", func(_ context.Context, rs []stream.Record) error {
		handled.Add(int64(len(rs)))
		return nil
	}, SubscribeOptions{}); err != nil {
		t.Fatal(err)
	}
	record := func(i int) []stream.Record {
		return []stream.Record{{Project: "shop", Key: fmt.Sprint(i), Events: 1, Time: 1, Data: fmt.Append(nil, "event ", i)}}
	}
	acked := int64(0)
	publish := func(i int) error {
		err := s.Publish(t.Context(), record(i))
		if err == nil {
			acked++
		}
		return err
	}
	if err := publish(0); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		ballast := filepath.Join(mount, "ballast")
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		for block := 1 << 20; block > 0; { // whatever is left
			if _, err := f.Write(make([]byte, block)); err != nil {
				block /= 2
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		// A page already in use may take a few more; then no more.
		refused := false
		for i := 0; i < 100_000 && !refused; i++ {
			err := publish(i)
			if refused = err != nil; refused && !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("on a full disk: %v", err)
			}
		}
		if !refused {
			t.Fatal("a full disk takes everything")
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the disk takes writes again", func() bool { return db.Err() == nil })
		for i := range 100 {
			if err := publish(i); err != nil {
				t.Fatalf("round %d, publish %d after space returned: %v", round, i, err)
			}
		}
	}
	eventually(t, "everything acknowledged is handled", func() bool { return handled.Load() >= acked })
	shut(t, db)
}
