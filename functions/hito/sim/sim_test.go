package sim

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/hitolayer/hito/functions/beacon"
	"github.com/hitolayer/hito/functions/enrich"
	"github.com/hitolayer/hito/functions/relay"
	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/shared/decimal"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/failover"
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

// cloud runs the whole pipeline, and a relay to the other one.
type cloud struct {
	raw, enriched, actions *simStream
	relayed                *simStream // the relay's place on the enriched stream
	down                   bool

	store  *simStore
	ledger simLedger

	beacon   beacon.Handler
	enricher enrich.Handler
	scorer   score.Handler
	relay    relay.Handler
}

// hold is how long a cloud waits for the other's word.
const hold = 20 * time.Second

// world is one seed's run of two clouds.
type world struct {
	*chaos
	mutant     mutant
	batchLimit int
	now        time.Time
	clouds     [2]*cloud
	clients    []*cloud // those that clients go to
	erases     bool
	// parted says that neither cloud reaches the other.
	parted      bool
	quarantined []quarantine.Entry

	// unsent are requests not yet acknowledged; accepted is the independent
	// count of what was, each event as it was first accepted.
	unsent   [][]*event.Event
	accepted map[string]*event.Event
	told     map[string]bool // by transition, whether it was an entry
	minted   int
	poison   int
	// invalid counts accepted events that belong in quarantine.
	invalid int
}

func newWorld(seed uint64, m mutant) *world {
	c := &chaos{Rand: rand.New(rand.NewPCG(seed, 0))}
	w := &world{
		chaos: c, mutant: m, batchLimit: 1 + c.IntN(20), now: time.UnixMilli(simEpoch), accepted: make(map[string]*event.Event), told: make(map[string]bool),
	}
	for i := range w.clouds {
		at := &cloud{raw: &simStream{chaos: c}, enriched: &simStream{chaos: c}, actions: &simStream{chaos: c}, relayed: &simStream{chaos: c}}
		at.enriched.mirror = at.relayed
		w.clouds[i] = at
	}
	w.clients, w.erases = w.clouds[:], seed%3 == 0
	w.wire(w.clouds[0], w.clouds[1], "aws")
	w.wire(w.clouds[1], w.clouds[0], "gcp")
	for i := range 5 + c.IntN(40) {
		var request []*event.Event
		for j := range 1 + c.IntN(8) {
			request = append(request, w.randomEvent(fmt.Sprintf("m%d-%d", i, j)))
		}
		w.unsent = append(w.unsent, request)
	}
	return w
}

func (w *world) wire(at, other *cloud, name string) {
	now := func() time.Time { return w.now }
	at.store = &simStore{world: w, cloud: at, fragments: make(map[profile.Key]stored)}
	at.scorer = score.Handler{
		Store: at.store, Actions: at.actions, Ledger: &at.ledger, Telemetry: telemetry.Discard{}, Now: now,
		Origin: name, Enriched: at.enriched, Hold: hold,
		Rules: func(string) score.Rules { return countRules{} },
	}
	at.enricher = enrich.Handler{Enriched: at.enriched, Origin: name}
	at.relay = relay.Handler{Origin: name, Other: link{w, other, other.enriched}, Now: now}
	at.beacon = beacon.Handler{
		Raw:      either{at.raw, link{w, other, other.raw}},
		Projects: w, Quarantine: w, Origin: name, Log: slog.New(slog.DiscardHandler), Now: now,
		NewID: func() string { w.minted++; return fmt.Sprint("minted", w.minted) },
	}
}

// either fails over without a past: real time decides nothing here.
type either struct{ own, other stream.Publisher }

func (e either) Publish(ctx context.Context, records []stream.Record) error {
	return (&failover.Publisher{Own: e.own, Other: e.other, Hedge: time.Hour, Log: slog.New(slog.DiscardHandler)}).Publish(ctx, records)
}

// link is a stream of the other cloud.
type link struct {
	w  *world
	to *cloud
	*simStream
}

