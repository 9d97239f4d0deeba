package bigtable

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

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

// TestSummedUp: hours that are over become one row, once; totals stay as they are.
func TestSummedUp(t *testing.T) {
	host := emulators.Bigtable(t)
	f := &faults{rng: rand.New(rand.NewPCG(7, 8)), before: 0.1, after: 0.1}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start
	l := &Ledger{Table: table(t, host, grpc.WithUnaryInterceptor(f.unary)), Now: func() time.Time { return now }}
	book := func(i int) {
		t.Helper()
		at := now.Unix() / 60
		deltas := []ledger.Delta{
			{Project: "shop", Source: "m", Minute: at, Counts: ledger.Counts{Accepted: 3, Scored: 2, Duplicate: 1}, People: 1, Segments: map[string]int64{"vip": 1, "gone": 1 - 2*int64(i%2)}},
			{Project: "news", Source: "m", Minute: at, Counts: ledger.Counts{Accepted: 1, Scored: 1}},
		}
		if err := l.CommitOnce(t.Context(), fmt.Sprint("m", i), deltas); err != nil {
			t.Fatal(err)
		}
	}
	check := func(n int64) {
		t.Helper()
		want := ledger.Totals{Counts: ledger.Counts{Accepted: 3 * n, Scored: 2 * n, Duplicate: n}, People: n, Segments: map[string]int64{"vip": n}}
		if n%2 == 1 {
			want.Segments["gone"] = 1
		}
		if n == 0 {
			want.Segments = map[string]int64{}
		}
		if got, err := l.Totals(t.Context(), "shop"); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	}
	hours := func() (n int) {
		t.Helper()
		last, err := l.summed(t.Context(), "shop", func(int64, string, int64) {})
		if err == nil {
			err = l.read(t.Context(), "shop", last+1, 9_999_999_999, bigtable.ColumnFilter("hour/a"), func(int64, string, int64) { n++ })
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	check(0)
	const booked = 60
	for i := range booked {
		book(i)
		now = now.Add(7 * 24 * time.Hour)
		check(int64(i + 1))
		if i%5 == 0 {
			var sumUps sync.WaitGroup
			for range 4 { // at once, which counts nothing twice
				sumUps.Go(func() {
					if err := l.sumUp(t.Context(), "shop"); err != nil {
						t.Error(err)
					}
				})
			}
			sumUps.Wait()
			check(int64(i + 1))
			if n := hours(); n > 16 {
				t.Errorf("%d hours are open after %d weeks", n, i)
			}
		}
	}
	if minutes, err := l.Minutes(t.Context(), "shop", start.Unix()/60, start.Unix()/60); err != nil || len(minutes) != 1 || minutes[0].Accepted != 3 {
		t.Errorf("a minute that is summed up: %+v, %v", minutes, err)
	}
	// What nobody sums up on purpose is summed up now and then.
	if n := hours(); n < 14 {
		t.Fatalf("only %d hours are open: this shows too little", n)
	}
	before := hours()
	now = now.Add(2 * open * time.Hour)
	for i := booked; hours() >= before; i++ {
		if i == booked+20*rollOneIn {
			t.Fatal("never summed up")
		}
		if id := fmt.Sprint("m", i); sums4096(id) {
			book(i)
		}
	}
}

// sums4096 tells whether booking an id sums up too.
func sums4096(id string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return h.Sum32()/ledgerShards%rollOneIn == 0
}
