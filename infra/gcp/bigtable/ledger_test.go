package bigtable

import (
	"math/rand/v2"
	"slices"
	"testing"

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
