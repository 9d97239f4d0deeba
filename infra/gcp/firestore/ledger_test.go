package firestore

import (
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
