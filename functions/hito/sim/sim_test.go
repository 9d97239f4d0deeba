package sim

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/shared/decimal"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

var seeds = flag.Int("seeds", 300, "how many seeds to simulate")

const simEpoch = 1_750_000_000_000 // Unix ms

func (countRules) Extract(e *event.Event, into []profile.Contribution) []profile.Contribution {
	if e.Type == event.Type_TYPE_TRACK {
		if d, err := decimal.Parse(strings.Trim(string(e.Properties), `{}"revnu:`)); err == nil {
			into = append(into, profile.Contribution{Metric: simRevenue, Value: profile.Number(d)})
		}
	}
	return append(into, profile.Contribution{Metric: simViews})
}

func (countRules) Standings(p *profile.Person, now time.Time, into []profile.Standing) []profile.Standing {
	views, _ := p.MetricFloat(simViews, now)
	return append(into,
		profile.Standing{Segment: "flapping", In: p.Events()%3 == 1},
		profile.Standing{Segment: "known", In: p.UserID() != ""},
		profile.Standing{Segment: "viewer", In: views > 5},
	)
}

// world is one seed's run.
type world struct {
	*chaos
	mutant     mutant
	batchLimit int
	now        time.Time

	raw, enriched, actions *simStream
	store                  *simStore
	ledger                 simLedger
	quarantined            []quarantine.Entry

	scorer score.Handler
	// unsent are requests not yet acknowledged; accepted is the independent
	// count of what was, each event as it was first accepted.
	unsent   [][]*event.Event
	accepted map[string]*event.Record
	poison   int
}

func newWorld(seed uint64, m mutant) *world {
	c := &chaos{Rand: rand.New(rand.NewPCG(seed, 0))}
	w := &world{
		chaos: c, mutant: m, batchLimit: 1 + c.IntN(20), now: time.UnixMilli(simEpoch),
		raw: &simStream{chaos: c}, enriched: &simStream{chaos: c}, actions: &simStream{chaos: c},
		accepted: make(map[string]*event.Record),
	}
	w.store = &simStore{world: w, fragments: make(map[profile.Key]stored)}
	w.scorer = score.Handler{
		Store: w.store, Actions: w.actions, Ledger: &w.ledger, Telemetry: telemetry.Discard{},
		Rules: func(string) score.Rules { return countRules{} },
		Now:   func() time.Time { return w.now },
	}
	for i := range 5 + c.IntN(40) {
		var request []*event.Event
		for j := range 1 + c.IntN(8) {
			request = append(request, w.randomEvent(fmt.Sprintf("m%d-%d", i, j)))
		}
		w.unsent = append(w.unsent, request)
	}
	return w
}

func (w *world) randomEvent(id string) *event.Event {
	e := &event.Event{
		MessageId: id, Type: event.Type_TYPE_TRACK, Name: []string{"View", "Buy"}[w.IntN(2)],
		Timestamp:  simEpoch - int64(w.IntN(7_200_000)),
		Properties: fmt.Appendf(nil, `{"revenue":%d.%d}`, w.IntN(50), w.IntN(100)),
	}
	anonymous, user := fmt.Sprint("anon", w.IntN(5)), fmt.Sprint("user", w.IntN(4))
	switch w.IntN(6) {
	case 0, 1, 2:
		e.AnonymousId = anonymous
	case 3:
		e.UserId = user
	case 4:
		e.UserId, e.AnonymousId = user, anonymous
	case 5:
		e.Type, e.Name, e.UserId, e.PreviousId = event.Type_TYPE_ALIAS, "", user, anonymous
	}
	return e
}

// send sends a request; it stays unsent until it is acknowledged. The client
// repeats with the same message ids.
func (w *world) send() {
	if len(w.unsent) == 0 {
		return
	}
	i := w.IntN(len(w.unsent))
	runs := make(map[string]*event.Record)
	for _, e := range w.unsent[i] {
		r := runs[e.VisitorKey()]
		if r == nil {
			r = &event.Record{Project: "p", Key: e.VisitorKey(), ReceivedAt: w.now.UnixMilli()}
			runs[r.Key] = r
		}
		r.Events = append(r.Events, e)
	}
	var records []stream.Record
	for _, key := range sortedKeys(runs) {
		data, err := event.Encode(runs[key])
		if err != nil {
			panic(err)
		}
		records = append(records, stream.Record{Project: "p", Key: key, Events: len(runs[key].Events), Time: w.now.UnixMilli(), Data: data})
	}
	if w.raw.Publish(context.Background(), records) != nil {
		return
	}
	for _, r := range runs {
		for _, e := range r.Events {
			w.accepted[e.MessageId] = r
		}
	}
	w.unsent = slices.Delete(w.unsent, i, i+1)
}

func (w *world) score() { w.deliver(w.enriched, w.scorer.Handle, quarantine.Score) }

func (w *world) enrich() {
	w.deliver(w.raw, func(ctx context.Context, records []stream.Record) error {
		return w.enriched.Publish(ctx, records)
	}, quarantine.Enrich)
}

// step does one thing of all that could happen next.
func (w *world) step() {
	w.now = w.now.Add(time.Duration(w.IntN(500)) * time.Millisecond)
	switch w.IntN(4) {
	case 0:
		w.send()
	case 1:
		w.enrich()
	case 2:
		w.score()
	case 3:
		if w.hits(0.02) {
			w.poison++
			w.enriched.add(stream.Record{Project: "p", Key: "a:anon0", Events: 1, Data: []byte{0xff, 0xff, byte(w.poison)}})
		}
	}
}

