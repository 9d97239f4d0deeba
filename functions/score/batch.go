package score

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
)

// batch carries work through rounds. A round loads what its work needs, folds,
// saves the anonymous fragments, then the users': a claim is on the anonymous
// fragment before the user's knows it, so that a crash between the two repeats
// harmlessly. Whatever met a conflict stays for the next round.
type batch struct {
	h   *Handler
	now time.Time
	// rules are each project's, the same for the whole batch.
	rules map[string]Rules
	// todo is what is not yet saved, in order of arrival.
	todo []*work
	// byKey finds work of todo.
	byKey map[profile.Key]*work
	// loaded finds the round's fragments, which order has in order of loading.
	loaded map[profile.Key]*loaded
	order  []*loaded
	folder profile.Folder

	standings   []profile.Standing
	outcomes    []ledger.Delta           // by record
	sizes       map[string]*ledger.Delta // by project: people and segments
	tally       profile.Tally
	conflicts   int
	transitions int
}

// work is the records of one visitor key; none when only its person is to be decided.
type work struct {
	key     profile.Key
	records []delivered
}

// delivered is a record under the ID it was delivered with.
type delivered struct {
	*event.Record
	id string
}

// loaded is a fragment as it was loaded, and what the round did to it.
type loaded struct {
	*profile.Fragment
	work  *work
	tally []profile.Tally // by record
	// before: whether it counted as a person, when it was erased, its memberships.
	counted     bool
	erasedAt    int64
	memberships []*profile.Membership
	// asked is up to which receipt it is to be erased, 0 when it is not; derived
	// says that it was erased with a user.
	asked   int64
	derived bool
	changed bool
	saved   bool
	// postponed is set when a claim of this user could not be saved: this
	// fragment must not know of it before the anonymous one does.
	postponed bool
	sizes     map[string]int64
}

func newBatch(h *Handler) *batch {
	return &batch{
		h: h, now: h.Now(), rules: make(map[string]Rules),
		byKey: make(map[profile.Key]*work), sizes: make(map[string]*ledger.Delta), folder: profile.Folder{Origin: h.Origin},
	}
}

// rulesOf returns a project's rules. Without them nothing may be folded: its
// metrics would miss the events for good.
func (b *batch) rulesOf(project string) (Rules, error) {
	if rules, ok := b.rules[project]; ok {
		return rules, nil
	}
	rules := b.h.Rules(project)
	if rules == nil {
		return nil, fmt.Errorf("project %q has no rules in service: its events wait", project)
	}
	b.rules[strings.Clone(project)] = rules
	return rules, nil
}

// add makes sure that the person of k is decided, and returns its work.
func (b *batch) add(k profile.Key) *work {
	w := b.byKey[k]
	if w == nil {
		w = &work{key: k}
		b.byKey[k] = w
		b.todo = append(b.todo, w)
	}
	return w
}

