package score_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// memory is a store in memory. beforeSave, when set, comes first in Save.
type memory struct {
	mu         sync.Mutex
	fragments  map[profile.Key]stored
	saves      []profile.Key
	beforeSave func() error
}

type stored struct {
	version uint64
	data    []byte
}

func (m *memory) Load(_ context.Context, keys []profile.Key) ([]*profile.Fragment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*profile.Fragment, len(keys))
	for i, k := range keys {
		out[i] = profile.NewFragment(k)
		if v, ok := m.fragments[k]; ok {
			f, err := profile.Decode(k, v.version, v.data)
			if err != nil {
				return nil, err
			}
			out[i] = f
		}
	}
	return out, nil
}

func (m *memory) Save(_ context.Context, fragments []*profile.Fragment) error {
	if m.beforeSave != nil {
		if err := m.beforeSave(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var conflict profile.ConflictError
	for i, f := range fragments {
		if m.fragments[f.Key].version != f.Version {
			conflict.Index = append(conflict.Index, i)
			continue
		}
		f.Version++
		data, err := f.Encode()
		if err != nil {
			return err
		}
		m.fragments[f.Key] = stored{f.Version, data}
		m.saves = append(m.saves, f.Key)
	}
	if conflict.Index != nil {
		return &conflict
	}
	return nil
}

// actions collects transitions; err, when set, is returned instead.
type actions struct {
	published []*profile.Transition
	err       error
}

func (a *actions) Publish(_ context.Context, records []stream.Record) error {
	if a.err != nil {
		return a.err
	}
	for _, r := range records {
		t := new(profile.Transition)
		if err := t.UnmarshalVT(r.Data); err != nil {
			return err
		}
		a.published = append(a.published, t)
	}
	return nil
}

type book struct{ ledger.Totals }

func (b *book) Record(_ context.Context, deltas []ledger.Delta) error {
	for _, d := range deltas {
		b.Add(d)
	}
	return nil
}

// fewEvents puts persons with 2 to 3 events into "warm", and users into "known".
type fewEvents struct{}

func (fewEvents) Extract(_ *event.Event, into []profile.Contribution) []profile.Contribution {
	return into
}

func (fewEvents) Standings(p *profile.Person, _ time.Time, into []profile.Standing) []profile.Standing {
	return append(into,
		profile.Standing{Segment: "warm", In: p.Events() >= 2 && p.Events() <= 3},
		profile.Standing{Segment: "known", In: p.UserID() != ""})
}

type world struct {
	*testing.T
	store   *memory
	actions *actions
	book    *book
	score.Handler
	minted int
}

const epoch = 1_750_000_000_000 // Unix ms

func newWorld(t *testing.T) *world {
	w := &world{T: t, store: &memory{fragments: make(map[profile.Key]stored)}, actions: &actions{}, book: &book{}}
	w.Handler = score.Handler{
		Store: w.store, Actions: w.actions, Ledger: w.book, Telemetry: telemetry.Discard{},
		Rules: func(string) score.Rules { return fewEvents{} },
		Now:   func() time.Time { return time.UnixMilli(epoch + 1000) },
	}
	return w
}

// track is a record of one new track event; user may be empty.
func (w *world) track(user, anonymous string) stream.Record {
	w.minted++
	e := &event.Event{
		MessageId: fmt.Sprint("m", w.minted), Type: event.Type_TYPE_TRACK, Name: "Viewed",
		UserId: user, AnonymousId: anonymous, Timestamp: epoch + int64(w.minted),
	}
	return w.encode(&event.Record{Project: "p", Key: e.VisitorKey(), ReceivedAt: epoch + int64(w.minted), Receipt: uint32(w.minted), Events: []*event.Event{e}})
}

func (w *world) encode(r *event.Record) stream.Record {
	data, err := event.Encode(r)
	if err != nil {
		w.Fatal(err)
	}
	return stream.Record{Project: r.Project, Key: r.Key, Events: len(r.Events), Time: r.ReceivedAt, Data: data}
}

func (w *world) handle(records ...stream.Record) {
	w.Helper()
	if err := w.Handle(w.Context(), records); err != nil {
		w.Fatal(err)
	}
}

func (w *world) person(visitor string) *profile.Person {
	w.Helper()
	p, err := profile.LoadPerson(w.Context(), w.store, profile.Key{Project: "p", Visitor: visitor})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// expect compares the published transitions, as "+segment" and "-segment".
func (w *world) expect(want ...string) {
	w.Helper()
	var got []string
	for _, t := range w.actions.published {
		sign := "-"
		if t.Entered {
			sign = "+"
		}
		got = append(got, sign+t.Segment+" "+t.Key)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Fatalf("published %v, want %v", got, want)
	}
}

func TestOneWritePerFragmentAndBatch(t *testing.T) {
	w := newWorld(t)
	w.handle(w.track("", "a"), w.track("", "a"), w.track("", "a"), w.track("", "a"), w.track("", "b"))
	if len(w.store.saves) != 2 {
		t.Fatalf("saved %v", w.store.saves)
	}
	w.expect()
	if c := w.book.Totals; c.Scored != 5 || c.People != 2 {
		t.Fatalf("ledger %+v", c)
	}
}

func TestTransitionsFireOnce(t *testing.T) {
	w := newWorld(t)
	first, second := w.track("", "a"), w.track("", "a")
	w.handle(first)
	w.handle(second)
	w.handle(first, second) // redelivered
	w.expect("+warm a:a")
	w.handle(w.track("", "a"), w.track("", "a"))
	w.expect("+warm a:a", "-warm a:a")
	if n := w.book.Segments["warm"]; n != 0 {
		t.Fatalf("segment size %d", n)
	}
	if c := w.book.Counts; c.Scored != 4 || c.Duplicate != 0 {
		t.Fatalf("redelivery was booked: %+v", c)
	}
}

func TestRepeatByTheClientIsADuplicate(t *testing.T) {
	w := newWorld(t)
	r := w.track("", "a")
	again, err := event.Decode(r.Data)
	if err != nil {
		t.Fatal(err)
	}
	again.Receipt += 5
	w.handle(r)
	w.handle(w.encode(again))
	if c := w.book.Counts; c.Scored != 1 || c.Duplicate != 1 {
		t.Fatalf("ledger %+v", c)
	}
	if n := w.person("a:a").Events(); n != 1 {
		t.Fatalf("%d events", n)
	}
}

func TestLoginJoinsAndKeepsSegmentsSilently(t *testing.T) {
	w := newWorld(t)
	w.handle(w.track("", "a"), w.track("", "a"))
	w.expect("+warm a:a")
	w.handle(w.track("u", "a"))
	w.expect("+warm a:a", "+known u:u") // warm goes over without a second entry
	p := w.person("a:a")
	if p.UserID() != "u" || p.Events() != 3 {
		t.Fatalf("person %q with %d events", p.UserID(), p.Events())
	}
	if b := w.book; b.People != 1 || b.Segments["warm"] != 1 {
		t.Fatalf("ledger %+v", b.Totals)
	}
	w.handle(w.track("", "a")) // the fourth, on the anonymous fragment
	w.expect("+warm a:a", "+known u:u", "-warm u:u")
}

func TestAnonymousFragmentIsSavedBeforeItsUser(t *testing.T) {
	w := newWorld(t)
	w.handle(w.track("u", "a"))
	if fmt.Sprint(w.store.saves[:2]) != "[p/a:a p/u:u]" {
		t.Fatalf("saved in order %v", w.store.saves)
	}
	w.handle(w.track("u", "a"))
	saves := len(w.store.saves)
	w.handle(w.track("u", "a"))
	if n := len(w.store.saves) - saves; n != 1 {
		t.Fatalf("a known claim cost %d writes more", n-1)
	}
}

func TestEarliestClaimWinsWhoeverComesFirst(t *testing.T) {
	w := newWorld(t)
	early, late := w.track("early", "a"), w.track("late", "a")
	w.handle(w.track("", "a"))
	w.handle(late)
	if id := w.person("a:a").UserID(); id != "late" {
		t.Fatalf("belongs to %q", id)
	}
	w.handle(early)
	if id := w.person("a:a").UserID(); id != "early" {
		t.Fatalf("belongs to %q", id)
	}
	if n := w.person("u:late").Events(); n != 1 {
		t.Fatalf("the loser keeps %d events", n)
	}
}

func TestConflictIsFoldedAgain(t *testing.T) {
	w := newWorld(t)
	other := w.track("u", "a")
	w.store.beforeSave = func() error {
		w.store.beforeSave = nil
		return w.Handle(t.Context(), []stream.Record{other})
	}
	w.handle(w.track("u", "a"), w.track("", "a"))
	if n := w.person("u:u").Events(); n != 3 {
		t.Fatalf("%d events", n)
	}
	if c := w.book.Counts; c.Scored != 3 || c.Duplicate != 0 {
		t.Fatalf("ledger %+v", c)
	}
	w.expect("+known u:u", "+warm u:u")
}

// TestBatchesAtOnceDecideByBoth: two batches that changed different fragments of
// one person, each before it saw the other's, once both decided without the
// other, and the person stayed where they were until the next event.
func TestBatchesAtOnceDecideByBoth(t *testing.T) {
	for _, c := range []struct {
		name         string
		before       [][2]string // user and anonymous id of each event
		first, other [2]string
		save         int // before which save of the first batch the other one comes
		want         string
	}{
		{"user first", [][2]string{{"u", "a"}, {"u", ""}}, [2]string{"u", ""}, [2]string{"", "a"}, 1, "-warm u:u"},
		{"anonymous first", [][2]string{{"u", "a"}, {"u", ""}}, [2]string{"", "a"}, [2]string{"u", ""}, 1, "-warm u:u"},
		{"two anonymous", [][2]string{{"u", "a"}, {"u", "b"}}, [2]string{"", "a"}, [2]string{"", "b"}, 1, "-warm u:u"},
		{"login", nil, [2]string{"u", "a"}, [2]string{"", "a"}, 2, "+warm u:u"}, // its claim is saved, its user is not
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			for _, e := range c.before {
				w.handle(w.track(e[0], e[1]))
			}
			w.actions.published = nil
			other := w.track(c.other[0], c.other[1])
			saves := 0
			w.store.beforeSave = func() error {
				if saves++; saves < c.save {
					return nil
				}
				w.store.beforeSave = nil
				return w.Handle(t.Context(), []stream.Record{other})
			}
			w.handle(w.track(c.first[0], c.first[1]))
			var got []string
			for _, tr := range w.actions.published {
				if tr.Segment == "warm" {
					got = append(got, map[bool]string{true: "+", false: "-"}[tr.Entered]+"warm "+tr.Key)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint([]string{c.want}) {
				t.Errorf("published %v, want %s", got, c.want)
			}
			n := w.person("u:u").Events()
			if warm := w.book.Segments["warm"]; (warm == 1) != (n <= 3) {
				t.Errorf("%d events and %d in the segment", n, warm)
			}
			saved := len(w.store.saves)
			w.reevaluate()
			if n := len(w.store.saves) - saved; n > 0 {
				t.Errorf("a sweep found %d fragments to change", n)
			}
		})
	}
}

// TestOutboxSurvivesAFailedPublish: the memberships are saved, the transitions
// are not published; the redelivery, in which every event is known, publishes them.
func TestOutboxSurvivesAFailedPublish(t *testing.T) {
	w := newWorld(t)
	r := w.track("u", "")
	w.actions.err = stream.Failures{{Index: 0, Err: errors.New("throttled")}}
	err := w.Handle(t.Context(), []stream.Record{r})
	if err == nil {
		t.Fatal("no error")
	}
	// TestFailuresOfAnotherStreamAreNotTheBatchs: positions of the actions stream
	// once looked like positions of the batch.
	if _, ok := errors.AsType[stream.Failures](err); ok {
		t.Fatalf("passes on the actions stream's positions: %v", err)
	}
	w.actions.err = nil
	w.handle(r)
	w.expect("+known u:u")
	w.handle(r)
	w.expect("+known u:u")
}

func TestUnreadableRecordIsPermanentAndAlone(t *testing.T) {
	w := newWorld(t)
	err := w.Handle(t.Context(), []stream.Record{w.track("", "a"), {Data: []byte{0xff}}, w.track("", "b")})
	failures, ok := err.(stream.Failures)
	if !ok || len(failures) != 1 || failures[0].Index != 1 || !stream.IsPermanent(failures[0].Err) {
		t.Fatalf("error %v", err)
	}
	if w.book.Scored != 2 {
		t.Fatalf("neighbours scored: %d", w.book.Scored)
	}
}

func TestErase(t *testing.T) {
	w := newWorld(t)
	before := w.track("u", "")
	w.handle(before, w.track("u", ""))
	w.expect("+warm u:u", "+known u:u")
	erase := w.encode(&event.Record{Project: "p", Key: "u:u", ReceivedAt: epoch + 500, Erase: true})
	w.handle(erase)
	w.handle(before, erase)
	if p := w.person("u:u"); p != nil {
		t.Fatalf("still has %d events", p.Events())
	}
	if b := w.book; b.People != 0 || b.Segments["warm"] != 0 || b.Segments["known"] != 0 || b.Suppressed != 1 {
		t.Fatalf("ledger %+v", b.Totals)
	}
	w.expect("+warm u:u", "+known u:u") // no farewell to somebody erased
}

// TestKeysOutliveTheBatch: keys once shared memory with the records, which the
// stream reuses.
func TestKeysOutliveTheBatch(t *testing.T) {
	w := newWorld(t)
	r := w.track("u", "a")
	w.handle(r)
	clear(r.Data)
	for k := range w.store.fragments {
		if k.Project != "p" {
			t.Fatalf("key %q was overwritten", k)
		}
	}
}

// noSegments is rules without any.
type noSegments struct{ fewEvents }

func (noSegments) Standings(_ *profile.Person, _ time.Time, into []profile.Standing) []profile.Standing {
	return into
}

// TestEventsOfAProjectWithoutRulesWait: once they were folded without metrics,
// and rules that came back found them counted.
func TestEventsOfAProjectWithoutRulesWait(t *testing.T) {
	w := newWorld(t)
	w.Rules = func(string) score.Rules { return nil }
	r := w.track("u", "a")
	err := w.Handle(t.Context(), []stream.Record{r})
	failures, ok := err.(stream.Failures)
	if !ok || len(failures) != 1 || stream.IsPermanent(failures[0].Err) {
		t.Fatalf("error %v", err)
	}
	if len(w.store.fragments) > 0 {
		t.Fatal("folded")
	}
}

// TestEraseTakesEveryAnonymousFragmentAlong, also those the user's fragment no
// longer lists, and a claim that is accepted later begins anew.
func TestEraseTakesEveryAnonymousFragmentAlong(t *testing.T) {
	w := newWorld(t)
	const ids = 40
	for i := range ids {
		a := fmt.Sprint("a", i)
		w.handle(w.track("", a), w.track("u", a))
	}
	w.handle(w.encode(&event.Record{Project: "p", Key: "u:u", ReceivedAt: epoch + 900, Erase: true}))
	for i := range ids {
		if p := w.person(fmt.Sprint("a:a", i)); p != nil {
			t.Fatalf("a%d still has %d events of %q", i, p.Events(), p.UserID())
		}
	}
	w.reevaluate()
	for i := range ids {
		k := profile.Key{Project: "p", Visitor: fmt.Sprint("a:a", i)}
		f, err := w.store.Load(t.Context(), []profile.Key{k})
		if err != nil || f[0].State.Events > 0 {
			t.Fatalf("%s keeps %d events, %v", k, f[0].State.Events, err)
		}
	}
	if n := w.book.People; n != 0 {
		t.Fatalf("%d people", n)
	}
	w.minted = 1000 // accepted after the erasure
	w.handle(w.track("", "a39"), w.track("u", "a39"), w.track("", "a0"))
	if n := w.person("u:u").Events(); n != 2 {
		t.Fatalf("the new person has %d events", n)
	}
	if id := w.person("a:a0").UserID(); id != "" {
		t.Fatalf("a0 still belongs to %q", id)
	}
}

// TestEraseAndClaimsInOneBatch: a claim before the erasure goes with it, one
// after it stays.
func TestEraseAndClaimsInOneBatch(t *testing.T) {
	w := newWorld(t)
	w.handle(w.track("", "x"), w.track("", "y"))
	before := w.track("u", "x")
	erase := w.encode(&event.Record{Project: "p", Key: "u:u", ReceivedAt: epoch + 500, Erase: true})
	w.minted = 600
	w.handle(before, erase, w.track("u", "x"), w.track("u", "y"))
	if n := w.person("u:u").Events(); n != 3 { // two of its own, y's one
		t.Fatalf("%d events", n)
	}
	if ids := w.person("u:u").AnonymousIDs(); fmt.Sprint(ids) != "[x y]" {
		t.Fatalf("ids %v", ids)
	}
}

func TestReevaluateDecidesWithoutEvents(t *testing.T) {
	w := newWorld(t)
	w.Rules = func(string) score.Rules { return noSegments{} }
	w.handle(w.track("u", "a"), w.track("", "a"))
	w.expect()
	w.Rules = func(string) score.Rules { return fewEvents{} }
	w.reevaluate()
	w.expect("+warm u:u", "+known u:u")
	saves := len(w.store.saves)
	w.reevaluate()
	if n := len(w.store.saves) - saves; n > 0 {
		t.Fatalf("%d writes with nothing to change", n)
	}
}

func (w *world) reevaluate() {
	w.Helper()
	keys := slices.Collect(maps.Keys(w.store.fragments))
	fragments, err := w.store.Load(w.Context(), keys)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.Reevaluate(w.Context(), fragments); err != nil {
		w.Fatal(err)
	}
}

// recent puts who was seen within the last minute into "recent".
type recent struct{ undecided bool }

func (recent) Extract(_ *event.Event, into []profile.Contribution) []profile.Contribution {
	return into
}

func (r recent) Standings(p *profile.Person, now time.Time, into []profile.Standing) []profile.Standing {
	return append(into, profile.Standing{Segment: "recent", In: now.Sub(p.LastSeen()) < time.Minute, Undecided: r.undecided})
}

func TestTimeAloneEndsAMembership(t *testing.T) {
	w := newWorld(t)
	w.Rules = func(string) score.Rules { return recent{} }
	w.handle(w.track("", "a"))
	w.reevaluate()
	w.expect("+recent a:a")
	w.Now = func() time.Time { return time.UnixMilli(epoch + 120_000) }
	w.reevaluate()
	w.reevaluate()
	w.expect("+recent a:a", "-recent a:a")
	if n := w.book.Segments["recent"]; n != 0 {
		t.Fatalf("size %d", n)
	}
}

func TestDisabledSegmentKeepsItsMembers(t *testing.T) {
	w := newWorld(t)
	w.Rules = func(string) score.Rules { return recent{} }
	w.handle(w.track("", "a"))
	w.Rules = func(string) score.Rules { return recent{undecided: true} }
	w.Now = func() time.Time { return time.UnixMilli(epoch + 120_000) }
	w.reevaluate()
	w.expect("+recent a:a")
}

func TestRemovedSegmentEndsSilently(t *testing.T) {
	w := newWorld(t)
	w.handle(w.track("u", ""))
	w.Rules = func(string) score.Rules { return recent{} }
	w.reevaluate()
	w.expect("+known u:u", "+recent u:u")
	if n := w.book.Segments["known"]; n != 0 {
		t.Fatalf("size %d", n)
	}
	w.Rules = func(string) score.Rules { return fewEvents{} }
	w.reevaluate()
	w.expect("+known u:u", "+recent u:u", "+known u:u")
	if a, b := w.actions.published[0].Id, w.actions.published[2].Id; a == b {
		t.Fatal("the second entry has the first one's id")
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, visitors := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(visitors, "visitors"), func(b *testing.B) {
			w := newWorld(nil)
			batches := make([][]stream.Record, 0, 64)
			for range cap(batches) {
				var batch []stream.Record
				for i := range 1000 {
					batch = append(batch, w.track("", fmt.Sprint("a", i%visitors)))
				}
				batches = append(batches, batch)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i%len(batches) == 0 {
					clear(w.store.fragments)
					w.store.saves = w.store.saves[:0]
				}
				if err := w.Handle(b.Context(), batches[i%len(batches)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/event")
		})
	}
}