// run steps through chaos, then heals everything and lets the world come to rest.
func (w *world) run() error {
	for range 400 {
		w.step()
	}
	w.off = true
	for i := 0; len(w.unsent)+len(w.raw.pending)+len(w.enriched.pending) > 0; i++ {
		if i == 100_000 {
			return fmt.Errorf("does not come to rest: %d unsent, %d raw, %d enriched", len(w.unsent), len(w.raw.pending), len(w.enriched.pending))
		}
		w.step()
	}
	return nil
}

// verify compares the world with what was accepted.
func (w *world) verify() error {
	want := make(map[profile.Key]map[string]*event.Event)
	claims := make(map[profile.Key]*profile.Fragment)
	for _, id := range sortedKeys(w.accepted) {
		r := w.accepted[id]
		e := r.Events[slices.IndexFunc(r.Events, func(e *event.Event) bool { return e.MessageId == id })]
		k := profile.Key{Project: "p", Visitor: r.Key}
		if want[k] == nil {
			want[k] = make(map[string]*event.Event)
		}
		want[k][id] = e
		if anonymous, ok := e.Claim(); ok {
			k := profile.Key{Project: "p", Visitor: event.AnonymousPrefix + anonymous}
			if claims[k] == nil {
				claims[k] = profile.NewFragment(k)
			}
			claims[k].Claim(e.UserId, profile.StampOf(e))
		}
	}
	if w.poison != len(w.quarantined) {
		return fmt.Errorf("%d records in quarantine, %d were poison", len(w.quarantined), w.poison)
	}
	for k, events := range want {
		fresh := profile.NewFragment(k)
		fo := profile.Folder{Metrics: countRules{}}
		for _, id := range sortedKeys(events) {
			fo.Fold(fresh, &event.Record{Events: []*event.Event{events[id]}, ReceivedAt: 1})
		}
		if c := claims[k]; c != nil {
			fresh.State.Claims = c.State.Claims
		}
		got := w.store.fragment(k)
		if a, b := observed(fresh), observed(got); a != b {
			return fmt.Errorf("%s differs from a plain fold of its %d events:\n%s\n---- stored:\n%s", k, len(events), a, b)
		}
	}
	return w.verifyTransitions()
}

// verifyTransitions checks that every change of a membership was published.
func (w *world) verifyTransitions() error {
	published := make(map[string]bool)
	kind := make(map[string]bool)
	for _, r := range w.actions.pending {
		var t profile.Transition
		if err := t.UnmarshalVT(r.Data); err != nil {
			return err
		}
		if entered, seen := kind[t.Id]; seen && entered != t.Entered {
			return fmt.Errorf("transition %s was published as entry and as exit", t.Id)
		}
		kind[t.Id], published[t.Id] = t.Entered, true
	}
	for k := range w.store.fragments {
		f := w.store.fragment(k)
		if f.Claimant() != "" {
			continue // its memberships went over to its user
		}
		silent := 0
		for _, m := range f.State.Memberships {
			for n := int64(1); n <= m.Changes; n++ {
				if !published[profile.TransitionID(f, m.Segment, n)] {
					silent++
				}
			}
		}
		absorbed := 0
		for _, c := range f.State.Claims {
			if c.Absorbed {
				absorbed += 3 // at most one per segment
			}
		}
		if silent > absorbed {
			return fmt.Errorf("%s: %d transitions were never published", k, silent)
		}
		if len(f.State.Outbox) > 0 {
			return fmt.Errorf("%s: outbox not emptied", k)
		}
	}
	return nil
}

func observed(f *profile.Fragment) string {
	s := f.State.CloneVT()
	s.Form, s.Seen, s.SeenAt, s.Memberships, s.Outbox, s.ReceivedUntil = 0, nil, nil, nil, nil, 0
	for _, c := range s.Claims {
		c.Absorbed = false
		if _, user := f.Key.User(); user {
			c.First = nil
		}
	}
	return prototext.Format(s)
}

func simulate(seed uint64, m mutant) (err error) {
	w := newWorld(seed, m)
	if err := w.run(); err != nil {
		return err
	}
	return w.verify()
}

func TestSimulation(t *testing.T) {
	first := uint64(1)
	if s := os.Getenv("HITO_SIM_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("HITO_SIM_SEED: %v", err)
		}
		first, *seeds = n, 1
	}
	for seed := first; seed < first+uint64(*seeds); seed++ {
		if err := simulate(seed, sound); err != nil {
			t.Fatalf("seed %d (repeat with HITO_SIM_SEED=%d): %v", seed, seed, err)
		}
	}
}

// TestSimulationFindsPlantedDefects: a simulation that passes with a defect
// planted proves nothing.
func TestSimulationFindsPlantedDefects(t *testing.T) {
	for _, m := range []mutant{noDedupe, smallWindow, outboxNotStored, wrongPosition} {
		t.Run(string(m), func(t *testing.T) {
			for seed := range uint64(200) {
				if err := simulate(seed, m); err != nil {
					t.Logf("found with seed %d: %s", seed, strings.SplitN(err.Error(), "\n", 2)[0])
					return
				}
			}
			t.Fatal("not found in 200 seeds")
		})
	}
}
