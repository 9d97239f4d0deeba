package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/infra/emulators/fault"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// drawDelta draws a delta of one of a run's projects.
func drawDelta(t *rapid.T, run string) ledger.Delta {
	count := rapid.Int64Range(0, 3)
	d := ledger.Delta{
		Project: run + rapid.SampledFrom([]string{"", "/b"}).Draw(t, "project"), Minute: rapid.Int64Range(-70, 130).Draw(t, "minute"),
		Counts: ledger.Counts{Accepted: count.Draw(t, "accepted"), Scored: count.Draw(t, "scored")},
		Again:  ledger.Counts{Scored: count.Draw(t, "again"), Duplicate: count.Draw(t, "duplicate")},
		People: rapid.Int64Range(-2, 2).Draw(t, "people"),
	}
	if rapid.Bool().Draw(t, "moves") {
		d.Segments = map[string]int64{rapid.SampledFrom([]string{"x", "y/z\x00"}).Draw(t, "segment"): rapid.Int64Range(-1, 1).Draw(t, "grows")}
	}
	return d
}

// balance is what a ledger shows of a run's projects.
func balance(ctx context.Context, l *Ledger, run string) (string, error) {
	var out strings.Builder
	for _, project := range []string{run, run + "/b"} {
		totals, err := l.Totals(ctx, project)
		if err != nil {
			return "", err
		}
		minutes, err := l.Minutes(ctx, project, -100, 200)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&out, totals, minutes)
	}
	return out.String(), nil
}

// expected is what it must show after these deltas.
func expected(run string, deltas []ledger.Delta) string {
	var out strings.Builder
	for _, project := range []string{run, run + "/b"} {
		var totals ledger.Totals
		minutes := make(map[int64]ledger.Counts)
		for _, d := range deltas {
			if d.Project == project {
				totals.Add(d.Whole())
				minutes[d.Minute] = minutes[d.Minute].Plus(d.Whole().Counts)
			}
		}
		maps.DeleteFunc(totals.Segments, func(_ string, n int64) bool { return n == 0 })
		var list []ledger.Minute
		for _, m := range slices.Sorted(maps.Keys(minutes)) {
			if c := minutes[m]; c != (ledger.Counts{}) {
				list = append(list, ledger.Minute{Minute: m, Counts: c, InFlight: c.InFlight()})
			}
		}
		fmt.Fprintln(&out, totals, list)
	}
	return out.String()
}

