package local

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/stream"
)

func TestRetention(t *testing.T) {
	now := time.Now()
	stored := func(s *Stream) (n int) {
		it, err := s.db.pebble.NewIter(&pebble.IterOptions{LowerBound: prefix(chunkKind, s.name), UpperBound: keyAfter(prefix(chunkKind, s.name))})
		if err != nil {
			t.Fatal(err)
		}
		for it.First(); it.Valid(); it.Next() {
			n++
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	drop := func(t *testing.T, s *Stream, at time.Time) {
		t.Helper()
		if err := s.drop(at); err != nil {
			t.Fatal(err)
		}
	}
	handled := func(t *testing.T, s *Stream) {
		eventually(t, "everything is handled", func() bool { g := s.stats().Groups; return g[0].Records == 0 && len(g) > 0 })
	}
	t.Run("KeepsWhatNobodyHandled", func(t *testing.T) {
		s := openStream(t, open(t, Options{}), "s", StreamOptions{Partitions: 1, KeepBytes: 1})
		block := make(chan struct{})
		subscribe(t, s, "fast", new(collector).handle, SubscribeOptions{})
		subscribe(t, s, "slow", func(context.Context, []stream.Record) error { <-block; return nil }, SubscribeOptions{})
		publish(t, s, "1")
		handled(t, s)
		drop(t, s, now.Add(24*time.Hour))
		if n := stored(s); n != 1 {
			t.Errorf("%d chunks are kept, want 1", n)
		}
		close(block)
		eventually(t, "it is dropped once all handled it", func() bool { drop(t, s, now.Add(time.Hour)); return stored(s) == 0 })
	})
	t.Run("KeepFor", func(t *testing.T) {
		s := openStream(t, open(t, Options{}), "s", StreamOptions{Partitions: 1, KeepFor: time.Hour})
		subscribe(t, s, "g", new(collector).handle, SubscribeOptions{})
		publish(t, s, "1")
		handled(t, s)
		if drop(t, s, now.Add(59*time.Minute)); stored(s) != 1 {
			t.Error("dropped before its time")
		}
		if drop(t, s, now.Add(61*time.Minute)); stored(s) != 0 {
			t.Error("kept after its time")
		}
		late := new(collector)
		publish(t, s, "2")
		subscribe(t, s, "late", late.handle, SubscribeOptions{})
		eventually(t, "a late group begins with what is kept", func() bool { return slices.Equal(late.sorted(), []string{"2"}) })
	})
	t.Run("KeepBytes", func(t *testing.T) {
		s := openStream(t, open(t, Options{}), "s", StreamOptions{Partitions: 1, KeepFor: time.Hour, KeepBytes: 3 << 20})
		subscribe(t, s, "g", new(collector).handle, SubscribeOptions{})
		for range 8 {
			publish(t, s, noise(1<<20))
		}
		handled(t, s)
		drop(t, s, now)
		if n := stored(s); n < 1 || n > 4 {
			t.Errorf("%d chunks of 1 MiB are kept, want about 3", n)
		}
	})
	t.Run("NoGroup", func(t *testing.T) {
		s := openStream(t, open(t, Options{}), "s", StreamOptions{Partitions: 1})
		publish(t, s, "1")
		if drop(t, s, now.Add(time.Minute)); stored(s) != 1 {
			t.Error("dropped although no group had a chance")
		}
		if drop(t, s, now.Add(2*noGroupKeep)); stored(s) != 0 {
			t.Error("kept although nobody cares")
		}
	})
	t.Run("SequencesGoOnAfterAllWasDropped", func(t *testing.T) {
		db := open(t, Options{})
		s := openStream(t, db, "s", StreamOptions{Partitions: 1})
		var c collector
		subscribe(t, s, "g", c.handle, SubscribeOptions{})
		publish(t, s, "1", "2")
		handled(t, s)
		drop(t, s, now.Add(time.Hour))
		if stored(s) != 0 {
			t.Fatal("not dropped")
		}
		shut(t, db)
		db = open(t, Options{Dir: db.options.Dir})
		s = openStream(t, db, "s", StreamOptions{})
		publish(t, s, "3")
		subscribe(t, s, "g", c.handle, SubscribeOptions{})
		eventually(t, "the new record is handled", func() bool { return slices.Equal(c.sorted(), []string{"1", "2", "3"}) })
		handled(t, s)
		if st := s.stats(); st.Records != 3 || st.Events != 3 {
			t.Errorf("stats %+v, want 3 records", st)
		}
	})
}

// noise returns n bytes that do not pack well.
func noise(n int) string {
	b := make([]byte, n)
	x := uint64(n)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return string(b)
}

// TestTailIsBounded: the newest chunks are in memory, the very newest unpacked,
// within tailBytes; and they hold what the disk holds.
func TestTailIsBounded(t *testing.T) {
	db := open(t, Options{})
	const limit = 192 << 10
	s := openStream(t, db, "s", StreamOptions{Partitions: 1, tailBytes: limit})
	p := s.partitions[0]
	for i := range 300 {
		publish(t, s, strings.Repeat(fmt.Sprint("event ", i, " "), 20+i*37%900))
		size, bodies := 0, 0
		for j, c := range p.tail {
			size += len(c.data) + len(c.body)
			if c.body != nil {
				bodies++
				if j < p.bodies {
					t.Fatalf("chunk %d of %d is unpacked, before %d", j, len(p.tail), p.bodies)
				}
			}
		}
		if size != p.tailBytes+p.bodyBytes || size > limit && len(p.tail) > 1 {
			t.Fatalf("the tail has %d bytes, counts %d, may have %d", size, p.tailBytes+p.bodyBytes, limit)
		}
		if i > 100 && (bodies < 2 || len(p.tail) < bodies) {
			t.Fatalf("after %d: %d of the last %d chunks are unpacked, %d bytes", i, bodies, len(p.tail), p.bodyBytes)
		}
	}
	for _, c := range p.tail {
		got, err := c.decode(nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := chunk{seq: c.seq, data: c.data}.decode(nil)
		if err != nil {
			t.Fatal(err)
		}
		sameRecords(t, got, want)
	}
}
