package firestore

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/ledger/ledgertest"
	"github.com/hitolayer/hito/shared/quarantine/quarantinetest"
)

// TestLedger: also while calls fail, before their effect and after.
func TestLedger(t *testing.T) {
	host := emulators.Firestore(t)
	f := &faults{rng: rand.New(rand.NewPCG(3, 4)), before: 0.1, after: 0.1}
	ledgertest.Run(t, func(t *testing.T) ledgertest.Ledger { return &Ledger{Database: database(t, host, f.dial()...)} })
	if f.failed < 20 || f.undone < 20 {
		t.Errorf("only %d answers were lost and %d calls failed: this shows too little", f.failed, f.undone)
	}
}

// TestQuarantine: also while calls fail, before their effect and after.
func TestQuarantine(t *testing.T) {
	host := emulators.Firestore(t)
	f := &faults{rng: rand.New(rand.NewPCG(5, 6)), before: 0.1, after: 0.1}
	quarantinetest.Run(t, func(t *testing.T) (quarantinetest.Quarantine, ledger.Reader) {
		d := database(t, host, f.dial()...)
		return &Quarantine{Database: d}, &Ledger{Database: d}
	})
	if f.failed < 10 || f.undone < 10 {
		t.Errorf("only %d answers were lost and %d calls failed: this shows too little", f.failed, f.undone)
	}
}

// TestBooksWhole: what an id stands for is what its records came to, however
// often they were delivered; what is recorded happened now.
func TestBooksWhole(t *testing.T) {
	l := &Ledger{Database: database(t, emulators.Firestore(t))}
	one := []ledger.Delta{{Project: "shop", Minute: 1, Counts: ledger.Counts{Duplicate: 1}, Again: ledger.Counts{Scored: 2, Duplicate: -1}}}
	if err := l.CommitOnce(t.Context(), "m", one); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Totals(t.Context(), "shop"); err != nil || got.Scored != 2 || got.Duplicate != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWritesAreBounded: no document is added to more than Firestore allows, and
// nothing is left out.
func TestWritesAreBounded(t *testing.T) {
	d := ledger.Delta{Project: "shop", Minute: 7, Counts: ledger.Counts{Accepted: 1}, Segments: map[string]int64{}}
	for i := range 3000 {
		d.Segments[fmt.Sprint(i)] = 1
	}
	s := sums{}
	s.book(d)
	adds := map[string]int{}
	for _, w := range s.writes(&Database{name: "projects/p/databases/d"}) {
		adds[w.GetUpdate().Name] += len(w.UpdateTransforms)
	}
	total := 0
	for name, n := range adds {
		if total += n; n > 500 {
			t.Errorf("%s is added to %d times", name, n)
		}
	}
	if total != 3002 {
		t.Errorf("%d sums, want 3002", total)
	}
}
