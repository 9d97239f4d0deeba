package score

import (
	"context"
	"fmt"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// Reevaluate decides anew the segments of the persons that the fragments belong
// to, as passing time and changed rules demand, and erases what belonged to an
// erased user. It loads and saves only what may change.
func (h *Handler) Reevaluate(ctx context.Context, fragments []*profile.Fragment) error {
	b := newBatch(h)
	var claimed []*profile.Fragment
	var users []profile.Key
	for _, f := range fragments {
		if _, err := b.rulesOf(f.Key.Project); err != nil {
			continue // its records wait too
		}
		if user := f.Claimant(); user != "" {
			claimed = append(claimed, f)
			users = append(users, profile.Key{Project: f.Key.Project, Visitor: event.UserPrefix + user})
		} else if len(f.State.Claims) > 0 || b.outdated(f) {
			b.add(f.Key)
		}
	}
	if len(users) > 0 {
		heads, err := h.Store.Load(ctx, users)
		if err != nil {
			return fmt.Errorf("load %d users: %w", len(users), err)
		}
		for i, f := range claimed {
			if f.ErasedWith(heads[i]) {
				b.add(f.Key)
			}
		}
	}
	if err := b.run(ctx); err != nil {
		return fmt.Errorf("reevaluate %d fragments: %w", len(fragments), err)
	}
	if b.transitions > 0 {
		h.emit(ctx, b)
	}
	return nil
}

// outdated reports whether deciding a fragment that is a person by itself would change it.
func (b *batch) outdated(f *profile.Fragment) bool {
	if f.State.Events == 0 && len(f.State.Memberships) == 0 {
		return false
	}
	b.standings = b.rules[f.Key.Project].Standings(profile.NewPerson(f, nil), b.now, b.standings[:0])
	decided := 0
	for _, st := range b.standings {
		in := f.In(st.Segment)
		if !st.Undecided && in != st.In || f.Due(st.Segment, b.now) {
			return true
		}
		if in {
			decided++
		}
	}
	return decided != f.InSegments() || len(f.State.Outbox) > 0
}
