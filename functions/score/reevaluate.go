package score

import (
	"context"
	"fmt"

	"github.com/hitolayer/hito/shared/profile"
)

// Reevaluate decides anew the segments of the persons that the fragments belong
// to, as passing time and changed rules demand. It loads and saves only those
// with something to change.
func (h *Handler) Reevaluate(ctx context.Context, fragments []*profile.Fragment) error {
	b := newBatch(h)
	for _, f := range fragments {
		if f.Claimant() == "" && (len(f.State.Claims) > 0 || b.outdated(f)) {
			b.add(f.Key, nil)
		}
	}
	if err := b.run(ctx); err != nil {
		return fmt.Errorf("reevaluate %d fragments: %w", len(fragments), err)
	}
	return nil
}

// outdated reports whether deciding a fragment that is a person by itself would change it.
func (b *batch) outdated(f *profile.Fragment) bool {
	rules := b.h.Rules(f.Key.Project)
	if rules == nil || f.State.Events == 0 && len(f.State.Memberships) == 0 {
		return false
	}
	b.standings = rules.Standings(profile.NewPerson(f, nil), b.now, b.standings[:0])
	decided := 0
	for _, st := range b.standings {
		in := f.In(st.Segment)
		if !st.Undecided && in != st.In {
			return true
		}
		if in {
			decided++
		}
	}
	return decided != f.Memberships() || len(f.State.Outbox) > 0
}
