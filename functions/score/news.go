package score

import (
	"context"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// news is what an anonymous fragment is to be told of a user: that the user
// claims it since at or, without at, is erased.
type news struct {
	user, anonymous profile.Key
	at              *profile.Stamp
	receivedAt      int64
}

// eraseWithUsers erases the anonymous fragments whose users were erased since
// they claimed them: more than a user's fragment lists, or claimed meanwhile.
func (b *batch) eraseWithUsers(ctx context.Context, fragments []*loaded) error {
	var users []profile.Key
	for _, f := range fragments {
		if user := f.Claimant(); user != "" {
			users = append(users, profile.Key{Project: f.Key.Project, Visitor: event.UserPrefix + user})
		}
	}
	if err := b.load(ctx, users); err != nil {
		return err
	}
	for _, f := range fragments {
		if user := f.Claimant(); user != "" {
			head := b.loaded[profile.Key{Project: f.Key.Project, Visitor: event.UserPrefix + user}]
			if f.ErasedWith(head.Fragment) && f.Erase(head.State.ErasedAt) {
				f.changed, f.derived = true, true
			}
		}
	}
	return nil
}

// hear appends what a user's record, not yet folded, says of anonymous fragments.
func (b *batch) hear(f *loaded, r *event.Record, told []news) []news {
	if r.ReceivedAt <= f.State.ErasedAt {
		return told
	}
	if r.Erase {
		for _, k := range f.ClaimKeys() {
			told = append(told, news{user: f.Key, anonymous: k, receivedAt: r.ReceivedAt})
		}
		return told
	}
	for _, e := range r.Events {
		id, ok := e.Claim()
		if !ok {
			continue
		}
		at := profile.StampOf(e)
		// A repeat may be of a batch that failed half way: do its claims again.
		if !f.Knows(id, at) || f.Reflects(e.MessageId) {
			told = append(told, news{f.Key, profile.Key{Project: f.Key.Project, Visitor: event.AnonymousPrefix + id}, at, r.ReceivedAt})
		}
	}
	return told
}

// tell tells the anonymous fragments, in order.
func (b *batch) tell(ctx context.Context, told []news) error {
	keys := make([]profile.Key, len(told))
	for i, n := range told {
		keys[i] = n.anonymous
	}
	known := len(b.order)
	if err := b.load(ctx, keys); err != nil {
		return err
	}
	if err := b.eraseWithUsers(ctx, b.order[known:]); err != nil {
		return err
	}
	for _, n := range told {
		f := b.loaded[n.anonymous]
		id, _ := n.user.User()
		switch {
		case n.at == nil:
			if f.Claimant() == id && f.Erase(n.receivedAt) {
				f.changed, f.derived = true, true
			}
		case n.receivedAt > f.State.ErasedAt:
			f.changed = f.Claim(id, n.at, n.receivedAt) || f.changed
		}
	}
	return nil
}
