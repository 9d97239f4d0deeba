package bigtable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/ledger"
)

// TestLedgerBooksOnce: whatever comes again, from several at a time, and while
// answers get lost.
func TestLedgerBooksOnce(t *testing.T) {
	f := &faults{rng: rand.New(rand.NewPCG(3, 4)), before: 0.1, after: 0.1}
	l := &Ledger{Table: table(t, emulators.Bigtable(t), grpc.WithUnaryInterceptor(f.unary))}
	const minute = 29_000_000
	bookings := map[string][]ledger.Delta{}
	want := map[string]*ledger.Totals{"shop": {}, "news": {}}
	series := map[int64]ledger.Counts{}
	for i := range 200 {
		project := []string{"shop", "news"}[i%2]
		d := ledger.Delta{
			Project: project, Minute: minute + int64(i%90), People: int64(i%3 - 1), Segments: map[string]int64{"big/s": int64(i % 2), "none": 0},
			Counts: ledger.Counts{Accepted: int64(i % 7), Scored: int64(i % 5), Duplicate: int64(i % 2), Quarantined: int64(i % 4), Suppressed: int64(i % 3)},
		}
		other := ledger.Delta{Project: "shop", Minute: minute, Counts: ledger.Counts{Accepted: 1}}
		bookings[fmt.Sprintf("score/%032x.%d", i, i)] = []ledger.Delta{d, other}
		want[project].Add(d)
		want["shop"].Add(other)
		if project == "shop" {
			series[d.Minute] = series[d.Minute].Plus(d.Counts)
		}
		series[minute] = series[minute].Plus(other.Counts)
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
	for project, want := range want {
		got, err := l.Totals(t.Context(), project)
		for segment, n := range want.Segments {
			if n == 0 {
				delete(want.Segments, segment)
			}
		}
		if err != nil || !reflect.DeepEqual(got, *want) {
			t.Errorf("%s: %+v, %v, want %+v", project, got, err, *want)
		}
	}
	for _, c := range [][2]int64{{0, minute * 2}, {minute, minute}, {minute + 1, minute + 61}, {minute + 5, minute + 4}} {
		got, err := l.Minutes(t.Context(), "shop", c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for at, counts := range series {
			if at >= c[0] && at <= c[1] && counts != (ledger.Counts{}) {
				n++
			}
		}
		if len(got) != n {
			t.Errorf("from %d to %d there are %d minutes, want %d", c[0], c[1], len(got), n)
		}
		for i, m := range got {
			if m.Counts != series[m.Minute] || m.InFlight != m.Counts.InFlight() || i > 0 && m.Minute <= got[i-1].Minute {
				t.Errorf("minute %d is %+v, want %+v", m.Minute, m, series[m.Minute])
			}
		}
	}
	if f.failed < 20 || f.undone < 20 {
		t.Errorf("only %d answers were lost and %d calls failed: this shows too little", f.failed, f.undone)
	}
}

// TestLedgerCommits: by position once, and what has none each time.
func TestLedgerCommits(t *testing.T) {
	l := &Ledger{Table: table(t, emulators.Bigtable(t))}
	one := []ledger.Delta{{Project: "shop", Minute: 1, Counts: ledger.Counts{Accepted: 1}}}
	for range 3 {
		if err := l.Commit(t.Context(), "log", []ledger.Booking{{Sequence: "1", Deltas: one}, {Deltas: one}, {Sequence: "2", Deltas: one}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := l.Totals(t.Context(), "shop"); err != nil || got.Accepted != 2+3 || got.InFlight != 5 {
		t.Errorf("%+v, %v, want 5 accepted", got, err)
	}
	if got, err := l.Totals(t.Context(), "other"); err != nil || got.Accepted != 0 || got.Segments == nil {
		t.Errorf("of nothing: %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Record(ctx, one); err == nil {
		t.Error("recorded though ended")
	}
	if _, err := l.Totals(ctx, "shop"); err == nil {
		t.Error("read though ended")
	}
}

// TestLedgerClaims: what counts nothing books its id all the same, in its own
// project and hour, and shows in no series.
func TestLedgerClaims(t *testing.T) {
	l := &Ledger{Table: table(t, emulators.Bigtable(t))}
	const minute = 29_000_000
	claim := []ledger.Delta{{Project: "shop", Source: "m.0", Minute: minute}, {Project: "news", Source: "m.1", Minute: minute, Segments: map[string]int64{"big": 0}}}
	scored := slices.Clone(claim)
	for i := range scored {
		scored[i].Counts = ledger.Counts{Scored: 1}
	}
	for range 2 {
		if err := l.CommitOnce(t.Context(), "m", claim); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.CommitOnce(t.Context(), "m", scored); err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{"shop", "news"} {
		got, err := l.Totals(t.Context(), project)
		if want := (ledger.Totals{Segments: map[string]int64{}}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: claimed, then booked: %+v, %v", project, got, err)
		}
		if minutes, err := l.Minutes(t.Context(), project, 0, minute); err != nil || len(minutes) != 0 {
			t.Errorf("%s: claims are the minutes %+v, %v", project, minutes, err)
		}
	}
	// Another id, and another hour of the same one, are not claimed.
	scored[1].Minute += 60
	if err := l.CommitOnce(t.Context(), "m", scored); err != nil {
		t.Fatal(err)
	}
	if err := l.CommitOnce(t.Context(), "n", scored[:1]); err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{"shop", "news"} {
		if got, err := l.Totals(t.Context(), project); err != nil || got.Scored != 1 {
			t.Errorf("%s: %+v, %v, want 1 scored", project, got, err)
		}
	}
}
