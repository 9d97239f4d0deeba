package profile

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fastjson"

	"github.com/hitolayer/hito/shared/event"
)

// Form is the stored form this build writes. Builds read it and the one before.
const Form = 1

// The bounds of a fragment. Whatever exceeds one is dropped by a rule that
// depends on the set of events alone, never on their order, so that truncation
// commutes too.
const (
	// WindowCount is how many message ids the dedupe window holds at least before
	// it evicts one early: more than the largest redelivery one key can see, a
	// whole batch of 2,500 events.
	WindowCount = 2560
	// WindowAge is how long a message id stays in the dedupe window.
	WindowAge = 24 * time.Hour

	maxNames      = 64   // distinct event names, the first in byte order
	maxTraits     = 64   // traits, the first keys in byte order
	maxTraitKey   = 128  // bytes
	maxTraitValue = 1024 // bytes of JSON
	maxSlots      = 128  // half-hours with events, the latest
	maxRecent     = 10   // recent events, the latest
	maxRecentText = 120  // bytes of a recent event's name and path
	maxClaims     = 32   // anonymous ids of a user, the latest claimed
	maxClaimants  = 4    // users of an anonymous id, the earliest to claim it
)

// slotWidth is half the reason sessions commute: two events in one slot are
// always of one session, so that a slot's first and last event say it all.
const slotWidth = SessionGap

// SessionGap is the pause that ends a session.
const SessionGap = 30 * time.Minute

// Tally is what became of events.
type Tally struct {
	Scored, Duplicate, Suppressed int
	// Redelivered events had their outcome before: the stream brought the same
	// acceptance again. Of these, RedeliveredDuplicates repeat one within their record.
	Redelivered, RedeliveredDuplicates int
	// Copied events are of a record that was delivered from another place of the
	// stream before: that delivery has their outcome.
	Copied int
	// Evicted counts ids that left the dedupe window before their time, forced
	// out by WindowCount: a repeat of one would be counted again.
	Evicted int
}

// Plus adds u to t.
func (t Tally) Plus(u Tally) Tally {
	t.Scored += u.Scored
	t.Duplicate += u.Duplicate
	t.Suppressed += u.Suppressed
	t.Redelivered += u.Redelivered
	t.RedeliveredDuplicates += u.RedeliveredDuplicates
	t.Copied += u.Copied
	t.Evicted += u.Evicted
	return t
}

// Folder folds records into fragments. Its buffers are reused, so it serves
// one goroutine; its zero value is ready.
type Folder struct {
	// Metrics says what events contribute; nil folds everything but metrics.
	Metrics Extractor
	// Origin is the cloud this is: a fragment then knows whether its newest receipt
	// is another's.
	Origin string

	parser        fastjson.Parser
	contributions []Contribution
	scratch       []byte
	// redelivered are the places in the window of what came again in this record.
	redelivered []int
}

// Fold folds a record into its fragment, or erases the fragment when the
// record says so. The fragment then shares memory with the record.
func (fo *Folder) Fold(f *Fragment, r *event.Record) Tally { return fo.FoldFrom(f, r, 0) }

// FoldFrom is Fold for a stream that may carry a record more than once: place
// tells its places apart. With 0 it is Fold.
func (fo *Folder) FoldFrom(f *Fragment, r *event.Record, place uint32) Tally {
	s := f.State
	if r.Erase {
		f.Erase(r.ReceivedAt)
		return Tally{}
	}
	if place != 0 && !s.from(r, place) {
		return Tally{Copied: len(r.Events)}
	}
	if r.ReceivedAt <= s.ErasedAt {
		return Tally{Suppressed: len(r.Events)}
	}
	var t Tally
	before := s.seenEnd()
	fo.redelivered = fo.redelivered[:0]
	s.Form = Form
	if r.ReceivedAt > s.ReceivedUntil {
		s.ReceivedUntil, s.Away = r.ReceivedAt, fo.Origin != "" && r.Origin != fo.Origin
	}
	for _, e := range r.Events {
		at := StampOf(e)
		if i := f.window.find(s, at.Id); i >= 0 {
			switch {
			case i >= before || s.receipt(i) != r.Receipt:
				t.Duplicate++
			case slices.Contains(fo.redelivered, i):
				t.RedeliveredDuplicates++
				t.Redelivered++
			default:
				fo.redelivered = append(fo.redelivered, i)
				t.Redelivered++
			}
			continue
		}
		s.see(at.Id, r.ReceivedAt, r.Receipt)
		fo.add(s, e, at)
		t.Scored++
	}
	t.Evicted = f.evict()
	return t
}

