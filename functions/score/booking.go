package score

import (
	"maps"
	"slices"

	"github.com/hitolayer/hito/shared/ledger"
)

type minute struct {
	project string
	minute  int64
}

// book enters a finished fragment's outcomes into the ledger.
func (b *batch) book(f *loaded) {
	if f.work != nil {
		for i, r := range f.work.records {
			t := f.tally[i]
			b.tally = b.tally.Plus(t)
			if t.Scored+t.Duplicate+t.Suppressed == 0 {
				continue
			}
			d := b.delta(f.Key.Project, r.ReceivedAt)
			d.Counts = d.Counts.Plus(ledger.Counts{
				Scored: int64(t.Scored), Duplicate: int64(t.Duplicate), Suppressed: int64(t.Suppressed),
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
	d := b.delta(f.Key.Project, b.now.UnixMilli())
	d.People += people
	if d.Segments == nil {
		d.Segments = make(map[string]int64, len(sizes))
	}
	for s, n := range sizes {
		d.Segments[s] += n
	}
}

func (b *batch) delta(project string, ms int64) *ledger.Delta {
	k := minute{project, ms / 60_000}
	d := b.deltas[k]
	if d == nil {
		d = &ledger.Delta{Project: project, Minute: k.minute}
		b.deltas[k] = d
	}
	return d
}

func (b *batch) takeDeltas() []ledger.Delta {
	deltas := make([]ledger.Delta, 0, len(b.deltas))
	for _, d := range b.deltas {
		deltas = append(deltas, *d)
	}
	clear(b.deltas)
	slices.SortFunc(deltas, func(x, y ledger.Delta) int { return int(x.Minute - y.Minute) })
	return deltas
}
