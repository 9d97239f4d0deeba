package local

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

func record(key, data string) stream.Record {
	return stream.Record{Project: "shop", Key: key, Events: 1, Time: 60_000, Data: []byte(data)}
}

func publish(t testing.TB, s *Stream, data ...string) {
	t.Helper()
	var rs []stream.Record
	for _, d := range data {
		rs = append(rs, record("u:"+d, d))
	}
	if err := s.Publish(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
}

// collector is a handler that keeps what it got.
type collector struct {
	mu  sync.Mutex
	got []string
}

func (c *collector) handle(_ context.Context, rs []stream.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range rs {
		c.got = append(c.got, string(r.Data))
	}
	return nil
}

func (c *collector) sorted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.got))
}

func subscribe(t testing.TB, s *Stream, group string, h stream.Handler, o SubscribeOptions) {
	t.Helper()
	o.backoff = cmp.Or(o.backoff, time.Millisecond)
	o.Stage = cmp.Or(o.Stage, quarantine.Score)
	if err := s.Subscribe(group, h, o); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	db := open(t, Options{})
	_, err := Open(Options{Dir: db.options.Dir, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), db.options.Dir) {
		t.Errorf("second Open: %v", err)
	}
	publish(t, openStream(t, db, "raw", StreamOptions{}), "still works")
}

func TestDirectoryOfNewerBuildIsRefused(t *testing.T) {
	dir := t.TempDir()
	db := open(t, Options{Dir: dir})
	if err := db.pebble.Set(prefix(metaKind, "form"), []byte{form + 1}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	shut(t, db)
	if _, err := Open(Options{Dir: dir, Log: quiet}); err == nil || !strings.Contains(err.Error(), "newer build") {
		t.Errorf("Open: %v", err)
	}
}

func TestUnwritableDirectory(t *testing.T) {
	if _, err := Open(Options{Dir: filepath.Join(os.DevNull, "data"), Log: quiet}); err == nil {
		t.Error("opened a directory that cannot exist")
	}
	fs := &faultyFS{FS: vfs.NewMem()}
	full := syscall.ENOSPC
	fs.writes.Store(&full)
	if _, err := Open(Options{Dir: "data", fs: fs, Log: quiet}); err == nil {
		t.Error("opened a new directory on a full disk")
	}
}

func TestPublishAfterClose(t *testing.T) {
	db := open(t, Options{})
	s := openStream(t, db, "raw", StreamOptions{})
	publish(t, s, "1")
	shut(t, db)
	if err := s.Publish(t.Context(), []stream.Record{record("u:1", "2")}); !errors.Is(err, ErrClosed) {
		t.Errorf("Publish after Close: %v", err)
	}
	if err := s.Subscribe("g", nil, SubscribeOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
	if err := db.Close(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if _, err := db.Store().Load(t.Context(), []profile.Key{{Project: "p", Visitor: "u:1"}}); !errors.Is(err, ErrClosed) {
		t.Errorf("Load after Close: %v", err)
	}
}

// TestCloseOnFullDisk: Close gives up rather than hang, and loses nothing.
func TestCloseOnFullDisk(t *testing.T) {
	fs := &faultyFS{FS: vfs.Default}
	dir := t.TempDir()
	db, err := Open(Options{Dir: dir, fs: fs, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	s := openStream(t, db, "raw", StreamOptions{})
	publish(t, s, "1")
	full := syscall.ENOSPC
	fs.writes.Store(&full)
	if err := s.Publish(t.Context(), []stream.Record{record("u:1", "2")}); !errors.Is(err, full) {
		t.Errorf("Publish on a full disk: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := db.Close(ctx); !errors.Is(err, full) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close on a full disk: %v", err)
	}
	fs.writes.Store(nil) // let its goroutines end
	eventually(t, "the database is closed", db.gone.Load)
}

func TestStats(t *testing.T) {
	db := open(t, Options{})
	s := openStream(t, db, "s", StreamOptions{})
	block := make(chan struct{})
	defer close(block)
	subscribe(t, s, "g", func(context.Context, []stream.Record) error { <-block; return nil }, SubscribeOptions{})
	publish(t, s, "1", "2", "3")
	st := db.Stats()
	if st.Syncs == 0 || st.SyncTime <= 0 || st.Stalled != nil {
		t.Errorf("stats %+v", st)
	}
	if len(st.Streams) != 1 || st.Streams[0].Records != 3 || st.Streams[0].Groups[0].Records != 3 || st.Streams[0].Groups[0].Events != 3 {
		t.Errorf("streams %+v", st.Streams)
	}
}

func TestFileSource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	f := File{Path: path}
	if _, _, err := f.Fetch(t.Context(), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	data, tag, err := f.Fetch(t.Context(), "")
	if err != nil || string(data) != "a" || tag == "" {
		t.Fatalf("Fetch: %q, %q, %v", data, tag, err)
	}
	write("a")
	if data, same, err := f.Fetch(t.Context(), tag); data != nil || same != tag || err != nil {
		t.Errorf("unchanged: %q, %q, %v", data, same, err)
	}
	write("")
	if data, other, err := f.Fetch(t.Context(), tag); data == nil || other == tag || err != nil {
		t.Errorf("emptied: %q, %q, %v", data, other, err)
	}
}