// TestBookedOnce: records of a log are delivered as Lambda does: in batches,
// again from the lowest that failed, in halves, again though they were booked
// because the answer was lost. What is booked is each record's outcome once.
func TestBookedOnce(t *testing.T) {
	l := &Ledger{Client: faulty(t, everyFault), Table: empty(t), Retry: quick}
	calm := &Ledger{Client: (&wire{}).client(t), Table: l.Table}
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		name := fmt.Sprintf("run%d", run)
		var all []ledger.Delta
		var wg sync.WaitGroup
		for log := range rapid.IntRange(1, 2).Draw(rt, "logs") {
			var records []ledger.Booking
			for i := range rapid.IntRange(0, 12).Draw(rt, "records") {
				b := at(7+i, nil)
				for range rapid.IntRange(0, 3).Draw(rt, "deltas") {
					b.Deltas = append(b.Deltas, drawDelta(rt, name))
				}
				all = append(all, b.Deltas...)
				records = append(records, b)
			}
			// The deliveries: from where the last ended or before.
			type delivery struct{ from, to int }
			var deliveries []delivery
			for done := 0; done < len(records); {
				to := rapid.IntRange(done+1, len(records)).Draw(rt, "to")
				deliveries = append(deliveries, delivery{rapid.IntRange(0, done).Draw(rt, "from"), to})
				done = to
			}
			var loose []ledger.Delta // with the first delivery
			if len(deliveries) > 0 {
				loose = []ledger.Delta{drawDelta(rt, name)}
				all = append(all, loose...)
			}
			wg.Go(func() {
				for i, d := range deliveries {
					bookings := records[d.from:d.to]
					if i == 0 {
						bookings = append([]ledger.Booking{{Deltas: loose}}, bookings...)
					}
					if err := l.Commit(t.Context(), fmt.Sprintf("%s/%d", name, log), bookings); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range rapid.IntRange(0, 3).Draw(rt, "once") {
			d := []ledger.Delta{drawDelta(rt, name), drawDelta(rt, name)}
			all = append(all, d...)
			for range 2 {
				wg.Go(func() {
					if err := l.CommitOnce(t.Context(), fmt.Sprintf("%s/once/%d", name, i), d); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		got, err := balance(t.Context(), calm, name)
		if want := expected(name, all); err != nil || got != want {
			rt.Fatalf("booked %s\nwant   %s\n%v", got, want, err)
		}
	})
}

// TestBookedAfterFailure: a commit that fails at any moment is repeated by the
// next delivery, which completes it.
func TestBookedAfterFailure(t *testing.T) {
	w := &wire{}
	l := &Ledger{Client: w.client(t), Table: empty(t), Retry: quick}
	var all []ledger.Delta
	var bookings []ledger.Booking
	var huge []ledger.Delta
	for i := range 130 {
		huge = append(huge, ledger.Delta{Project: "run", Minute: int64(60*i) - 3000, Counts: ledger.Counts{Scored: 1}})
	}
	for i := range 120 {
		d := []ledger.Delta{{Project: fmt.Sprintf("run%d", i), Minute: 1, People: 1, Counts: ledger.Counts{Accepted: 1}}, {Project: "run", People: 1, Minute: 2, Counts: ledger.Counts{Accepted: 1}}}
		bookings = append(bookings, at(i, d))
		all = append(all, d...)
	}
	bookings = append(bookings, at(200, huge))
	all = append(all, huge...)
	for round := 0; ; round++ {
		var left atomic.Int64 // accounts are written at the same time
		left.Store(int64(round / 2))
		fail := func(operation string, _ []byte) error {
			if left.Add(-1) < 0 {
				return context.Canceled // not repeated
			}
			return nil
		}
		w.before, w.after = nil, nil
		if round%2 == 0 {
			w.before = fail
		} else {
			w.after = fail
		}
		if err := l.Commit(t.Context(), "log", bookings); err == nil {
			break
		}
	}
	w.before, w.after = nil, nil
	totals, err := l.Totals(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	var want ledger.Totals
	for _, d := range all {
		if d.Project == "run" {
			want.Add(d)
		}
	}
	want.Segments = map[string]int64{}
	if !reflect.DeepEqual(totals, want) {
		t.Errorf("%v, want %v", totals, want)
	}
	for i := range 120 {
		if got, err := l.Totals(t.Context(), fmt.Sprintf("run%d", i)); err != nil || got.Accepted != 1 || got.People != 1 {
			t.Errorf("project %d: %v, %v", i, got, err)
		}
	}
}

// TestNothingNewIsNotWritten: a delivery costs two writes, the first beside
// that the list of logs, and one of nothing none.
func TestNothingNewIsNotWritten(t *testing.T) {
	w := &wire{}
	l := &Ledger{Client: w.client(t), Table: empty(t), Retry: quick}
	for _, bookings := range [][]ledger.Booking{
		{at(1, scored(1))}, {at(1, scored(1))}, nil, {at(2, nil)}, {at(2, []ledger.Delta{{Project: "shop"}})},
	} {
		if err := l.Commit(t.Context(), "log", bookings); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count("UpdateItem"); n != 5 || w.count("TransactWriteItems") != 0 {
		t.Errorf("%d writes, want 5", n)
	}
}

// TestQuarantineOnBadWire: entries are put again and again, by several at a
// time, over a wire that loses answers: each is there once and booked once.
func TestQuarantineOnBadWire(t *testing.T) {
	api, name := faulty(t, everyFault), empty(t)
	q, calm := &Quarantine{Client: api, Table: name, Retry: quick}, &Quarantine{Client: (&wire{}).client(t), Table: name}
	const n = 120
	var entries []quarantine.Entry
	for i := range n {
		e := entryOf(i, quarantine.Beacon)
		if i%40 == 7 {
			e.Body = noise(700<<10, uint64(i)).Traits[0].Value
		}
		entries = append(entries, e)
	}
	var wg sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(writer), 1))
			for i := 0; i < n; {
				from, to := max(0, i-random.IntN(10)), min(n, i+1+random.IntN(60))
				if err := q.Put(t.Context(), entries[from:to]); err != nil {
					t.Error(err)
				}
				i = to
			}
		})
	}
	wg.Wait()
	wantTotals(t, &Ledger{Client: calm.Client, Table: name}, "shop", ledger.Totals{Counts: ledger.Counts{Accepted: 2 * n, Quarantined: 2 * n}, Segments: map[string]int64{}})
	all := listAll(t, calm, "shop", 11)
	if len(all) != n {
		t.Fatalf("%d entries, want %d", len(all), n)
	}
	for i, e := range all {
		if !reflect.DeepEqual(e, entries[n-1-i]) {
			t.Errorf("entry %s came back as another", e.ID)
		}
	}
	for range 20 {
		if all := listAll(t, q, "shop", 40); len(all) != n {
			t.Errorf("%d entries over the bad wire", len(all))
		}
	}
}

// TestPutFails: nil only when everything is kept.
func TestPutFails(t *testing.T) {
	q := &Quarantine{Client: faulty(t, []fault.Rule{{Kind: fault.DropBefore, Probability: 1}}), Table: empty(t), Retry: quick}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := q.Put(ctx, []quarantine.Entry{entryOf(1, quarantine.Enrich)}); err == nil {
		t.Error("kept, though nothing can be written")
	}
	if err := q.Put(ctx, nil); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
