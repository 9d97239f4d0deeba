package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hitolayer/hito/shared/stream"
)

var quiet = slog.New(slog.DiscardHandler)

// faultyFS is a file system that fails on demand, as a full or broken disk does.
type faultyFS struct {
	vfs.FS
	// writes and syncs hold the error that such operations return now.
	writes, syncs atomic.Pointer[syscall.Errno]
	// forget says that a failed sync loses what was written since the last
	// good one, as it does on Linux.
	forget bool
}

func (f *faultyFS) fail(p *atomic.Pointer[syscall.Errno], op string) error {
	if e := p.Load(); e != nil {
		return fmt.Errorf("%s: %w", op, *e)
	}
	return nil
}

func (f *faultyFS) wrap(under vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: under, fs: f}, nil
}

func (f *faultyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.fail(&f.writes, "create"); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Create(name, c))
}

func (f *faultyFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.fail(&f.writes, "reuse"); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.ReuseForWrite(from, to, c))
}

func (f *faultyFS) OpenDir(name string) (vfs.File, error) { return f.wrap(f.FS.OpenDir(name)) }
func (f *faultyFS) Unwrap() vfs.FS                        { return f.FS }

type faultyFile struct {
	vfs.File
	fs     *faultyFS
	at     int64
	synced int64
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.fail(&f.fs.writes, "write"); err != nil {
		n, _ := f.File.Write(p[:len(p)/3]) // a short write, as a disk that fills up does
		f.at += int64(n)
		return n, err
	}
	n, err := f.File.Write(p)
	f.at += int64(n)
	return n, err
}

func (f *faultyFile) sync(sync func() error) error {
	if err := f.fs.fail(&f.fs.syncs, "sync"); err != nil {
		if f.fs.forget && f.at > f.synced {
			if _, err := f.File.WriteAt(make([]byte, f.at-f.synced), f.synced); err != nil {
				return err
			}
		}
		return err
	}
	f.synced = f.at
	return sync()
}

func (f *faultyFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *faultyFile) SyncData() error { return f.sync(f.File.SyncData) }

func TestDiskFullRefusesAndRecovers(t *testing.T) {
	for name, fault := range map[string]func(*faultyFS) *atomic.Pointer[syscall.Errno]{
		"Writes": func(f *faultyFS) *atomic.Pointer[syscall.Errno] { return &f.writes },
		"Syncs":  func(f *faultyFS) *atomic.Pointer[syscall.Errno] { return &f.syncs },
	} {
		t.Run(name, func(t *testing.T) {
			fs := &faultyFS{FS: vfs.Default, forget: true}
			db := open(t, Options{fs: fs})
			s := openStream(t, db, "raw", StreamOptions{BooksAccepted: true, KeepFor: time.Hour})
			var mu sync.Mutex
			handled := map[string]int{}
			count := func(_ context.Context, rs []stream.Record) error {
				mu.Lock()
				defer mu.Unlock()
				for _, r := range rs {
					handled[string(r.Data)]++
				}
				return nil
			}
			if err := s.Subscribe("g", count, SubscribeOptions{}); err != nil {
				t.Fatal(err)
			}
			acked := map[string]bool{}
			publish := func(n int) (failed int) {
				for i := range n {
					data := fmt.Sprintf("%d-%d", len(acked), i)
					err := s.Publish(t.Context(), []stream.Record{{Project: "shop", Key: data, Events: 1, Time: 1, Data: bytes.Repeat([]byte(data+"\n"), 500)}})
					if err != nil {
						failed++
						continue
					}
					acked[strings.Repeat(data+"\n", 500)] = true
				}
				return failed
			}
			if publish(50) != 0 {
				t.Fatal("Publish fails on a good disk")
			}
			p := fault(fs)
			full := syscall.ENOSPC
			for range 3 {
				p.Store(&full)
				if failed := publish(5); failed != 5 {
					t.Errorf("%d of 5 publishes were refused", failed)
				}
				if err := db.Err(); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("Err on a full disk: %v", err)
				}
				p.Store(nil)
				eventually(t, "the disk takes writes again", func() bool { return db.Err() == nil })
				if failed := publish(50); failed != 0 {
					t.Fatalf("%d of 50 publishes fail after space returned", failed)
				}
			}
			check := func(when string) {
				eventually(t, when+" everything acknowledged is handled", func() bool {
					mu.Lock()
					defer mu.Unlock()
					for data := range acked {
						if handled[data] == 0 {
							return false
						}
					}
					return true
				})
			}
			check("while running")
			totals, err := db.Ledger().Totals(t.Context(), "shop")
			if err != nil || totals.Accepted < int64(len(acked)) {
				t.Errorf("ledger: %d accepted of %d acknowledged, %v", totals.Accepted, len(acked), err)
			}
			// What the log holds is what was acknowledged, byte for byte: another
			// group reads it from the disk.
			shut(t, db)
			clear(handled)
			again := openStream(t, open(t, Options{Dir: db.options.Dir}), "raw", StreamOptions{KeepFor: time.Hour})
			if err := again.Subscribe("another", count, SubscribeOptions{}); err != nil {
				t.Fatal(err)
			}
			check("opened again")
			shut(t, again.db)
		})
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// TestFailedSyncIsWrittenAgain: on Linux a failed fsync drops what it was to
// write, and the next fsync succeeds without it.
func TestFailedSyncIsWrittenAgain(t *testing.T) {
	fs := &faultyFS{FS: vfs.Default, forget: true}
	d := newDisk(fs, nil)
	d.patient.Store(true)
	name := t.TempDir() + "/000001.log"
	f, err := d.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	fault := syscall.EIO
	for i := range 20 {
		p := fmt.Appendf(nil, "record %d|", i)
		want = append(want, p...)
		if _, err := f.Write(p); err != nil {
			t.Fatal(err)
		}
		if i%3 == 2 {
			fs.syncs.Store(&fault)
			done := make(chan error)
			go func() { done <- f.SyncData() }()
			<-d.Stalled()
			fs.syncs.Store(nil)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := vfs.Default.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 1000)
	n, _ := r.Read(got)
	if !bytes.Equal(got[:n], want) {
		t.Errorf("the file holds %q, want %q", got[:n], want)
	}
}
