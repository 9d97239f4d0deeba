package score

import (
	"context"
	"fmt"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/stream"
)

// publish sends what the saved outboxes hold, then empties them, and forgets
// memberships that a user took over. Should emptying fail, the next batch that
// meets the fragment publishes again: same ids, so that receivers can tell.
func (b *batch) publish(ctx context.Context, heads []*loaded) error {
	var records, words []stream.Record
	var tidy []*loaded
	for _, f := range heads {
		if f.changed && !f.saved || f.postponed {
			continue
		}
		user, _ := f.Key.User()
		for _, k := range f.ClaimKeys() {
			if c := b.loaded[k]; c.Claimant() == user && len(c.State.Memberships) > 0 && (!c.changed || c.saved) {
				c.State.Memberships = nil
				tidy = append(tidy, c)
			}
		}
		if len(f.State.Outbox) == 0 {
			continue
		}
		for _, t := range f.State.Outbox {
			t.Project, t.Key = f.Key.Project, f.Key.Visitor
			data, err := t.MarshalVT()
			if err != nil {
				return fmt.Errorf("encode transition %s: %w", t.Id, err)
			}
			records = append(records, stream.Record{Project: t.Project, Key: t.Key, Events: 1, Time: t.At, Data: data})
		}
		if b.h.Enriched != nil {
			word, err := b.word(f)
			if err != nil {
				return err
			}
			words = append(words, word)
		}
		f.State.Outbox = nil
		tidy = append(tidy, f)
	}
	if len(records) > 0 {
		if err := b.h.Actions.Publish(ctx, records); err != nil {
			// Not wrapped: positions on the actions stream are not this batch's.
			return fmt.Errorf("publish %d transitions: %v", len(records), err)
		}
		b.transitions += len(records)
	}
	if len(words) > 0 {
		if err := b.h.Enriched.Publish(ctx, words); err != nil {
			return fmt.Errorf("tell the other cloud of %d transitions: %v", len(records), err)
		}
	}
	return b.save(ctx, tidy)
}

// tellErased tells the other cloud what erasures took that it cannot know: what was
// received later and already folded, and which fragments were a user's. It comes
// before the save, after which nothing would ask for it again.
func (b *batch) tellErased(ctx context.Context) error {
	if b.h.Enriched == nil {
		return nil
	}
	var records []stream.Record
	for _, f := range b.order {
		at := f.State.ErasedAt
		if !f.derived && (f.asked == 0 || f.asked >= at) {
			continue
		}
		data, err := event.Encode(&event.Record{Project: f.Key.Project, Key: f.Key.Visitor, ReceivedAt: at, Origin: b.h.Origin, Erase: true})
		if err != nil {
			return fmt.Errorf("encode the erasure of %s: %w", f.Key, err)
		}
		records = append(records, stream.Record{Project: f.Key.Project, Key: f.Key.Visitor, Time: at, Data: data})
	}
	if len(records) == 0 {
		return nil
	}
	if err := b.h.Enriched.Publish(ctx, records); err != nil {
		return fmt.Errorf("tell the other cloud of %d erasures: %v", len(records), err)
	}
	return nil
}

// word is a record that says that a fragment's outbox was published.
func (b *batch) word(f *loaded) (stream.Record, error) {
	at := b.now.UnixMilli()
	r := &event.Record{Project: f.Key.Project, Key: f.Key.Visitor, ReceivedAt: at, Origin: b.h.Origin}
	for _, t := range f.State.Outbox {
		r.Told = append(r.Told, &event.Told{Segment: t.Segment, Changes: t.Changes})
	}
	data, err := event.Encode(r)
	if err != nil {
		return stream.Record{}, fmt.Errorf("encode what was told of %s: %w", f.Key, err)
	}
	return stream.Record{Project: r.Project, Key: r.Key, Time: at, Data: data}, nil
}
