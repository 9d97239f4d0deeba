package local

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/stream"
)

func TestPages(t *testing.T) {
	db := open(t, Options{checkpoint: time.Hour, CacheBytes: 1 << 20})
	st := db.Store()
	save := func(project, visitor string, events int64) {
		t.Helper()
		fs, err := st.Load(t.Context(), []profile.Key{{Project: project, Visitor: visitor}})
		if err != nil {
			t.Fatal(err)
		}
		fs[0].State.Events = events
		if err := st.Save(t.Context(), fs); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		save("shop", fmt.Sprintf("a:%02d", i), 1)
		save("shop\x00", "a:other", 1)
		if i == 50 {
			if err := db.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	save("shop", "a:07", 2) // on disk, and newer in memory
	if _, err := st.Load(t.Context(), []profile.Key{{Project: "shop", Visitor: "a:never saved"}}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for page, err := range st.Pages(t.Context(), "shop", 7) {
		if err != nil || len(page) == 0 || len(page) > 7 {
			t.Fatal(len(page), err)
		}
		for _, f := range page {
			names = append(names, f.Key.Visitor)
			want := int64(1)
			if f.Key.Visitor == "a:07" {
				want = 2
			}
			if f.State.Events != want || f.Version != uint64(want) {
				t.Errorf("%v: %d events, version %d", f.Key, f.State.Events, f.Version)
			}
		}
	}
	if len(names) != 100 || !slices.IsSorted(names) || len(slices.Compact(names)) != 100 {
		t.Errorf("scanned %d names, sorted %t", len(names), slices.IsSorted(names))
	}
}

// TestSmallCache: far more fragments than fit, changed again and again, with
// checkpoints and evictions all the time, by a checkpointed consumer.
func TestSmallCache(t *testing.T) {
	db := open(t, Options{CacheBytes: 64 << 10, checkpoint: time.Millisecond})
	s := openStream(t, db, "s", StreamOptions{})
	subscribe(t, s, "g", func(ctx context.Context, rs []stream.Record) error { return fold(ctx, db.Store(), rs) }, SubscribeOptions{Checkpointed: true, MaxRecords: 20})
	const visitors, rounds = 300, 10
	for range rounds {
		rs := make([]stream.Record, visitors)
		for i := range rs {
			rs[i] = record(fmt.Sprintf("a:%d", i), "x")
		}
		if err := s.Publish(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all is handled", func() bool { return s.stats().Groups[0].Records == 0 })
	if n := db.Stats().CacheBytes; n > 128<<10 {
		t.Errorf("the cache holds %d bytes, may hold about %d", n, 64<<10)
	}
	shut(t, db)
	db = open(t, Options{Dir: db.options.Dir})
	for i := range visitors {
		fs, err := db.Store().Load(t.Context(), []profile.Key{{Project: "shop", Visitor: fmt.Sprintf("a:%d", i)}})
		if err != nil {
			t.Fatal(err)
		}
		if fs[0].State.Events != rounds {
			t.Fatalf("visitor %d has %d events, want %d", i, fs[0].State.Events, rounds)
		}
	}
}

// TestStaleReadIsNotKept: a fragment is read from disk, and before it comes into
// memory another writer saves it, a checkpoint writes it, and it is evicted.
func TestStaleReadIsNotKept(t *testing.T) {
	db := open(t, Options{checkpoint: time.Hour, CacheBytes: 1})
	st := db.Store()
	k := profile.Key{Project: "shop", Visitor: "u:1"}
	settled := st.settled.Load()
	stale, err := st.read(k)
	if err != nil {
		t.Fatal(err)
	}
	f := profile.NewFragment(k)
	f.State.Events = 1
	if err := st.Save(t.Context(), []*profile.Fragment{f}); err != nil {
		t.Fatal(err)
	}
	if err := db.checkpoint(); err != nil {
		t.Fatal(err)
	}
	sh := st.shard(k)
	sh.evict(0, nil, 10)
	if sh.slots[k] != nil {
		t.Fatal("the fragment was not evicted")
	}
	if err := st.offer(stale, settled, func(sl *slot) {
		if sl.version != 1 {
			t.Errorf("got version %d, want 1", sl.version)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
