package profile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/decimal"
	"github.com/hitolayer/hito/shared/event"
)

// everyMetric has each kind of metric, total and windowed.
var everyMetric = func() (ms []*Metric) {
	for kind := Count; kind <= Decayed; kind++ {
		total := &Metric{ID: uint64(kind), Kind: kind}
		if kind == Decayed {
			total.HalfLife, total.Bucket = 24*time.Hour, 3*time.Hour
		}
		windowed := &Metric{ID: 100 + uint64(kind), Kind: kind, Window: 6 * time.Hour, Bucket: time.Hour, HalfLife: 2 * time.Hour}
		ms = append(ms, total, windowed)
	}
	return ms
}()

// contributeEverything makes each event count in each metric, with values that
// floating point could not add up exactly.
type contributeEverything struct{}

func (contributeEverything) number(i int) decimal.D { return decimal.FromInt(int64(i) * 1980) }

func (contributeEverything) Extract(e *event.Event, into []Contribution) []Contribution {
	for _, m := range everyMetric {
		v := Number(decimal.D{Hi: int64(len(e.Name)) - 2, Lo: uint64(e.Timestamp) * 0x9e3779b97f4a7c15})
		if m.Kind == Distinct {
			v = Text(e.MessageId)
		}
		into = append(into, Contribution{m, v})
	}
	return into
}

const lawEpoch = 1_700_000_000_000 // Unix ms

func drawEvent(t *rapid.T, i int) *event.Event {
	span := rapid.SampledFrom([]int{3, 7_200_000, 40 * 86_400_000}).Draw(t, "span")
	e := &event.Event{
		MessageId: fmt.Sprintf("m%d", i),
		Type:      event.Type(rapid.IntRange(1, 6).Draw(t, "type")),
		UserId:    "u", Timestamp: lawEpoch + int64(rapid.IntRange(0, span).Draw(t, "ms")),
		Name: rapid.SampledFrom([]string{"a", "b", "Product Viewed", fmt.Sprint("n", i)}).Draw(t, "name"),
	}
	e.AnonymousId = fmt.Sprint("anon", rapid.IntRange(0, 40).Draw(t, "anon"))
	if e.Type == event.Type_TYPE_ALIAS {
		e.PreviousId = "before"
	}
	e.GroupId = e.Name
	if rapid.Bool().Draw(t, "traits") {
		e.Traits = fmt.Appendf(nil, `{"k%d":%d,"plan":"p%d","gone":null,"c%d":[%d]}`, rapid.IntRange(0, 90).Draw(t, "k"), i, i, rapid.IntRange(0, 5).Draw(t, "c"), i)
	}
	if rapid.Bool().Draw(t, "enriched") {
		e.Enriched = &event.Enriched{
			Agent: &event.Agent{Browser: fmt.Sprint("B", i)}, Geo: &event.Geo{Country: fmt.Sprint("C", i)},
			Referrer: &event.Referrer{Medium: rapid.SampledFrom([]string{"search", "internal", ""}).Draw(t, "medium")},
			Page:     &event.Page{Path: fmt.Sprint("/", i)},
		}
	}
	return e
}

// drawRecords draws a set of events, and cuts it into records.
func drawRecords(t *rapid.T) []*event.Record {
	n := rapid.IntRange(1, 160).Draw(t, "events")
	var records []*event.Record
	for i := 0; i < n; {
		size := min(rapid.IntRange(1, 12).Draw(t, "record"), n-i)
		r := &event.Record{ReceivedAt: lawEpoch + 50*86_400_000 + int64(len(records)%7), Receipt: uint32(len(records))}
		for range size {
			r.Events = append(r.Events, drawEvent(t, i))
			i++
		}
		records = append(records, r)
	}
	return records
}

func fold(f *Fragment, records ...*event.Record) Tally {
	fo := Folder{Metrics: contributeEverything{}}
	var total Tally
	for _, r := range records {
		total = total.Plus(fo.Fold(f, r))
	}
	return total
}

// observed is everything a reader can see of a fragment, exact to the last digit.
func observed(f *Fragment) string {
	s := f.State.CloneVT()
	s.Seen, s.Memberships, s.Outbox, s.Places = nil, nil, nil, nil
	for _, c := range s.Claims { // kept for erasures, and to spare writes
		c.ReceivedAt = 0
		if _, user := f.Key.User(); user {
			c.First = nil
		}
	}
	return prototext.Format(s)
}

func newTestFragment() *Fragment { return NewFragment(Key{"p", "u:u"}) }

func shuffled(t *rapid.T, records []*event.Record, label string) []*event.Record {
	out := slices.Clone(records)
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, label), 1))
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestLawAnyOrderAnyRepetitionSameResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		a, b := newTestFragment(), newTestFragment()
		want := fold(a, records...)
		repeated := slices.Clone(records)
		for range rapid.IntRange(0, 20).Draw(t, "repeats") {
			repeated = append(repeated, rapid.SampledFrom(records).Draw(t, "repeat"))
		}
		got := fold(b, shuffled(t, repeated, "order")...)
		if got.Scored != want.Scored || want.Scored != int(a.State.Events) {
			t.Fatalf("scored %d and %d of %d events", want.Scored, got.Scored, a.State.Events)
		}
		if oa, ob := observed(a), observed(b); oa != ob {
			t.Fatalf("order changed the fold:\n%s\n----\n%s", oa, ob)
		}
	})
}

func TestLawStoredBetweenBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		a, b := newTestFragment(), newTestFragment()
		fold(a, records...)
		for _, r := range shuffled(t, records, "order") {
			fold(b, r)
			data, err := b.State.MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			b.State = &State{}
			if err := b.State.UnmarshalVT(data); err != nil {
				t.Fatal(err)
			}
		}
		if oa, ob := observed(a), observed(b); oa != ob {
			t.Fatalf("storing changed the fold:\n%s\n----\n%s", oa, ob)
		}
	})
}

func TestLawMergeOfDisjointSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		whole := newTestFragment()
		fold(whole, records...)
		parts := []*Fragment{newTestFragment(), newTestFragment(), newTestFragment()}
		for _, r := range shuffled(t, records, "order") {
			fold(parts[rapid.IntRange(0, 2).Draw(t, "replica")], r)
		}
		// Associative and commutative: any bracketing, any order.
		a, b, c := parts[0], parts[1], parts[2]
		if rapid.Bool().Draw(t, "swap") {
			a, c = c, a
		}
		merged := newTestFragment()
		merged.State.Merge(b.State)
		merged.MergeClaims(b)
		merged.State.Merge(a.State)
		merged.MergeClaims(a)
		merged.State.Merge(c.State)
		merged.MergeClaims(c)
		merged.State.Form = whole.State.Form
		if ow, om := observed(whole), observed(merged); ow != om {
			t.Fatalf("merging changed the fold:\n%s\n----\n%s", ow, om)
		}
	})
}

func TestLawMetricsReadTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		a, b := newTestFragment(), newTestFragment()
		fold(a, records...)
		fold(b, shuffled(t, records, "order")...)
		now := time.UnixMilli(lawEpoch + int64(rapid.IntRange(0, 50*86_400_000).Draw(t, "now")))
		pa, pb := NewPerson(a, nil), NewPerson(b, nil)
		for _, m := range everyMetric {
			va, oka := pa.Metric(m, now)
			vb, okb := pb.Metric(m, now)
			if va != vb || oka != okb {
				t.Fatalf("%v over %v: %v and %v", m.Kind, m.Window, va, vb)
			}
			fa, _ := pa.MetricFloat(m, now)
			fb, _ := pb.MetricFloat(m, now)
			if fa != fb {
				t.Fatalf("%v over %v: %v and %v", m.Kind, m.Window, fa, fb)
			}
		}
	})
}

func TestLawClaimsTakeTheEarliest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type claim struct {
			user string
			at   *Stamp
		}
		var claims []claim
		for i := range rapid.IntRange(1, 30).Draw(t, "claims") {
			claims = append(claims, claim{
				fmt.Sprint("u", rapid.IntRange(0, 8).Draw(t, "user")),
				&Stamp{Time: int64(rapid.IntRange(1, 5).Draw(t, "time")), Id: uint64(i)},
			})
		}
		claimAll := func(cs []claim) *Fragment {
			f := NewFragment(Key{"p", "a:x"})
			for _, c := range cs {
				f.Claim(c.user, c.at, c.at.Time)
			}
			return f
		}
		want := claimAll(claims)
		winner := slices.MinFunc(claims, func(a, b claim) int { return a.at.Compare(b.at) })
		if want.Claimant() != winner.user {
			t.Fatalf("claimant %s, want %s", want.Claimant(), winner.user)
		}
		again := slices.Concat(claims, claims)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1)).Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if a, b := observed(want), observed(claimAll(again)); a != b {
			t.Fatalf("order changed the claims:\n%s\n----\n%s", a, b)
		}
	})
}

// TestEraseIsTheFoldOverWhatCameLater: after an erasure nothing received
// before remains, redelivery does not bring it back, and what is received
// later counts.
func TestEraseIsTheFoldOverWhatCameLater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		f := newTestFragment()
		fold(f, records...)
		erase := &event.Record{Erase: true, ReceivedAt: rapid.Int64Range(lawEpoch, lawEpoch+51*86_400_000).Draw(t, "at")}
		fold(f, erase)
		tally := fold(f, slices.Concat(records, []*event.Record{erase})...)
		if f.State.Events != 0 || tally.Scored != 0 || tally.Suppressed == 0 {
			t.Fatalf("after erasing: %d events, %+v", f.State.Events, tally)
		}
		later := &event.Record{ReceivedAt: f.State.ErasedAt + 1, Events: []*event.Event{drawEvent(t, 10_000)}}
		want := newTestFragment()
		fold(want, later)
		fold(f, later, erase)
		want.State.ErasedAt = f.State.ErasedAt
		if a, b := observed(want), observed(f); a != b {
			t.Fatalf("erased fragment is not a new one:\n%s\n----\n%s", a, b)
		}
	})
}
