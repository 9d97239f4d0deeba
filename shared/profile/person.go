package profile

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/hitolayer/hito/shared/event"
)

// Person is the view over a user's fragment and the anonymous fragments that
// user claims, or over an anonymous fragment nobody claims. Identity is this
// view and nothing else: linking moves no data.
type Person struct {
	// Head is the fragment that keeps the person's memberships.
	Head *Fragment
	// Claimed are the anonymous fragments whose winning claim is the head's user.
	Claimed []*Fragment
	// view is the fold over all of them: Head.State itself when it is alone.
	view *State
}

// NewPerson returns the view over a head and those of the fragments that
// belong to it. It must be made anew when a fragment changes.
func NewPerson(head *Fragment, fragments []*Fragment) *Person {
	p := &Person{Head: head, view: head.State}
	user, ok := head.Key.User()
	if !ok {
		return p
	}
	for _, f := range fragments {
		if f.Claimant() != user || f.ErasedWith(head) {
			continue
		}
		p.Claimed = append(p.Claimed, f)
		if f.State.Events == 0 {
			continue
		}
		if p.view == head.State {
			p.view = head.State.CloneVT()
		}
		p.view.Merge(f.State)
	}
	return p
}

// ClaimKeys returns the keys of the anonymous fragments that a user's fragment
// has heard claims of; whether each is really the user's, the anonymous
// fragment decides.
func (f *Fragment) ClaimKeys() []Key {
	if _, ok := f.Key.User(); !ok {
		return nil
	}
	keys := make([]Key, len(f.State.Claims))
	for i, c := range f.State.Claims {
		keys[i] = Key{f.Key.Project, event.AnonymousPrefix + c.Id}
	}
	return keys
}

// LoadPerson loads the person a visitor key belongs to; nil when nothing is
// known of them.
func LoadPerson(ctx context.Context, store Store, key Key) (*Person, error) {
	head, err := loadOne(ctx, store, key)
	if err != nil {
		return nil, err
	}
	keys := head.ClaimKeys()
	if user := head.Claimant(); user != "" {
		f := head
		if head, err = loadOne(ctx, store, Key{key.Project, event.UserPrefix + user}); err != nil {
			return nil, err
		}
		if f.ErasedWith(head) {
			return nil, nil
		}
		// The user's fragment learns of a claim after the anonymous one does.
		if keys = head.ClaimKeys(); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	var claimed []*Fragment
	if len(keys) > 0 {
		if claimed, err = store.Load(ctx, keys); err != nil {
			return nil, fmt.Errorf("load claims of %s: %w", head.Key, err)
		}
	}
	p := NewPerson(head, claimed)
	if p.view.Events == 0 {
		return nil, nil
	}
	return p, nil
}

func loadOne(ctx context.Context, store Store, key Key) (*Fragment, error) {
	fragments, err := store.Load(ctx, []Key{key})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", key, err)
	}
	return fragments[0], nil
}

// UserID returns the person's user id, empty when anonymous.
func (p *Person) UserID() string {
	if id, ok := p.Head.Key.User(); ok {
		return id
	}
	return ""
}

// AnonymousIDs returns the anonymous ids that belong to the person, sorted.
func (p *Person) AnonymousIDs() []string {
	var ids []string
	if id, ok := p.Head.Key.Anonymous(); ok {
		ids = append(ids, id)
	}
	for _, f := range p.Claimed {
		id, _ := f.Key.Anonymous()
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Trait returns a trait's value as JSON.
func (p *Person) Trait(key string) (value []byte, ok bool) {
	i, found := slices.BinarySearchFunc(p.view.Traits, key, func(t *Trait, key string) int {
		return strings.Compare(t.Key, key)
	})
	if !found || string(p.view.Traits[i].Value) == "null" {
		return nil, false
	}
	return p.view.Traits[i].Value, true
}

// Traits returns all traits by key, values as JSON.
func (p *Person) Traits() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, t := range p.view.Traits {
			if string(t.Value) != "null" && !yield(t.Key, t.Value) {
				return
			}
		}
	}
}

