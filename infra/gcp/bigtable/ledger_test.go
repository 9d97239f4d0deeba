package bigtable

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"cloud.google.com/go/bigtable"
	"google.golang.org/grpc"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/ledger/ledgertest"
	"github.com/hitolayer/hito/shared/quarantine/quarantinetest"
)

// TestLedger: also while calls fail, before their effect and after.
func TestLedger(t *testing.T) {
	host := emulators.Bigtable(t)
	f := &faults{rng: rand.New(rand.NewPCG(3, 4)), before: 0.1, after: 0.1}
	ledgertest.Run(t, func(t *testing.T) ledgertest.Ledger {
		return &Ledger{Table: table(t, host, grpc.WithUnaryInterceptor(f.unary))}
	})
	if f.failed < 20 || f.undone < 20 {
		t.Errorf("only %d answers were lost and %d calls failed: this shows too little", f.failed, f.undone)
	}
}

// TestLedgerClaimsHours: an id is booked in a project and hour, whatever of it is
// in another.
func TestLedgerClaimsHours(t *testing.T) {
	l := &Ledger{Table: table(t, emulators.Bigtable(t))}
	const minute = 29_000_000
	claim := []ledger.Delta{{Project: "shop", Source: "m.0", Minute: minute}, {Project: "news", Source: "m.1", Minute: minute}}
	scored := slices.Clone(claim)
	for i := range scored {
		scored[i].Counts = ledger.Counts{Scored: 1}
	}
	scored[1].Minute += 60
	for _, deltas := range [][]ledger.Delta{claim, scored} {
		if err := l.CommitOnce(t.Context(), "m", deltas); err != nil {
			t.Fatal(err)
		}
	}
	for project, want := range map[string]int64{"shop": 0, "news": 1} {
		if got, err := l.Totals(t.Context(), project); err != nil || got.Scored != want {
			t.Errorf("%s: %+v, %v, want %d scored", project, got, err, want)
		}
	}
}

// TestQuarantine: also while calls fail, before their effect and after.
func TestQuarantine(t *testing.T) {
	host := emulators.Bigtable(t)
	f := &faults{rng: rand.New(rand.NewPCG(5, 6)), before: 0.1, after: 0.1}
	quarantinetest.Run(t, func(t *testing.T) (quarantinetest.Quarantine, ledger.Reader) {
		tbl := table(t, host, grpc.WithUnaryInterceptor(f.unary))
		return &Quarantine{Table: tbl}, &Ledger{Table: tbl}
	})
	if f.failed < 20 || f.undone < 20 {
		t.Errorf("only %d answers were lost and %d calls failed: this shows too little", f.failed, f.undone)
	}
}

// TestLedgerRows: however many hours there were, a project has as many rows as
// there are slots and shards, and each hour its own minutes.
func TestLedgerRows(t *testing.T) {
	l := &Ledger{Table: table(t, emulators.Bigtable(t))}
	const begin, hours = 29_000_040, 2*ledgerSlots + 100
	minute := func(i int) int64 { return begin + int64(i)*60 + int64(i%60) }
	var deltas []ledger.Delta
	want := ledger.Totals{Segments: map[string]int64{}}
	for i := range hours {
		d := ledger.Delta{Project: "shop", Minute: minute(i), People: 1, Counts: ledger.Counts{Accepted: int64(i), Scored: 1}, Segments: map[string]int64{"big": int64(i % 3), "gone": int64(1 - i%2*2)}}
		deltas = append(deltas, d)
		want.Add(d)
	}
	delete(want.Segments, "gone")
	book := func(id string, d ...ledger.Delta) {
		t.Helper()
		for range 2 {
			if err := l.CommitOnce(t.Context(), id, d); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(rows int) {
		t.Helper()
		if got, err := l.Totals(t.Context(), "shop"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
		n := 0
		if err := l.Table.ReadRows(t.Context(), bigtable.InfiniteRange(""), func(bigtable.Row) bool { n++; return true }); err != nil || n > rows {
			t.Errorf("%d rows, %v, want %d at most", n, err, rows)
		}
	}
	book("m", deltas...)
	check(ledgerSlots)
	for at := range hours { // of which some are in the last slots and the first
		for _, span := range []int{0, 1, 24} {
			to := min(at+span, hours-1)
			if span != 0 && at%7 != 0 {
				continue
			}
			var want []ledger.Minute
			for i := at; i <= to; i++ {
				want = append(want, ledger.Minute{Minute: minute(i), Counts: deltas[i].Counts, InFlight: deltas[i].Counts.InFlight()})
			}
			if got, err := l.Minutes(t.Context(), "shop", minute(at), minute(to)); err != nil || !slices.Equal(got, want) {
				t.Fatalf("hours %d to %d: %+v, %v, want %+v", at, to, got, err, want)
			}
		}
	}
	// Into what is long ago, to come, and no time at all.
	more := []int64{minute(0), minute(0) - 10*365*24*60, minute(0) + 10*365*24*60, 0, -1, math.MaxInt64, math.MinInt64}
	for i, at := range more {
		d := ledger.Delta{Project: "shop", Minute: at, Counts: ledger.Counts{Accepted: 1}}
		book(fmt.Sprint("more", i), d)
		want.Add(d)
	}
	check(ledgerSlots + len(more))
}