func (b *batch) run(ctx context.Context) error {
	for len(b.todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.round(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) round(ctx context.Context) error {
	b.loaded, b.order = make(map[profile.Key]*loaded, len(b.todo)), b.order[:0]
	keys := make([]profile.Key, len(b.todo))
	for i, w := range b.todo {
		keys[i] = w.key
	}
	if err := b.load(ctx, keys); err != nil {
		return err
	}
	if err := b.eraseWithUsers(ctx, b.order); err != nil {
		return err
	}
	var news []news
	for _, w := range b.todo {
		f := b.loaded[w.key]
		f.work = w
		news = b.fold(f, news)
	}
	if err := b.tell(ctx, news); err != nil {
		return err
	}
	heads, err := b.heads(ctx)
	if err != nil {
		return err
	}

	var anonymous, users []*loaded
	for _, f := range heads {
		if _, ok := f.Key.User(); !ok {
			b.decide(f)
		}
	}
	for _, f := range b.order {
		if _, user := f.Key.User(); !user && f.changed {
			anonymous = append(anonymous, f)
		}
	}
	if err := b.tellErased(ctx); err != nil {
		return err
	}
	if err := b.save(ctx, anonymous); err != nil {
		return err
	}
	for _, n := range news {
		if f := b.loaded[n.anonymous]; f.changed && !f.saved {
			b.loaded[n.user].postponed = true
		}
	}
	for _, f := range heads {
		if _, user := f.Key.User(); !user || f.postponed {
			continue
		}
		b.decide(f)
		if f.changed {
			users = append(users, f)
		}
	}
	if err := b.save(ctx, users); err != nil {
		return err
	}
	if err := b.finish(ctx, heads); err != nil {
		return err
	}
	return b.lookAgain(ctx, heads)
}

// load adds the fragments not yet loaded in this round.
func (b *batch) load(ctx context.Context, keys []profile.Key) error {
	missing := keys[:0:0]
	for _, k := range keys {
		if b.loaded[k] == nil {
			l := &loaded{}
			b.loaded[k], b.order = l, append(b.order, l)
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fragments, err := b.h.Store.Load(ctx, missing)
	if err != nil {
		return fmt.Errorf("load %d fragments: %w", len(missing), err)
	}
	for i, f := range fragments {
		l := b.loaded[missing[i]]
		l.Fragment = f
		l.counted, l.erasedAt, l.memberships = counted(f), f.State.ErasedAt, f.State.Memberships
	}
	return nil
}

// counted reports whether the fragment alone makes a person.
func counted(f *profile.Fragment) bool { return f.State.Events > 0 && f.Claimant() == "" }

// fold folds the work into its fragment, and appends what it means for other fragments.
func (b *batch) fold(f *loaded, told []news) []news {
	b.folder.Metrics = b.rules[f.Key.Project]
	_, user := f.Key.User()
	f.tally = make([]profile.Tally, len(f.work.records))
	for i, r := range f.work.records {
		if r.Erase {
			f.asked = max(f.asked, r.ReceivedAt)
		}
		if len(r.Told) > 0 {
			if r.ReceivedAt > f.State.ErasedAt {
				f.changed = f.Hear(r.Told, b.now.Add(b.h.hold())) || f.changed
			}
			continue
		}
		if user {
			told = b.hear(f, r.Record, told)
		}
		var place uint32
		if b.h.Copies {
			place = uint32(xxhash.Sum64String(r.id)) | 1
		}
		places, until := f.State.Places, f.State.ReceivedUntil
		t := b.folder.FoldFrom(f.Fragment, r.Record, place)
		f.tally[i] = t
		f.changed = f.changed || t.Scored > 0 || f.State.ErasedAt != f.erasedAt || !bytes.Equal(places, f.State.Places) ||
			b.h.Enriched != nil && f.State.ReceivedUntil != until // a repeat too is what an erasure must come after, in both clouds
	}
	return told
}

// heads returns the fragments that head the persons this round has touched,
// with everything loaded that those persons are made of.
func (b *batch) heads(ctx context.Context) ([]*loaded, error) {
	var keys []profile.Key
	touched := make(map[profile.Key]bool, len(b.order))
	touch := func(k profile.Key) {
		if !touched[k] {
			touched[k] = true
			keys = append(keys, k)
		}
	}
	for _, f := range b.order {
		// Every claimant, not the winner alone: the one that lost the fragment is
		// another person without it.
		for _, user := range f.Claimants() {
			touch(profile.Key{Project: f.Key.Project, Visitor: event.UserPrefix + user})
		}
		if f.Claimant() == "" {
			touch(f.Key)
		}
	}
	if err := b.load(ctx, keys); err != nil {
		return nil, err
	}
	heads := make([]*loaded, len(keys))
	var parts []profile.Key
	for i, k := range keys {
		heads[i] = b.loaded[k]
		parts = append(parts, heads[i].ClaimKeys()...)
	}
	return heads, b.load(ctx, parts)
}

// person is the view over a head and what is loaded of it.
func (b *batch) person(head *loaded) *profile.Person {
	var claimed []*profile.Fragment
	for _, k := range head.ClaimKeys() {
		claimed = append(claimed, b.loaded[k].Fragment)
	}
	return profile.NewPerson(head.Fragment, claimed)
}

func (b *batch) decide(head *loaded) {
	b.standings = b.standings[:0]
	p := b.person(head)
	if p.Events() > 0 {
		b.standings = b.rules[head.Key.Project].Standings(p, b.now, b.standings)
	}
	c := p.Decide(b.standings, b.now, b.h.hold())
	head.changed = head.changed || c.Head
	head.sizes = c.Sizes
}

func (b *batch) save(ctx context.Context, fragments []*loaded) error {
	if len(fragments) == 0 {
		return nil
	}
	arg := make([]*profile.Fragment, len(fragments))
	for i, f := range fragments {
		arg[i] = f.Fragment
		f.saved = true
	}
	err := b.h.Store.Save(ctx, arg)
	if conflict, ok := errors.AsType[*profile.ConflictError](err); ok {
		b.conflicts += len(conflict.Index)
		for _, i := range conflict.Index {
			fragments[i].saved = false
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("save %d fragments: %w", len(fragments), err)
	}
	return nil
}

// finish books what was saved, keeps the rest for the next round, and publishes.
func (b *batch) finish(ctx context.Context, heads []*loaded) error {
	var left []*work
	again := make(map[profile.Key]*work)
	retry := func(w *work) {
		if again[w.key] == nil {
			again[w.key] = w
			left = append(left, w)
		}
	}
	for _, w := range b.todo {
		if f := b.loaded[w.key]; f.changed && !f.saved || f.postponed {
			retry(w)
		}
	}
	for _, f := range heads {
		// An anonymous fragment may be saved and its user's not: the person is
		// still to be decided.
		if f.work == nil && (f.changed && !f.saved || f.postponed) {
			retry(&work{key: f.Key})
		}
	}
	for _, f := range b.order {
		if f.saved || f.work != nil && !f.changed && !f.postponed {
			b.book(f)
		}
	}
	b.todo, b.byKey = left, again
	if deltas := b.takeDeltas(); len(deltas) > 0 {
		if err := b.h.Ledger.Record(ctx, deltas); err != nil {
			return fmt.Errorf("record outcomes: %w", err)
		}
	}
	return b.publish(ctx, heads)
}
