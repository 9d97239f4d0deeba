package score

import (
	"context"
	"fmt"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// lookAgain keeps for the next round the persons of several fragments of whom
// this round saved one while another batch saved another: no save met a
// conflict, yet each batch decided without what the other one saved. Who looks
// again after saving cannot miss it: whichever batch saves last sees everything.
func (b *batch) lookAgain(ctx context.Context, heads []*loaded) error {
	saved := make(map[profile.Key]bool) // the heads of persons of several fragments
	for _, f := range b.order {
		if !f.saved || len(f.State.Claims) == 0 {
			continue
		}
		if _, user := f.Key.User(); user {
			saved[f.Key] = true
		}
		for _, user := range f.Claimants() {
			saved[profile.Key{Project: f.Key.Project, Visitor: event.UserPrefix + user}] = true
		}
	}
	var keys []profile.Key
	headsOf := make(map[profile.Key][]profile.Key)
	for _, head := range heads {
		if !saved[head.Key] || b.byKey[head.Key] != nil {
			continue
		}
		parts := head.ClaimKeys()
		if !head.saved { // else it was saved last, and who saves it later looks again
			parts = append(parts, head.Key)
		}
		for _, k := range parts {
			if headsOf[k] == nil {
				keys = append(keys, k)
			}
			headsOf[k] = append(headsOf[k], head.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	fragments, err := b.h.Store.Load(ctx, keys)
	if err != nil {
		return fmt.Errorf("look again at %d fragments: %w", len(keys), err)
	}
	for _, f := range fragments {
		if f.Version == b.loaded[f.Key].Version {
			continue
		}
		for _, head := range headsOf[f.Key] {
			b.add(head)
		}
	}
	return nil
}
