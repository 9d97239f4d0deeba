package score_test

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/stream"
)

// TestCopiesHaveOneOutcome: whatever delivered enriched records went wrong before
// scoring, each record is booked once: as often as its stream carries it, from
// the place it came from first, which redeliveries repeat.
func TestCopiesHaveOneOutcome(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.Copies = true
		var sent, events int64
		var stored []stream.Record // on the enriched stream, copies and all
		for i := range rapid.IntRange(1, 6).Draw(rt, "records") {
			r := &event.Record{Project: "p", Key: "a:1", ReceivedAt: epoch, Receipt: uint32(i + 1)}
			for range rapid.IntRange(1, 3).Draw(rt, "events") {
				r.Events = append(r.Events, &event.Event{MessageId: fmt.Sprint("m", rapid.IntRange(0, 4).Draw(rt, "id")), Type: event.Type_TYPE_PAGE, AnonymousId: "1", Timestamp: epoch})
			}
			sent += int64(len(r.Events))
			for range rapid.IntRange(1, 3).Draw(rt, "copies") {
				stored = append(stored, w.encode(r))
			}
		}
		for i := range stored {
			stored[i].ID = fmt.Sprint("place-", i)
		}
		booked := map[string]ledger.Counts{} // by position, as a Committer does
		for from := 0; from < len(stored); {
			to := rapid.IntRange(from+1, len(stored)).Draw(rt, "to")
			for range rapid.IntRange(1, 3).Draw(rt, "deliveries") {
				again := deltas{}
				w.Ledger = again
				w.handle(stored[from:to]...)
				if rapid.Bool().Draw(rt, "killed before it books") {
					continue
				}
				for id, d := range again {
					if old, ok := booked[id]; ok && old != d.Whole().Counts {
						rt.Fatalf("%s came to %+v, and again to %+v", id, old, d.Whole().Counts)
					}
					booked[id] = d.Whole().Counts
				}
			}
			again := deltas{} // the delivery that is answered
			w.Ledger = again
			w.handle(stored[from:to]...)
			for id, d := range again {
				booked[id] = d.Whole().Counts
			}
			from = to
		}
		var total ledger.Counts
		for _, c := range booked {
			total = total.Plus(c)
		}
		if p := w.person("a:1"); p != nil {
			events = p.Events()
		}
		if total.Scored != events || total.Scored+total.Duplicate != sent {
			rt.Fatalf("%d events sent, %d in the profile, booked %+v", sent, events, total)
		}
	})
}

// deltas keeps what is recorded, by source.
type deltas map[string]ledger.Delta

func (d deltas) Record(_ context.Context, all []ledger.Delta) error {
	for _, delta := range all {
		if delta.Source != "" {
			d[delta.Source] = delta
		}
	}
	return nil
}

// TestARedeliveryHasTheSameOutcome: whatever batches records come in and
// however often, the Whole of each is what its first delivery came to, repeats
// by the client and within a record included.
func TestARedeliveryHasTheSameOutcome(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		all := make([]stream.Record, rapid.IntRange(1, 8).Draw(rt, "records"))
		for i := range all {
			r := &event.Record{Project: "p", Key: rapid.SampledFrom([]string{"a:1", "a:2", "u:1"}).Draw(rt, "key"), ReceivedAt: epoch, Receipt: uint32(i + 1)}
			for range rapid.IntRange(1, 4).Draw(rt, "events") {
				e := &event.Event{MessageId: fmt.Sprint("m", rapid.IntRange(0, 5).Draw(rt, "id")), Type: event.Type_TYPE_PAGE, Timestamp: epoch}
				if r.Key == "u:1" {
					e.UserId = "1"
				} else {
					e.AnonymousId = r.Key[2:]
				}
				r.Events = append(r.Events, e)
			}
			all[i] = w.encode(r)
			all[i].ID = fmt.Sprint("record-", i)
		}
		first := deltas{}
		w.Ledger = first
		for _, r := range all {
			w.handle(r)
		}
		for _, r := range all {
			if d := first[r.ID]; d.Again != (ledger.Counts{}) || d.Counts.Scored+d.Counts.Duplicate != int64(r.Events) {
				rt.Fatalf("the first delivery of %s is %+v, of %d events", r.ID, d, r.Events)
			}
		}
		again := deltas{}
		w.Ledger = again
		for from := 0; from < len(all); {
			to := rapid.IntRange(from+1, len(all)).Draw(rt, "to")
			w.handle(all[from:to]...)
			from = to
		}
		for id, want := range first {
			if got := again[id].Whole(); got.Counts != want.Counts || got.Project != want.Project || got.Minute != want.Minute {
				rt.Fatalf("%s came to %+v, and again to %+v", id, want, got)
			}
		}
	})
}

// TestEachCloudBooksItsOwn: what came by the other cloud's raw stream is in the
// profile, whoever was first, and in the other's ledger.
func TestEachCloudBooksItsOwn(t *testing.T) {
	for origin, want := range map[string]ledger.Counts{
		"aws": {Scored: 2, Duplicate: 1, Suppressed: 1},
		"gcp": {Scored: 2, Duplicate: 1},
		"":    {Scored: 4, Duplicate: 2, Suppressed: 1},
	} {
		w := newWorld(t)
		w.Origin = origin
		from := func(origin string, of stream.Record) stream.Record {
			r, err := event.Decode(of.Data)
			if err != nil {
				t.Fatal(err)
			}
			r.Origin, r.Receipt = origin, r.Receipt+uint32(len(origin))<<8+uint32(origin[0])
			of = w.encode(r)
			of.ID = fmt.Sprint(origin, r.Receipt)
			return of
		}
		erased := w.track("", "b")
		one, two, three, four := w.track("", "a"), w.track("", "a"), w.track("", "a"), w.track("", "a")
		w.handle(w.encode(&event.Record{Project: "p", Key: "a:b", ReceivedAt: epoch + 500, Origin: "gcp", Erase: true}))
		w.handle(from("aws", one), from("gcp", two)) // each alone
		w.handle(from("aws", three))                 // by both, and each is first once
		w.handle(from("gcp", three), from("gcp", four))
		w.handle(from("aws", four), from("aws", erased))
		if got := w.book.Counts; got != want {
			t.Errorf("in %q: booked %+v, want %+v", origin, got, want)
		}
		if n := w.person("a:a").Events(); n != 4 || w.book.People != 1 || w.book.Segments["warm"] != 0 {
			t.Errorf("in %q: %d events, %d people, segments %v", origin, n, w.book.People, w.book.Segments)
		}
		w.expect("+warm a:a", "-warm a:a")
	}
}