func (l link) Publish(ctx context.Context, records []stream.Record) error {
	if l.w.parted || l.to.down {
		return errFault
	}
	return l.simStream.Publish(ctx, records)
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
	var body strings.Builder
	invalid := w.hits(0.1)
	for _, e := range w.unsent[i] {
		fmt.Fprintf(&body, `,{"messageId":%q,"type":%q,"event":%q,"userId":%q,"anonymousId":%q,"previousId":%q,"timestamp":%q,"properties":%s}`,
			e.MessageId, e.Type.Word(), e.Name, e.UserId, e.AnonymousId, e.PreviousId, e.Time().UTC().Format(time.RFC3339Nano), e.Properties)
	}
	if invalid {
		fmt.Fprintf(&body, `,{"type":"track","event":"of nobody","messageId":"invalid%d"}`, w.invalid)
	}
	request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/batch", strings.NewReader(`{"batch":[`+body.String()[1:]+`]}`))
	request.SetBasicAuth("key", "")
	answer := httptest.NewRecorder()
	at := w.clients[w.IntN(len(w.clients))]
	if at.down {
		return
	}
	at.beacon.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK || w.hits(0.05) { // or the answer is lost
		return
	}
	if invalid {
		w.invalid++
	}
	for _, e := range w.unsent[i] {
		w.accepted[e.MessageId] = e
	}
	w.unsent = slices.Delete(w.unsent, i, i+1)
}

func (w *world) scoreAt(at *cloud) { w.deliver(at.enriched, at.scorer.Handle, quarantine.Score) }

// ByWriteKey makes the world a directory of one project.
func (w *world) ByWriteKey(key string) (*project.Project, bool) {
	return &project.Project{Name: "p"}, key == "key"
}

// BySecretKey finds nothing.
func (w *world) BySecretKey(string) (*project.Project, bool) { return nil, false }

// Put makes the world a quarantine, in which an entry put again changes nothing.
func (w *world) Put(_ context.Context, entries []quarantine.Entry) error {
	if w.hits(0.1) {
		return errFault
	}
	for _, e := range entries {
		if !slices.ContainsFunc(w.quarantined, func(o quarantine.Entry) bool { return o.ID == e.ID }) {
			w.quarantined = append(w.quarantined, e)
		}
	}
	if w.hits(0.1) {
		return errFault
	}
	return nil
}

// step does one thing of all that could happen next.
func (w *world) step() {
	w.now = w.now.Add(time.Duration(w.IntN(500)) * time.Millisecond)
	at := w.clouds[w.IntN(2)]
	if w.hits(0.01) {
		w.parted = !w.parted
	}
	if w.hits(0.01) {
		at.down = !at.down
	}
	if w.off {
		w.parted, at.down = false, false
	}
	doing := w.IntN(6)
	if at.down && doing > 0 {
		return
	}
	switch doing {
	case 0, 1:
		w.send()
	case 2:
		w.deliver(at.raw, at.enricher.Handle, quarantine.Enrich)
	case 3:
		w.scoreAt(at)
	case 4:
		w.ship(at)
	case 5:
		if w.erases && w.hits(0.1) {
			w.erase(at)
		}
		if w.hits(0.02) {
			w.poison++
			s := []*simStream{at.raw, at.enriched}[w.IntN(2)]
			s.add(stream.Record{Project: "p", Key: "a:anon0", Events: 1, Data: []byte{0xff, 0xff, byte(w.poison)}})
		}
	}
}

// erase erases somebody, as the function profile does.
func (w *world) erase(at *cloud) {
	key := fmt.Sprint([]string{"a:anon", "u:user"}[w.IntN(2)], w.IntN(4))
	data, err := event.Encode(&event.Record{Project: "p", Key: key, ReceivedAt: w.now.UnixMilli(), Origin: at.relay.Origin, Erase: true})
	if err != nil {
		panic(err)
	}
	at.raw.add(stream.Record{Project: "p", Key: key, Time: w.now.UnixMilli(), Data: data})
}

func (w *world) ship(at *cloud) {
	if w.mutant == noOrigin { // all of it is its own
		for i := range at.relayed.pending {
			if r, err := event.Decode(at.relayed.pending[i].Data); err == nil {
				r.Origin = at.relay.Origin
				at.relayed.pending[i].Data, _ = event.Encode(r)
			}
		}
	}
	w.deliver(at.relayed, at.relay.Handle, "relay")
}

