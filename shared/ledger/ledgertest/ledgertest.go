// Package ledgertest is the conformance suite of a ledger that books by ids: what
// it must do, whatever keeps it.
package ledgertest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hitolayer/hito/shared/ledger"
)

// Ledger is what is tested.
type Ledger interface {
	ledger.Recorder
	ledger.Committer
	ledger.Reader
}

// Harness makes a new, empty ledger for a test and sees to its end.
type Harness func(t *testing.T) Ledger

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Ledger)
	}{
		{"BooksOnce", booksOnce},
		{"Commits", commits},
		{"Claims", claims},
		{"ManyHoursAndSegments", manyHoursAndSegments},
		{"RecordsAtOnce", recordsAtOnce},
		{"CancelledContext", cancelledContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, h(t)) })
	}
}

const minute = 29_000_000

// want asserts what the ledger shows of projects after these deltas.
func want(t *testing.T, l Ledger, deltas map[string][]ledger.Delta) {
	t.Helper()
	for project, all := range deltas {
		total := ledger.Totals{Segments: map[string]int64{}}
		series := map[int64]ledger.Counts{}
		for _, d := range all {
			total.Add(d)
			series[d.Minute] = series[d.Minute].Plus(d.Counts)
		}
		maps.DeleteFunc(total.Segments, func(_ string, n int64) bool { return n == 0 })
		maps.DeleteFunc(series, func(_ int64, c ledger.Counts) bool { return c == ledger.Counts{} })
		if got, err := l.Totals(t.Context(), project); err != nil || !reflect.DeepEqual(got, total) {
			t.Errorf("%s: %+v, %v, want %+v", project, got, err, total)
		}
		for _, c := range [][2]int64{{0, minute * 2}, {minute, minute}, {minute + 1, minute + 61}, {minute + 5, minute + 4}, {-10, 10}} {
			var minutes []ledger.Minute
			for _, at := range slices.Sorted(maps.Keys(series)) {
				if at >= c[0] && at <= c[1] {
					minutes = append(minutes, ledger.Minute{Minute: at, Counts: series[at], InFlight: series[at].InFlight()})
				}
			}
			if got, err := l.Minutes(t.Context(), project, c[0], c[1]); err != nil || !slices.Equal(got, minutes) {
				t.Errorf("%s from %d to %d: %+v, %v, want %+v", project, c[0], c[1], got, err, minutes)
			}
		}
	}
}

// booksOnce: whatever comes again, from several at a time.
func booksOnce(t *testing.T, l Ledger) {
	bookings, all := map[string][]ledger.Delta{}, map[string][]ledger.Delta{}
	for i := range 200 {
		deltas := []ledger.Delta{{
			Project: []string{"shop", "news"}[i%2], Minute: minute + int64(i%90), People: int64(i%3 - 1), Segments: map[string]int64{"big/s": int64(i % 2), "none": 0},
			Counts: ledger.Counts{Accepted: int64(i % 7), Scored: int64(i % 5), Duplicate: int64(i % 2), Quarantined: int64(i % 4), Suppressed: int64(i % 3)},
		}, {Project: "shop", Minute: minute, Counts: ledger.Counts{Accepted: 1}}}
		bookings[fmt.Sprintf("score/%032x.%d", i, i)] = deltas
		for _, d := range deltas {
			all[d.Project] = append(all[d.Project], d)
		}
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for id, deltas := range bookings { // in another order each time
				if err := l.CommitOnce(t.Context(), id, deltas); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want(t, l, all)
}

// commits: by position once, and what has none each time.
func commits(t *testing.T, l Ledger) {
	one := ledger.Delta{Project: "shop", Minute: 1, Counts: ledger.Counts{Accepted: 1}}
	for range 3 {
		if err := l.Commit(t.Context(), "log", []ledger.Booking{{Sequence: "1", Deltas: []ledger.Delta{one}}, {Deltas: []ledger.Delta{one}}, {Sequence: "2", Deltas: []ledger.Delta{one}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Commit(t.Context(), "another", []ledger.Booking{{Sequence: "1", Deltas: []ledger.Delta{one}}}); err != nil {
		t.Fatal(err)
	}
	want(t, l, map[string][]ledger.Delta{"shop": slices.Repeat([]ledger.Delta{one}, 6), "other": nil})
}

// claims: what counts nothing books its id all the same, and shows in no series.
func claims(t *testing.T, l Ledger) {
	claim := []ledger.Delta{{Project: "shop", Source: "m.0", Minute: minute}, {Project: "news", Source: "m.1", Minute: minute, Segments: map[string]int64{"big": 0}}}
	scored := slices.Clone(claim)
	for i := range scored {
		scored[i].Counts = ledger.Counts{Scored: 1}
	}
	for _, deltas := range [][]ledger.Delta{claim, claim, scored} {
		if err := l.CommitOnce(t.Context(), "m", deltas); err != nil {
			t.Fatal(err)
		}
	}
	want(t, l, map[string][]ledger.Delta{"shop": nil, "news": nil})
	if err := l.CommitOnce(t.Context(), "n", scored); err != nil {
		t.Fatal(err)
	}
	want(t, l, map[string][]ledger.Delta{"shop": scored[:1], "news": scored[1:]})
}

// manyHoursAndSegments: one booking of more than one write bears.
func manyHoursAndSegments(t *testing.T, l Ledger) {
	var deltas []ledger.Delta
	for i := range 300 {
		d := ledger.Delta{Project: "shop", Minute: minute - 60*int64(i), Counts: ledger.Counts{Scored: 1}, Segments: map[string]int64{}}
		for j := range 3 {
			d.Segments[fmt.Sprintf("s%d/日本`\\.\"", 3*i+j)] = int64(j)
		}
		deltas = append(deltas, d)
	}
	deltas = append(deltas, ledger.Delta{Project: "shop|t", Minute: minute, People: 1, Segments: map[string]int64{strings.Repeat("x", 500): 2, "__a__": 1}})
	for range 2 {
		if err := l.CommitOnce(t.Context(), "m", deltas); err != nil {
			t.Fatal(err)
		}
	}
	want(t, l, map[string][]ledger.Delta{"shop": deltas[:300], "shop|t": deltas[300:]})
}

// recordsAtOnce: each time it is called, by several at a time.
func recordsAtOnce(t *testing.T, l Ledger) {
	one := ledger.Delta{Project: "shop", Minute: minute, People: 1, Counts: ledger.Counts{Accepted: 2, Scored: 1}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := l.Record(t.Context(), []ledger.Delta{one}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want(t, l, map[string][]ledger.Delta{"shop": slices.Repeat([]ledger.Delta{one}, 80)})
}

func cancelledContext(t *testing.T, l Ledger) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one := []ledger.Delta{{Project: "shop", Minute: minute, Counts: ledger.Counts{Accepted: 1}}}
	if err := l.Record(ctx, one); err == nil {
		t.Error("recorded though ended")
	}
	if err := l.CommitOnce(ctx, "m", one); err == nil {
		t.Error("committed though ended")
	}
	if _, err := l.Totals(ctx, "shop"); err == nil {
		t.Error("totals though ended")
	}
	if _, err := l.Minutes(ctx, "shop", 0, minute); err == nil {
		t.Error("minutes though ended")
	}
}
