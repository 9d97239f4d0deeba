package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

func TestCursorGoesOnInsideAChunk(t *testing.T) {
	for _, checkpointed := range []bool{false, true} {
		t.Run(fmt.Sprint(checkpointed), func(t *testing.T) {
			dir := t.TempDir()
			db := open(t, Options{Dir: dir, checkpoint: time.Hour})
			s := openStream(t, db, "raw", StreamOptions{Partitions: 1})
			publish(t, s, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9") // one chunk
			var first, second collector
			stop := make(chan struct{})
			subscribe(t, s, "g", func(ctx context.Context, rs []stream.Record) error {
				if len(first.sorted()) >= 4 {
					<-stop
					return errors.New("not now")
				}
				return first.handle(ctx, rs)
			}, SubscribeOptions{MaxRecords: 2, Checkpointed: checkpointed})
			eventually(t, "four records handled", func() bool { return len(first.sorted()) == 4 })
			go func() { <-db.stop; close(stop) }()
			shut(t, db)
			s = openStream(t, open(t, Options{Dir: dir}), "raw", StreamOptions{})
			if n := len(s.partitions); n != 1 {
				t.Fatalf("%d partitions after opening again, want 1", n)
			}
			subscribe(t, s, "g", second.handle, SubscribeOptions{MaxRecords: 3})
			eventually(t, "the rest is handled", func() bool { return len(second.sorted()) >= 6 })
			if got := second.sorted(); !slices.Equal(got, []string{"4", "5", "6", "7", "8", "9"}) {
				t.Errorf("the second life handled %v", got)
			}
		})
	}
}

// TestFailedRecordHoldsUpNobody: and it is not forgotten by a restart.
func TestFailedRecordHoldsUpNobody(t *testing.T) {
	dir := t.TempDir()
	db := open(t, Options{Dir: dir})
	s := openStream(t, db, "raw", StreamOptions{Partitions: 1})
	var c collector
	subscribe(t, s, "g", func(ctx context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i, r := range rs {
			if string(r.Data) == "bad" {
				f = append(f, stream.Failure{Index: i, Err: errors.New("later")})
				continue
			}
			if err := c.handle(ctx, rs[i:i+1]); err != nil {
				return err
			}
		}
		return f.OrNil()
	}, SubscribeOptions{backoff: time.Hour})
	publish(t, s, "a", "bad", "b")
	publish(t, s, "c")
	eventually(t, "the others are handled", func() bool { return len(c.sorted()) == 3 })
	eventually(t, "the failed one is parked", func() bool {
		st := s.stats()
		return st.Groups[0].Records == 0 && st.Groups[0].Parked == 1
	})
	if err := s.drop(time.Now().Add(time.Hour)); err != nil { // must keep its chunk
		t.Fatal(err)
	}
	shut(t, db)
	var again collector
	attempts := 0
	s = openStream(t, open(t, Options{Dir: dir}), "raw", StreamOptions{})
	subscribe(t, s, "g", func(ctx context.Context, rs []stream.Record) error {
		attempts = rs[0].Attempt
		return again.handle(ctx, rs)
	}, SubscribeOptions{})
	eventually(t, "it comes again", func() bool { return len(again.sorted()) == 1 })
	shut(t, s.db)
	if got := again.sorted(); got[0] != "bad" || attempts != 2 {
		t.Errorf("after the restart: %v, attempt %d", got, attempts)
	}
}

// TestPanicIsLoggedOnce: while the record to blame was searched, every half that
// held it once logged its panic, with its stack.
func TestPanicIsLoggedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		panics func(rs []stream.Record) bool
		lines  int
	}{
		"one record": {func(rs []stream.Record) bool { return slices.ContainsFunc(rs, is("137")) }, 1},
		"two records": {func(rs []stream.Record) bool {
			return slices.ContainsFunc(rs, is("0")) || slices.ContainsFunc(rs, is("499"))
		}, 2},
		"only together": {func(rs []stream.Record) bool { return len(rs) == 500 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			db := open(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			s := openStream(t, db, "raw", StreamOptions{Partitions: 1})
			data := make([]string, 500)
			for i := range data {
				data[i] = fmt.Sprint(i)
			}
			publish(t, s, data...)
			subscribe(t, s, "g", func(_ context.Context, rs []stream.Record) error {
				if c.panics(rs) {
					panic("poison")
				}
				return nil
			}, SubscribeOptions{maxAttempts: 1})
			eventually(t, "all is handled", func() bool { return s.stats().Groups[0].Records == 0 })
			shut(t, db)
			if n := strings.Count(log.String(), "a handler panicked"); n != c.lines {
				t.Errorf("%d lines, want %d:\n%s", n, c.lines, log.String())
			}
		})
	}
}

func is(data string) func(stream.Record) bool {
	return func(r stream.Record) bool { return string(r.Data) == data }
}

// TestFailedBatchLeavesNothing: what a handler did before it failed is undone,
// unless it is checkpointed.
func TestFailedBatchLeavesNothing(t *testing.T) {
	db := open(t, Options{})
	in, out := openStream(t, db, "in", StreamOptions{}), openStream(t, db, "out", StreamOptions{})
	var c collector
	subscribe(t, out, "g", c.handle, SubscribeOptions{})
	var calls atomic.Int64
	subscribe(t, in, "g", func(ctx context.Context, rs []stream.Record) error {
		err := errors.Join(
			out.Publish(ctx, rs),
			db.Ledger().Record(ctx, []ledger.Delta{{Project: "shop", Counts: ledger.Counts{Scored: int64(len(rs))}, Segments: map[string]int64{"s": 1}}}),
			db.Quarantine().Put(ctx, []quarantine.Entry{{ID: fmt.Sprint("q", calls.Load()), Project: "shop", Events: 1}}),
		)
		if err != nil {
			return err
		}
		switch calls.Add(1) {
		case 1:
			return errors.New("no")
		case 2:
			panic("no")
		}
		return nil
	}, SubscribeOptions{})
	publish(t, in, "1")
	// A panic with one record parks it, and it comes a third time.
	eventually(t, "the third delivery's record", func() bool { return len(c.sorted()) > 0 })
	shut(t, db)
	if got := c.sorted(); !slices.Equal(got, []string{"1"}) {
		t.Errorf("published %v", got)
	}
	db = open(t, Options{Dir: db.options.Dir})
	totals, err := db.Ledger().Totals(t.Context(), "shop")
	if err != nil || totals.Scored != 1 || totals.Segments["s"] != 1 || totals.Quarantined != 1 {
		t.Errorf("totals %+v, %v", totals, err)
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls", calls.Load())
	}
}
