package score

import (
	"maps"
	"slices"

	"github.com/hitolayer/hito/shared/ledger"
)

// book enters a finished fragment's outcomes into the ledger.
func (b *batch) book(f *loaded) {
	if f.work != nil {
		for i, r := range f.work.records {
			t := f.tally[i]
			b.tally = b.tally.Plus(t)
			if b.h.Origin != "" && r.Origin != b.h.Origin || t.Scored+t.Duplicate+t.Suppressed+t.Redelivered == 0 {
				continue
			}
			b.outcomes = append(b.outcomes, ledger.Delta{
				Project: f.Key.Project, Source: r.id, Minute: r.ReceivedAt / 60_000,
				Counts: ledger.Counts{Scored: int64(t.Scored), Duplicate: int64(t.Duplicate), Suppressed: int64(t.Suppressed)},
				Again:  ledger.Counts{Scored: int64(t.Redelivered - t.RedeliveredDuplicates), Duplicate: int64(t.RedeliveredDuplicates)},
			})
		}
	}
	if !f.saved {
		return
	}
	sizes := f.sizes
	if f.State.ErasedAt != f.erasedAt {
		sizes = maps.Clone(sizes)
		if sizes == nil {
			sizes = make(map[string]int64)
		}
		for _, m := range f.memberships {
			if m.In() {
				sizes[m.Segment]--
			}
		}
	}
	people := int64(0)
	if counted(f.Fragment) {
		people++
	}
	if f.counted {
		people--
	}
	if people == 0 && len(sizes) == 0 {
		return
	}
	d := b.sizes[f.Key.Project]
	if d == nil {
		d = &ledger.Delta{Project: f.Key.Project, Minute: b.now.UnixMilli() / 60_000, Segments: make(map[string]int64, len(sizes))}
		b.sizes[f.Key.Project] = d
	}
	d.People += people
	for s, n := range sizes {
		d.Segments[s] += n
	}
}

func (b *batch) takeDeltas() []ledger.Delta {
	deltas := b.outcomes
	for _, project := range slices.Sorted(maps.Keys(b.sizes)) {
		deltas = append(deltas, *b.sizes[project])
	}
	b.outcomes = nil
	clear(b.sizes)
	return deltas
}