// Metric returns a metric's value at now; ok is false for the minimum,
// maximum, first and last of nothing.
func (p *Person) Metric(m *Metric, now time.Time) (v Value, ok bool) { return p.view.read(m, now) }

// MetricFloat returns a numeric metric's value at now.
func (p *Person) MetricFloat(m *Metric, now time.Time) (v float64, ok bool) {
	if m.Kind == Decayed {
		return p.view.metric(m.ID).decayed(m, now), true
	}
	value, ok := p.view.read(m, now)
	return value.Number.Float(), ok && value.IsNumber
}

// Events returns how many events the person has.
func (p *Person) Events() int64 { return p.view.Events }

// EventsNamed returns how many track events have the name; for other types
// the name is the type's word, such as "page".
func (p *Person) EventsNamed(name string) int64 {
	i, found := slices.BinarySearchFunc(p.view.Names, name, func(c *NameCount, name string) int {
		return strings.Compare(c.Name, name)
	})
	if !found {
		return 0
	}
	return p.view.Names[i].Count
}

// Names returns the counts of EventsNamed in order of name.
func (p *Person) Names() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for _, c := range p.view.Names {
			if !yield(c.Name, c.Count) {
				return
			}
		}
	}
}

// FirstSeen returns when the person's earliest event happened.
func (p *Person) FirstSeen() time.Time { return time.UnixMilli(p.view.FirstSeen) }

// LastSeen returns when the person's latest event happened.
func (p *Person) LastSeen() time.Time { return time.UnixMilli(p.view.LastSeen) }

// Session is a run of events with no pause of SessionGap.
type Session struct {
	Start, End time.Time
	Events     int
}

// Sessions returns the sessions, oldest first: all of them, unless the person
// was active in more than 128 half-hours, when the latest are left.
func (p *Person) Sessions() []Session {
	var sessions []Session
	for _, slot := range p.view.Slots {
		base := slot.Index * slotWidth.Milliseconds()
		start, end := time.UnixMilli(base+int64(slot.First)), time.UnixMilli(base+int64(slot.Last))
		if n := len(sessions); n > 0 && start.Sub(sessions[n-1].End) < SessionGap {
			sessions[n-1].End = end
			sessions[n-1].Events += int(slot.Count)
			continue
		}
		sessions = append(sessions, Session{start, end, int(slot.Count)})
	}
	return sessions
}

// Agent returns the latest event's user agent, nil when unknown.
func (p *Person) Agent() *event.Agent { return p.view.Agent.GetAgent() }

// Geo returns where the latest event came from, nil when unknown.
func (p *Person) Geo() *event.Geo { return p.view.Geo.GetGeo() }

// Bot reports whether the person is a crawler or another program.
func (p *Person) Bot() bool { return p.view.Agent.GetAgent().GetBot() }

// Group returns the group the person was last put in, empty without one.
func (p *Person) Group() string { return p.view.Group.GetText() }

// FirstTouch returns how the person first came from elsewhere; nil when unknown.
func (p *Person) FirstTouch() (*event.Referrer, *event.Campaign) {
	return p.view.FirstTouch.GetReferrer(), p.view.FirstTouch.GetCampaign()
}

// LastTouch returns how the person last came from elsewhere; nil when unknown.
func (p *Person) LastTouch() (*event.Referrer, *event.Campaign) {
	return p.view.LastTouch.GetReferrer(), p.view.LastTouch.GetCampaign()
}

// Recent returns the latest events, newest first.
func (p *Person) Recent() []*Recent {
	recent := slices.Clone(p.view.Recent)
	slices.Reverse(recent)
	return recent
}

// Reflects reports whether the event with the message id is folded in and
// still in a dedupe window.
func (p *Person) Reflects(messageID string) bool {
	return p.Head.Reflects(messageID) || slices.ContainsFunc(p.Claimed, func(f *Fragment) bool { return f.Reflects(messageID) })
}
