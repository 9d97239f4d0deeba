package enrich

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// publisher keeps what is published and answers err.
type publisher struct {
	calls   int
	records []stream.Record
	err     error
}

func (p *publisher) Publish(_ context.Context, records []stream.Record) error {
	p.calls++
	p.records = append(p.records, records...)
	return p.err
}

type projects map[string]*project.Project

func (p projects) ByName(name string) (*project.Project, bool) {
	found, ok := p[name]
	return found, ok
}

type panics struct{}

func (panics) ByName(string) (*project.Project, bool) { panic("planted") }

type sink map[string]float64

func (s sink) Emit(_ context.Context, function string, values ...telemetry.Value) {
	for _, v := range values {
		s[function+"."+v.Name+"."+string(v.Unit)] += v.V
	}
}

const googlebot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

func record(t *testing.T, key string, events ...*event.Event) stream.Record {
	t.Helper()
	data, err := event.Encode(&event.Record{Project: "shop", Key: key, ReceivedAt: 1000, Origin: "local", Events: events})
	if err != nil {
		t.Fatal(err)
	}
	return stream.Record{Project: "shop", Key: key, Events: len(events), Time: 1000, Data: data, ID: "raw-" + key, Attempt: 3}
}

func page(id string) *event.Event {
	return &event.Event{MessageId: id, Type: event.Type_TYPE_PAGE, AnonymousId: "a", UserAgent: googlebot, Ip: "8.8.8.0",
		Properties: []byte(`{"url":"https://shop.example/p","referrer":"https://blog.example/"}`)}
}