// run steps through chaos, then heals everything and lets the world come to rest.
func (w *world) run() error {
	for range 600 {
		w.step()
	}
	w.off = true
	left := func() int {
		n := len(w.unsent)
		for _, at := range w.clouds {
			n += len(at.raw.pending) + len(at.enriched.pending) + len(at.relayed.pending)
		}
		return n
	}
	rest := func() error {
		for i := 0; left() > 0; i++ {
			if i == 100_000 {
				return fmt.Errorf("does not come to rest: %d left", left())
			}
			w.step()
		}
		return nil
	}
	if err := rest(); err != nil {
		return err
	}
	if err := w.verifyDecided(); err != nil {
		return err
	}
	for range 3 { // as the schedule does: what is due is told, which the other cloud hears
		w.now = w.now.Add(hold)
		for _, at := range w.clouds {
			var all []*profile.Fragment
			for _, k := range slices.SortedFunc(maps.Keys(at.store.fragments), func(a, b profile.Key) int { return strings.Compare(a.Visitor, b.Visitor) }) {
				all = append(all, at.store.fragment(k))
			}
			if err := at.scorer.Reevaluate(context.Background(), all); err != nil {
				return err
			}
		}
		if err := rest(); err != nil {
			return err
		}
	}
	return nil
}

// verify compares the world with what was accepted.
func (w *world) verify() error {
	want := make(map[profile.Key]map[string]*event.Event)
	claims := make(map[profile.Key]*profile.Fragment)
	for _, id := range sortedKeys(w.accepted) {
		e := w.accepted[id]
		k := profile.Key{Project: "p", Visitor: e.VisitorKey()}
		if want[k] == nil {
			want[k] = make(map[string]*event.Event)
		}
		want[k][id] = e
		if anonymous, ok := e.Claim(); ok {
			k := profile.Key{Project: "p", Visitor: event.AnonymousPrefix + anonymous}
			if claims[k] == nil {
				claims[k] = profile.NewFragment(k)
			}
			claims[k].Claim(e.UserId, profile.StampOf(e), 1)
		}
	}
	refused := 0
	for _, e := range w.quarantined {
		if e.Stage == quarantine.Beacon {
			refused++
		}
	}
	if n := len(w.quarantined) - refused; n != w.poison {
		return fmt.Errorf("%d records in quarantine, %d were poison", n, w.poison)
	}
	if refused < w.invalid { // more when a request that was not acknowledged got that far
		return fmt.Errorf("%d invalid events in quarantine of %d", refused, w.invalid)
	}
	for _, at := range w.clouds {
		if at.ledger.Scored > int64(len(w.accepted)) {
			return fmt.Errorf("%d of %d events booked as scored", at.ledger.Scored, len(w.accepted))
		}
	}
	if w.erases {
		return w.verifyEqual()
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
		for _, at := range w.clouds {
			if a, b := observed(fresh), observed(at.store.fragment(k)); a != b {
				return fmt.Errorf("%s on %s differs from a plain fold of its %d events:\n%s\n---- stored:\n%s", k, at.relay.Origin, len(events), a, b)
			}
		}
	}
	return w.verifyTransitions()
}

// verifyDecided checks that everybody is in the segments their events put them in,
// other than those that time alone ends.
func (w *world) verifyDecided() error {
	if w.erases {
		return nil // see verifyEqual
	}
	for _, at := range w.clouds {
		for _, id := range sortedKeys(w.accepted) {
			p, err := profile.LoadPerson(context.Background(), at.store, profile.Key{Project: "p", Visitor: w.accepted[id].VisitorKey()})
			if err != nil {
				return err
			}
			for _, st := range (countRules{}).Standings(p, w.now, nil) {
				if st.Segment != "viewer" && p.Head.In(st.Segment) != st.In {
					return fmt.Errorf("%s on %s with %d events: in %s %t, want %t", p.Head.Key, at.relay.Origin, p.Events(), st.Segment, !st.In, st.In)
				}
			}
		}
	}
	return nil
}