// Erase forgets everything received up to at (Unix milliseconds), and what was
// folded since: the fragment is then the fold over what is received after
// ErasedAt, which is why ErasedAt is never before a receipt already folded, or that
// of a claim. It reports whether that changed anything.
func (f *Fragment) Erase(at int64) (changed bool) {
	if f.State.ErasedAt >= at {
		return false
	}
	at = max(at, f.State.ReceivedUntil)
	for _, c := range f.State.Claims {
		at = max(at, c.ReceivedAt)
	}
	f.State = &State{Form: Form, ErasedAt: at, Places: f.State.Places}
	f.window = window{}
	return true
}

// StampOf returns the place of an event among all others.
func StampOf(e *event.Event) *Stamp {
	return &Stamp{Time: e.Timestamp, Id: xxhash.Sum64String(e.MessageId)}
}

// Compare orders stamps by time, then by id. A nil stamp is before all others.
func (a *Stamp) Compare(b *Stamp) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Id, b.Id))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (fo *Folder) add(s *State, e *event.Event, at *Stamp) {
	if s.Events == 0 || e.Timestamp < s.FirstSeen {
		s.FirstSeen = e.Timestamp
	}
	s.LastSeen = max(s.LastSeen, e.Timestamp)
	s.Events++
	s.addName(e.CountedName(), 1)
	s.addSlot(e.Timestamp)
	s.addRecent(e, at)
	fo.addTraits(s, e, at)
	if e.Type == event.Type_TYPE_GROUP && at.Compare(s.Group.GetAt()) > 0 {
		s.Group = &TextAt{At: at, Text: clip(e.GroupId, maxTraitValue)}
	}
	if x := e.Enriched; x != nil {
		s.addEnriched(x, at)
	}
	if id, ok := e.Claim(); ok {
		s.addClaim(id, at, at)
	}
	if fo.Metrics != nil {
		fo.contributions = fo.Metrics.Extract(e, fo.contributions[:0])
		for i := range fo.contributions {
			s.addContribution(&fo.contributions[i], at)
		}
	}
}

// insert puts x at i and drops what then exceeds limit.
func insert[T any](list []T, i int, x T, limit int) []T {
	if i >= limit {
		return list
	}
	list = slices.Insert(list, i, x)
	return list[:min(len(list), limit)]
}

// insertNewest puts x at i and drops from the front what then exceeds limit.
func insertNewest[T any](list []T, i int, x T, limit int) []T {
	if len(list) < limit {
		return slices.Insert(list, i, x)
	}
	if i > 0 {
		copy(list, list[1:i])
		list[i-1] = x
	}
	return list
}

func (s *State) addName(name string, n int64) {
	i, found := slices.BinarySearchFunc(s.Names, name, func(c *NameCount, name string) int {
		return strings.Compare(c.Name, name)
	})
	if found {
		s.Names[i].Count += n
		return
	}
	s.Names = insert(s.Names, i, &NameCount{Name: name, Count: n}, maxNames)
}

func (s *State) addSlot(ms int64) {
	width := slotWidth.Milliseconds()
	index := floorDiv(ms, width)
	in := uint32(ms - index*width)
	s.mergeSlot(&Slot{Index: index, First: in, Last: in, Count: 1})
}

