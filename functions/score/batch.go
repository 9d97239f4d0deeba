package score

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/stream"
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
	deltas      map[minute]*ledger.Delta
	tally       profile.Tally
	conflicts   int
	transitions int
}

type minute struct {
	project string
	minute  int64
}

// work is the records of one visitor key; none when only its person is to be decided.
type work struct {
	key     profile.Key
	records []*event.Record
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
	changed     bool
	saved       bool
	// postponed is set when a claim of this user could not be saved: this
	// fragment must not know of it before the anonymous one does.
	postponed bool
	sizes     map[string]int64
}

func newBatch(h *Handler) *batch {
	return &batch{
		h: h, now: h.Now(), rules: make(map[string]Rules),
		byKey: make(map[profile.Key]*work), deltas: make(map[minute]*ledger.Delta),
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

func (b *batch) add(k profile.Key, r *event.Record) {
	w := b.byKey[k]
	if w == nil {
		w = &work{key: k}
		b.byKey[k] = w
		b.todo = append(b.todo, w)
	}
	if r != nil {
		w.records = append(w.records, r)
	}
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
	return b.finish(ctx, heads)
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
				f.changed = true
			}
		}
	}
	return nil
}

// fold folds the work into its fragment, and appends what it means for other fragments.
func (b *batch) fold(f *loaded, told []news) []news {
	b.folder.Metrics = b.rules[f.Key.Project]
	_, user := f.Key.User()
	f.tally = make([]profile.Tally, len(f.work.records))
	for i, r := range f.work.records {
		if user {
			told = b.hear(f, r, told)
		}
		t := b.folder.Fold(f.Fragment, r)
		f.tally[i] = t
		f.changed = f.changed || t.Scored > 0 || f.State.ErasedAt != f.erasedAt
	}
	return told
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
			f.changed = f.Claimant() == id && f.Erase(n.receivedAt) || f.changed
		case n.receivedAt > f.State.ErasedAt:
			f.changed = f.Claim(id, n.at, n.receivedAt) || f.changed
		}
	}
	return nil
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
	c := p.Decide(b.standings, b.now)
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
	if len(b.deltas) > 0 {
		if err := b.h.Ledger.Record(ctx, b.takeDeltas()); err != nil {
			return fmt.Errorf("record outcomes: %w", err)
		}
	}
	return b.publish(ctx, heads)
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

// publish sends what the saved outboxes hold, then empties them, and forgets
// memberships that a user took over. Should emptying fail, the next batch that
// meets the fragment publishes again: same ids, so that receivers can tell.
func (b *batch) publish(ctx context.Context, heads []*loaded) error {
	var records []stream.Record
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
	return b.save(ctx, tidy)
}