// verifyEqual checks that both clouds hold the same: an erasure also takes what was
// folded before it came, so that nobody can say from outside what is left.
func (w *world) verifyEqual() error {
	a, b := w.clouds[0].store, w.clouds[1].store
	for k := range a.fragments {
		a, b := a.fragment(k), b.fragment(k)
		if _, anonymous := k.Anonymous(); anonymous {
			// Who had claimed it before does not claim it again in every case.
			a.State.Claims, b.State.Claims = nil, nil
		}
		if a, b := observed(a), observed(b); a != b {
			return fmt.Errorf("%s differs after an erasure:\n%s\n----\n%s", k, a, b)
		}
	}
	return nil
}

// verifyTransitions checks that whoever gets transitions knows in the end who is in
// which segment.
func (w *world) verifyTransitions() error {
	type membership struct {
		profile.Key
		segment string
	}
	last := make(map[membership]*profile.Transition)
	for _, at := range w.clouds {
		for _, record := range at.actions.pending {
			t := new(profile.Transition)
			if err := t.UnmarshalVT(record.Data); err != nil {
				return err
			}
			if entered, seen := w.told[t.Id]; seen && entered != t.Entered {
				return fmt.Errorf("transition %s was published as entry and as exit", t.Id)
			}
			w.told[t.Id] = t.Entered
			m := membership{profile.Key{Project: t.Project, Visitor: t.Key}, t.Segment}
			if l := last[m]; l == nil || l.Changes < t.Changes {
				last[m] = t
			}
		}
	}
	for _, at := range w.clouds {
		for k := range at.store.fragments {
			f := at.store.fragment(k)
			if f.Claimant() != "" {
				continue // its memberships went over to its user
			}
			silent := 0
			for _, m := range f.State.Memberships {
				if m.Changes > 0 && m.In() != last[membership{k, m.Segment}].GetEntered() {
					silent++
				}
			}
			absorbed := 0
			for _, claim := range f.State.Claims {
				if claim.Absorbed {
					absorbed += 3 // at most one per segment
				}
			}
			if silent > absorbed {
				return fmt.Errorf("%s on %s: of %d memberships the opposite was told last", k, at.relay.Origin, silent)
			}
			if len(f.State.Outbox) > 0 {
				return fmt.Errorf("%s: outbox not emptied", k)
			}
		}
	}
	return nil
}

func observed(f *profile.Fragment) string {
	s := f.State.CloneVT()
	s.Form, s.Seen, s.Memberships, s.Outbox, s.ReceivedUntil, s.Away = 0, nil, nil, nil, 0, false
	s.Agent, s.Geo = nil, nil // of the request, not of the event
	for _, c := range s.Claims {
		c.Absorbed, c.ReceivedAt = false, 0
		if _, user := f.Key.User(); user {
			c.First = nil
		}
	}
	return prototext.Format(s)
}

func simulate(seed uint64, m mutant) error {
	w := newWorld(seed, m)
	if err := w.run(); err != nil {
		return err
	}
	return w.verify()
}

func TestSimulation(t *testing.T) {
	first := uint64(1)
	if testing.Short() {
		*seeds = min(*seeds, 60)
	}
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
	for _, m := range []mutant{noDedupe, smallWindow, outboxNotStored, wrongPosition, noOrigin, claimByArrival} {
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

// TestTheOtherCloudTellsNothing: where everybody is with one cloud and nothing
// fails, the other one decides the same and publishes nothing of it.
func TestTheOtherCloudTellsNothing(t *testing.T) {
	told := 0
	for seed := range uint64(50) {
		w := newWorld(seed, sound)
		w.off, w.clients = true, w.clouds[1:]
		for _, at := range w.clouds {
			at.scorer.Hold = time.Hour
		}
		if err := w.run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if n := len(w.clouds[0].actions.pending); n > 0 {
			t.Fatalf("seed %d: %d transitions", seed, n)
		}
		told += len(w.clouds[1].actions.pending)
	}
	if told == 0 {
		t.Error("nothing was told at all")
	}
}
