package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hitolayer/hito/shared/stream"
)

// TestFullFileSystem fills a real file system up, and frees space again.
func TestFullFileSystem(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=24m"); err != nil {
		skip := t.Skipf
		if os.Getenv("CI") == "true" {
			skip = t.Fatalf
		}
		skip("cannot mount a small tmpfs (%v): run as root, or in a container with --cap-add SYS_ADMIN", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
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
