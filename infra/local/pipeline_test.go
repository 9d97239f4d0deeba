package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

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
	db, err := Open(Options{Dir: "data", fs: fs, Log: quiet, checkpoint: 3 * time.Millisecond})
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
	o := SubscribeOptions{MaxRecords: 7, backoff: time.Millisecond, Stage: quarantine.Enrich}
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
	for page, err := range p.db.Store().Pages(context.Background(), "shop", 3) {
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