func TestHandle(t *testing.T) {
	out, metrics := &publisher{}, sink{}
	h := &Handler{
		Projects:  projects{"shop": {Name: "shop", Settings: project.Settings{InternalHosts: []string{"blog.example"}}}},
		Enriched:  out,
		Telemetry: metrics,
		Now:       func() time.Time { return time.UnixMilli(1250) },
	}
	in := []stream.Record{record(t, "a:1", page("m1"), page("m2")), record(t, "a:2", &event.Event{MessageId: "m3"})}
	if err := h.Handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if out.calls != 1 || len(out.records) != 2 {
		t.Fatalf("%d calls, %d records", out.calls, len(out.records))
	}
	for i, r := range out.records {
		if r.Project != in[i].Project || r.Key != in[i].Key || r.Events != in[i].Events || r.Time != in[i].Time {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	got, err := event.Decode(out.records[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if got.ReceivedAt != 1000 || got.Origin != "local" || len(got.Events) != 2 || got.Events[1].MessageId != "m2" {
		t.Errorf("record changed: %v", got)
	}
	e := got.Events[0].Enriched
	if e.Agent.BotName != "Googlebot" || e.Geo.Country != "US" || e.Referrer.Medium != "internal" || e.Page.Host != "shop.example" {
		t.Errorf("enriched: %v", e)
	}
	want := sink{"enrich.events_enriched.Count": 3, "enrich.bots.Count": 2, "enrich.lag.Milliseconds": 250}
	if fmt.Sprint(metrics) != fmt.Sprint(want) {
		t.Errorf("telemetry %v, want %v", metrics, want)
	}
}

func TestHandleUnknownProject(t *testing.T) {
	out := &publisher{}
	h := &Handler{Projects: projects{}, Enriched: out}
	if err := h.Handle(t.Context(), []stream.Record{record(t, "a:1", page("m1"))}); err != nil {
		t.Fatal(err)
	}
	got, err := event.Decode(out.records[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if e := got.Events[0].Enriched; !e.Agent.Bot || e.Referrer.Medium != "unknown" {
		t.Errorf("enriched: %v", e)
	}
}

func TestHandleUnreadableRecords(t *testing.T) {
	out := &publisher{}
	h := &Handler{Enriched: out}
	future := stream.Record{Project: "shop", Key: "a:9", Events: 1, Data: []byte{8, 99}} // form 99
	in := []stream.Record{{Project: "shop", Data: []byte("junk")}, record(t, "a:1", page("m1")), future, record(t, "a:2", page("m2")), {}}
	err := h.Handle(t.Context(), in)
	failures, ok := errors.AsType[stream.Failures](err)
	if !ok || len(failures) != 3 || failures[0].Index != 0 || failures[1].Index != 2 || failures[2].Index != 4 {
		t.Fatalf("%v", err)
	}
	for _, f := range failures {
		if !stream.IsPermanent(f.Err) {
			t.Errorf("not permanent: %v", f.Err)
		}
	}
	if len(out.records) != 2 || out.records[0].Key != "a:1" || out.records[1].Key != "a:2" {
		t.Errorf("published %v", out.records)
	}
}

func TestHandleErase(t *testing.T) {
	data, err := event.Encode(&event.Record{Project: "shop", Key: "a:1", ReceivedAt: 1000, Erase: true})
	if err != nil {
		t.Fatal(err)
	}
	out := &publisher{}
	if err := (&Handler{Enriched: out}).Handle(t.Context(), []stream.Record{{Project: "shop", Key: "a:1", Time: 1000, Data: data}}); err != nil {
		t.Fatal(err)
	}
	if len(out.records) != 1 || !bytes.Equal(out.records[0].Data, data) {
		t.Errorf("changed: %v", out.records)
	}
}

func TestHandlePublisherFails(t *testing.T) {
	down := errors.New("down")
	in := []stream.Record{{Data: []byte("junk")}, record(t, "a:1", page("m1")), {Data: []byte("junk")}, record(t, "a:2", page("m2")), record(t, "a:3", page("m3"))}
	for name, test := range map[string]struct {
		err  error
		want []int
	}{
		"some": {stream.Failures{{Index: 0, Err: down}, {Index: 2, Err: stream.Permanent(down)}}, []int{0, 1, 2, 4}},
		// TestPositionsOfRows: a wrapped error was once taken at its word, and what it
		// did not name, since it spoke of BigQuery's rows, was lost.
		"wrapped": {fmt.Errorf("publish: %w", stream.Failures{{Index: 1, Err: down}}), []int{0, 1, 2, 3, 4}},
		"all":     {down, []int{0, 1, 2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&Handler{Enriched: &publisher{err: test.err}}).Handle(t.Context(), in)
			failures, ok := errors.AsType[stream.Failures](err)
			if !ok {
				t.Fatalf("%v", err)
			}
			var got []int
			for _, f := range failures {
				got = append(got, f.Index)
				junk := f.Index == 0 || f.Index == 2
				if permanent := junk || name == "some" && f.Index == 4; stream.IsPermanent(f.Err) != permanent {
					t.Errorf("record %d permanent %v: %v", f.Index, !permanent, f.Err)
				}
				if !junk && !errors.Is(f.Err, down) {
					t.Errorf("record %d: cause lost: %v", f.Index, f.Err)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("failed %v, want %v", got, test.want)
			}
		})
	}
	t.Run("a position that is none", func(t *testing.T) {
		err := (&Handler{Enriched: &publisher{err: stream.Failures{{Index: 9, Err: down}}}}).Handle(t.Context(), in)
		if failures, _ := errors.AsType[stream.Failures](err); len(failures) != len(in) {
			t.Errorf("every record must count as failed: %v", err)
		}
	})
}

func TestHandlePanic(t *testing.T) {
	out := &publisher{}
	erase, err := event.Encode(&event.Record{Erase: true})
	if err != nil {
		t.Fatal(err)
	}
	err = (&Handler{Projects: panics{}, Enriched: out}).Handle(t.Context(), []stream.Record{record(t, "a:1", page("m1")), {Key: "a:2", Data: erase}})
	failures, ok := errors.AsType[stream.Failures](err)
	if !ok || len(failures) != 1 || failures[0].Index != 0 || !stream.IsPermanent(failures[0].Err) {
		t.Fatalf("%v", err)
	}
	if len(out.records) != 1 || out.records[0].Key != "a:2" {
		t.Errorf("the neighbour was lost: %v", out.records)
	}
}

func TestHandleNothing(t *testing.T) {
	out := &publisher{}
	if err := (&Handler{Enriched: out}).Handle(t.Context(), nil); err != nil || out.calls != 0 {
		t.Errorf("%v, %d calls", err, out.calls)
	}
}

// Enriching a record again, as redelivery does, gives the same bytes.
func TestHandleAgain(t *testing.T) {
	out := &publisher{}
	h := &Handler{Enriched: out}
	for range 2 {
		if err := h.Handle(t.Context(), []stream.Record{record(t, "a:1", page("m1"))}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out.records[0].Data, out.records[1].Data) {
		t.Error("the two differ")
	}
}

func FuzzHandle(f *testing.F) {
	data, err := event.Encode(&event.Record{Project: "shop", Key: "a:1", Events: []*event.Event{page("m1")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		out := &publisher{}
		err := (&Handler{Enriched: out}).Handle(t.Context(), []stream.Record{{Data: data}})
		if (err == nil) != (len(out.records) == 1) {
			t.Errorf("%v, %d published", err, len(out.records))
		}
	})
}

func BenchmarkHandle(b *testing.B) {
	var in []stream.Record
	for range 100 {
		data, err := event.Encode(&event.Record{Project: "shop", Key: "a:1", Events: []*event.Event{page("m1")}})
		if err != nil {
			b.Fatal(err)
		}
		in = append(in, stream.Record{Project: "shop", Key: "a:1", Events: 1, Data: data})
	}
	h := &Handler{Enriched: discard{}}
	b.ReportAllocs()
	for b.Loop() {
		if err := h.Handle(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(in)), "ns/event")
}

type discard struct{}

func (discard) Publish(context.Context, []stream.Record) error { return nil }

type bookings []ledger.Delta

func (b *bookings) Record(_ context.Context, deltas []ledger.Delta) error {
	*b = append(*b, deltas...)
	return nil
}

// TestWhatCameIsBookedAsAccepted, readable or not: what is not goes to
// quarantine, and the books must balance. An erasure is no event.
func TestWhatCameIsBookedAsAccepted(t *testing.T) {
	var booked bookings
	h := Handler{Enriched: &publisher{}, Ledger: &booked}
	erase, err := event.Encode(&event.Record{Project: "shop", Key: "a:3", ReceivedAt: 1000, Erase: true})
	if err != nil {
		t.Fatal(err)
	}
	err = h.Handle(t.Context(), []stream.Record{
		record(t, "a:1", page("1"), page("2")),
		{Project: "shop", Key: "a:2", Events: 3, Time: 61_000, Data: []byte{0xff}, ID: "raw-bad"},
		{Project: "shop", Key: "a:3", Time: 61_000, Data: erase, ID: "raw-erase"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	want := bookings{
		{Project: "shop", Source: "raw-a:1", Minute: 0, Counts: ledger.Counts{Accepted: 2}},
		{Project: "shop", Source: "raw-bad", Minute: 1, Counts: ledger.Counts{Accepted: 3}},
	}
	if fmt.Sprint(booked) != fmt.Sprint(want) {
		t.Errorf("booked %+v, want %+v", booked, want)
	}
}

// TestARecordsPlaceIsInItsReceipt: where the raw stream may carry a record twice,
// each is accepted, and the second must be told from a redelivery of the first.
func TestARecordsPlaceIsInItsReceipt(t *testing.T) {
	receipts := func(h *Handler, ids ...string) (list []uint32) {
		t.Helper()
		p := &publisher{}
		h.Enriched = p
		for _, id := range ids {
			r := record(t, "a:1", page("1"))
			r.ID = id
			if err := h.Handle(t.Context(), []stream.Record{r}); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range p.records {
			decoded, err := event.Decode(r.Data)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, decoded.Receipt)
		}
		return list
	}
	if got := receipts(&Handler{Ledger: new(bookings)}, "1", "2", "1"); got[0] == got[1] || got[0] != got[2] {
		t.Errorf("receipts %v", got)
	}
	if got := receipts(&Handler{}, "1", "2"); got[0] != got[1] {
		t.Errorf("without a ledger of its own, receipts %v", got)
	}
}

// TestOriginIsTheRawStreams, whoever's beacon published there; an erasure's too,
// which the relay ships like events.
func TestOriginIsTheRawStreams(t *testing.T) {
	erase, err := event.Encode(&event.Record{Project: "shop", Key: "a:2", ReceivedAt: 1000, Origin: "local", Erase: true})
	if err != nil {
		t.Fatal(err)
	}
	in := []stream.Record{record(t, "a:1", page("1")), {Project: "shop", Key: "a:2", Time: 1000, Data: erase}}
	for origin, want := range map[string]string{"aws": "aws", "": "local"} {
		out := &publisher{}
		if err := (&Handler{Enriched: out, Origin: origin}).Handle(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		for i, r := range out.records {
			if got, err := event.Decode(r.Data); err != nil || got.Origin != want || got.Erase != (i == 1) || got.ReceivedAt != 1000 {
				t.Errorf("in %q, record %d is %v, %v; want its origin to be %q", origin, i, got, err, want)
			}
		}
	}
}