// mergeSlot keeps the latest slots, the newest last. It may keep add itself.
func (s *State) mergeSlot(add *Slot) {
	i := len(s.Slots)
	for i > 0 && s.Slots[i-1].Index > add.Index {
		i--
	}
	if i > 0 && s.Slots[i-1].Index == add.Index {
		o := s.Slots[i-1]
		o.First, o.Last, o.Count = min(o.First, add.First), max(o.Last, add.Last), o.Count+add.Count
		return
	}
	s.Slots = insertNewest(s.Slots, i, add, maxSlots)
}

func (s *State) addRecent(e *event.Event, at *Stamp) {
	if len(s.Recent) == maxRecent && at.Time < s.Recent[0].Time {
		return
	}
	s.mergeRecent(&Recent{
		Time: at.Time, Id: at.Id, Type: e.Type,
		Name: clip(e.Name, maxRecentText), Path: clip(e.GetEnriched().GetPage().GetPath(), maxRecentText),
	})
}

func (s *State) mergeRecent(add *Recent) {
	i := len(s.Recent)
	for i > 0 && cmp.Or(cmp.Compare(s.Recent[i-1].Time, add.Time), cmp.Compare(s.Recent[i-1].Id, add.Id)) > 0 {
		i--
	}
	s.Recent = insertNewest(s.Recent, i, add, maxRecent)
}

// clip returns at most limit bytes of s, whole runes.
func clip(s string, limit int) string {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// addTraits takes what an event says of its user; a group's traits are the
// group's. The decoder moved context.traits there.
func (fo *Folder) addTraits(s *State, e *event.Event, at *Stamp) {
	if e.Type == event.Type_TYPE_GROUP || len(e.Traits) <= len(`{}`) {
		return
	}
	v, err := fo.parser.ParseBytes(e.Traits)
	if err != nil {
		return
	}
	v.GetObject().Visit(func(key []byte, v *fastjson.Value) {
		if len(key) == 0 || len(key) > maxTraitKey {
			return
		}
		fo.scratch = v.MarshalTo(fo.scratch[:0])
		if len(fo.scratch) <= maxTraitValue {
			s.addTrait(key, fo.scratch, at)
		}
	})
}

// addTrait copies key and value. Of one event's two values for a key the
// first stays.
func (s *State) addTrait(key, value []byte, at *Stamp) {
	i, found := slices.BinarySearchFunc(s.Traits, key, func(t *Trait, key []byte) int {
		return strings.Compare(t.Key, string(key))
	})
	switch {
	case found && at.Compare(s.Traits[i].At) > 0:
		s.Traits[i] = &Trait{Key: s.Traits[i].Key, Value: bytes.Clone(value), At: at}
	case !found:
		s.Traits = insert(s.Traits, i, &Trait{Key: string(key), Value: bytes.Clone(value), At: at}, maxTraits)
	}
}

func (s *State) addEnriched(x *event.Enriched, at *Stamp) {
	if x.Agent != nil && at.Compare(s.Agent.GetAt()) > 0 {
		s.Agent = &AgentAt{At: at, Agent: x.Agent}
	}
	if x.Geo != nil && at.Compare(s.Geo.GetAt()) > 0 {
		s.Geo = &GeoAt{At: at, Geo: x.Geo}
	}
	referred := x.Referrer != nil && x.Referrer.Medium != "" && x.Referrer.Medium != "internal"
	if !referred && x.Campaign == nil {
		return
	}
	first := s.FirstTouch == nil || at.Compare(s.FirstTouch.At) < 0
	last := s.LastTouch == nil || at.Compare(s.LastTouch.At) > 0
	if !first && !last {
		return
	}
	touch := &Touch{At: at, Campaign: x.Campaign}
	if referred {
		touch.Referrer = x.Referrer
	}
	if first {
		s.FirstTouch = touch
	}
	if last {
		s.LastTouch = touch
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
