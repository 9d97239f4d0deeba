package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/quarantine"
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
			db := open(t, Options{FS: fs})
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
			again := openStream(t, open(t, Options{Dir: db.Dir}), "raw", StreamOptions{KeepFor: time.Hour})
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

// TestPowerLoss: whatever part of what was not synced is lost, what was
// acknowledged is there and everything adds up.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { powerLoss(t, seed) })
	}
}

func powerLoss(t *testing.T, seed uint64) {
	fs := vfs.NewCrashableMem()
	acked := map[string]bool{}
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 1))
	for round := range 4 {
		p := pipeline(t, fs)
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				for i := range 30 {
					id := fmt.Sprintf("%d.%d.%d", round, w, i)
					if i%9 == 8 {
						id = "bad" + id
					}
					if err := p.raw.Publish(t.Context(), []stream.Record{{Project: "shop", Key: fmt.Sprintf("a:%d", i%7), Events: 1, Time: 60_000 * int64(i%3), Data: []byte(id)}}); err != nil {
						t.Errorf("Publish: %v", err)
						return
					}
					mu.Lock()
					acked[id] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if rng.IntN(2) == 0 {
			if err := p.db.checkpoint(); err != nil {
				t.Error(err)
			}
		}
		// The power goes while consumers and checkpoints are at work.
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rand.New(rand.NewPCG(seed, uint64(round)))})
		shut(t, p.db)
		fs = crashed
	}
	p := pipeline(t, fs)
	p.check(t, acked)
	shut(t, p.db)
}

// testPipeline is a small main job: raw is handled into a second stream, and
// from there each event is appended to its visitor's fragment.
type testPipeline struct {
	db       *DB
	raw, mid *Stream
}

func pipeline(t testing.TB, fs vfs.FS) *testPipeline {
	db, err := Open(Options{Dir: "data", FS: fs, Log: quiet, Checkpoint: 3 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPipeline(db)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newPipeline(db *DB) (*testPipeline, error) {
	p := &testPipeline{db: db}
	var err error
	if p.raw, err = db.Stream("raw", StreamOptions{BooksAccepted: true, Partitions: 2}); err != nil {
		return nil, err
	}
	if p.mid, err = db.Stream("mid", StreamOptions{Partitions: 3}); err != nil {
		return nil, err
	}
	out, err := db.Stream("out", StreamOptions{KeepFor: time.Hour})
	if err != nil {
		return nil, err
	}
	o := SubscribeOptions{MaxRecords: 7, Backoff: time.Millisecond, Stage: quarantine.Enrich}
	if err := p.raw.Subscribe("enrich", func(ctx context.Context, rs []stream.Record) error {
		var good []stream.Record
		var f stream.Failures
		for i, r := range rs {
			if strings.HasPrefix(string(r.Data), "bad") {
				f = append(f, stream.Failure{Index: i, Err: stream.Permanent(errors.New("bad"))})
				continue
			}
			if r.Attempt == 1 && len(r.Data)%5 == 0 {
				f = append(f, stream.Failure{Index: i, Err: errors.New("later")})
				continue
			}
			good = append(good, r)
		}
		if err := p.mid.Publish(ctx, good); err != nil {
			return err
		}
		return f.OrNil()
	}, o); err != nil {
		return nil, err
	}
	o.Checkpointed, o.Stage = true, quarantine.Score
	return p, p.mid.Subscribe("score", func(ctx context.Context, rs []stream.Record) error {
		byKey := map[profile.Key][]stream.Record{}
		var f stream.Failures
		for i, r := range rs {
			if r.Attempt == 1 && len(r.Data)%4 == 0 {
				f = append(f, stream.Failure{Index: i, Err: errors.New("later")})
				continue
			}
			k := profile.Key{Project: r.Project, Visitor: r.Key}
			byKey[k] = append(byKey[k], r)
		}
		for k, rs := range byKey {
			fs, err := db.Store().Load(ctx, []profile.Key{k})
			if err != nil {
				return err
			}
			for _, r := range rs {
				fs[0].State.Events++
				fs[0].State.Traits = append(fs[0].State.Traits, &profile.Trait{Key: string(r.Data)})
				if err := db.Ledger().Record(ctx, []ledger.Delta{{Project: r.Project, Minute: minuteOf(r.Time), Counts: ledger.Counts{Scored: 1}, Segments: map[string]int64{r.Key: 1}}}); err != nil {
					return err
				}
			}
			if err := db.Store().Save(ctx, fs); err != nil {
				return err
			}
			if err := out.Publish(ctx, rs[:1]); err != nil {
				return err
			}
		}
		return f.OrNil()
	}, o)
}

// check waits until all is handled and compares it with what was acknowledged.
// More than that may be there (a publisher that was never answered), but
// nothing twice, and the ledger, the fragments and the quarantine must agree.
func (p *testPipeline) check(t testing.TB, acked map[string]bool) {
	t.Helper()
	var totals ledger.Totals
	eventually(t, "nothing is in flight", func() bool {
		var err error
		if totals, err = p.db.Ledger().Totals(context.Background(), "shop"); err != nil {
			t.Fatal(err)
		}
		return totals.InFlight == 0
	})
	if err := p.db.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	var events, segments int64
	for next := ""; ; {
		page, after, err := p.db.Store().Scan(context.Background(), "shop", next, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page {
			events += f.State.Events
			for _, tr := range f.State.Traits {
				found[tr.Key]++
			}
			if got := totals.Segments[f.Key.Visitor]; got != f.State.Events {
				t.Errorf("segment %s has %d, its fragment %d", f.Key.Visitor, got, f.State.Events)
			}
		}
		if next = after; next == "" {
			break
		}
	}
	for _, n := range totals.Segments {
		segments += n
	}
	entries, _, err := p.db.Quarantine().List(context.Background(), "shop", "", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found[string(e.Body)]++
	}
	for id := range acked {
		if found[id] == 0 {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	for id, n := range found {
		if n != 1 {
			t.Errorf("%s is counted %d times", id, n)
		}
	}
	if totals.Scored != events || segments != events || totals.Quarantined != int64(len(entries)) || totals.Accepted != events+int64(len(entries)) {
		t.Errorf("ledger %+v, fragments hold %d events, quarantine %d entries", totals, events, len(entries))
	}
	minutes, err := p.db.Ledger().Minutes(context.Background(), "shop", 0, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	var sum ledger.Counts
	for _, m := range minutes {
		sum = sum.Plus(m.Counts)
	}
	if sum != totals.Counts {
		t.Errorf("minutes add up to %+v, totals are %+v", sum, totals.Counts)
	}
}
