package bigtable

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, &Store{Table: table(b, emulators.Bigtable(b))})
}

// BenchmarkTotals reads a ledger that has all the rows it will ever have, and 20 segments.
func BenchmarkTotals(b *testing.B) {
	l := &Ledger{Table: table(b, emulators.Bigtable(b))}
	segments := map[string]int64{}
	for i := range 20 {
		segments[fmt.Sprint("segment-", i)] = 1
	}
	var deltas []ledger.Delta
	for hour := range ledgerSlots {
		deltas = append(deltas, ledger.Delta{Project: "shop", Minute: int64(hour) * 60, People: 1, Counts: ledger.Counts{Accepted: 4, Scored: 1, Duplicate: 1, Quarantined: 1, Suppressed: 1}, Segments: segments})
	}
	for id, seen := 0, map[byte]bool{}; len(seen) < ledgerShards; id++ {
		text := fmt.Sprint(id)
		h := sha256.Sum256([]byte(text))
		if seen[h[0]%ledgerShards] {
			continue
		}
		seen[h[0]%ledgerShards] = true
		if err := l.CommitOnce(b.Context(), text, deltas); err != nil {
			b.Fatal(err)
		}
	}
	began := storetest.CPU(b)
	for b.Loop() {
		if _, err := l.Totals(b.Context(), "shop"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((storetest.CPU(b)-began).Nanoseconds())/float64(b.N), "CPU-ns/op")
}
