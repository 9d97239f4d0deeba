package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// publisher keeps what is published and answers err.
type publisher struct {
	keys []string
	err  error
}

func (p *publisher) Publish(_ context.Context, records []stream.Record) error {
	for i := range records {
		p.keys = append(p.keys, records[i].Key)
	}
	return p.err
}

type sink map[string]float64

func (s sink) Emit(_ context.Context, function string, values ...telemetry.Value) {
	for _, v := range values {
		s[function+"."+v.Name] += v.V
	}
}

func record(t testing.TB, origin, key string, events int) stream.Record {
	t.Helper()
	r := &event.Record{Project: "shop", Key: key, ReceivedAt: 1000, Origin: origin}
	for i := range events {
		r.Events = append(r.Events, &event.Event{MessageId: fmt.Sprint(key, i), Type: event.Type_TYPE_TRACK, Timestamp: 1000})
	}
	data, err := event.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return stream.Record{Project: "shop", Key: key, Events: events, Time: 1000, Data: data}
}

var errAway = errors.New("the other cloud is away")

func TestHandle(t *testing.T) {
	at := func(failures ...stream.Failure) error { return stream.Failures(failures) }
	for name, c := range map[string]struct {
		answer error
		want   map[int]bool // positions that fail; nil none
		whole  bool         // or all
		events float64      // relayed
	}{
		"all shipped":                {events: 6},
		"the other is away":          {answer: errAway, whole: true},
		"it refuses for good":        {answer: stream.Permanent(errAway), whole: true},
		"one is not taken":           {answer: at(stream.Failure{Index: 1, Err: errAway}), want: map[int]bool{3: true}, events: 4},
		"one is not taken, for good": {answer: at(stream.Failure{Index: 2, Err: stream.Permanent(errAway)}), want: map[int]bool{4: true}, events: 3},
		"it names what is not there": {answer: at(stream.Failure{Index: 3, Err: errAway}), whole: true},
		"it names nothing":           {answer: at(stream.Failure{Index: -1, Err: errAway}), whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			other, told := &publisher{err: c.answer}, sink{}
			h := &Handler{Origin: "aws", Other: other, Telemetry: told, Now: func() time.Time { return time.UnixMilli(1500) }}
			err := h.Handle(t.Context(), []stream.Record{
				record(t, "aws", "a", 1), record(t, "gcp", "b", 1), {Data: []byte("unread"), Events: 9}, record(t, "aws", "c", 2), record(t, "aws", "d", 3), record(t, "", "e", 1),
			})
			if stream.IsPermanent(err) {
				t.Errorf("%v: what the other cloud refuses may be mended there", err)
			}
			failures, ok := err.(stream.Failures)
			got := map[int]bool{}
			for _, f := range failures {
				got[f.Index] = true
			}
			if c.whole != (err != nil && !ok) || !maps.Equal(got, c.want) {
				t.Errorf("%v", err)
			}
			if !slices.Equal(other.keys, []string{"a", "c", "d"}) {
				t.Errorf("shipped %v", other.keys)
			}
			if told["relay.events_relayed"] != c.events || told["relay.relay_lag"] != 500 || told["relay.records_unread"] != 1 {
				t.Errorf("told %v", told)
			}
		})
	}
	// Nothing of its own asks nobody.
	h := &Handler{Origin: "aws", Other: &publisher{err: errAway}}
	if err := h.Handle(t.Context(), []stream.Record{record(t, "gcp", "a", 1)}); err != nil {
		t.Error(err)
	}
}

// TestNoLoop: two clouds ship to each other what the other's raw stream did not carry.
func TestNoLoop(t *testing.T) {
	aws, gcp := &publisher{}, &publisher{}
	records := []stream.Record{record(t, "aws", "a", 1), record(t, "gcp", "g", 1)}
	for range 3 {
		for _, h := range []*Handler{{Origin: "aws", Other: gcp}, {Origin: "gcp", Other: aws}} {
			if err := h.Handle(t.Context(), records); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(gcp.keys, []string{"a", "a", "a"}) || !slices.Equal(aws.keys, []string{"g", "g", "g"}) {
		t.Errorf("aws got %v, gcp %v", aws.keys, gcp.keys)
	}
}

// TestLimit: what is shipped is held to the rate, a record that is larger than the
// burst too, and no longer than the call may take.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := &publisher{}
		h := &Handler{Origin: "aws", Other: other, Limit: rate.NewLimiter(10, 5)}
		began := time.Now()
		for range 3 {
			if err := h.Handle(t.Context(), []stream.Record{record(t, "aws", "a", 15)}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 4*time.Second { // 45 events, 5 at once
			t.Errorf("45 events took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Handle(ctx, []stream.Record{record(t, "aws", "b", 50)}); err == nil || stream.IsPermanent(err) || slices.Contains(other.keys, "b") {
			t.Errorf("%v, shipped %v", err, other.keys)
		}
		h.Limit = rate.NewLimiter(10, 0)
		if err := h.Handle(t.Context(), []stream.Record{record(t, "aws", "c", 1)}); err == nil {
			t.Error("a limit without a burst lets something pass")
		}
	})
}

func BenchmarkHandle(b *testing.B) {
	records := make([]stream.Record, 100)
	for i := range records {
		records[i] = record(b, "aws", fmt.Sprint("a", i), 1)
	}
	h := &Handler{Origin: "aws", Other: discard{}}
	for b.Loop() {
		if err := h.Handle(b.Context(), records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
}

type discard struct{}

func (discard) Publish(context.Context, []stream.Record) error { return nil }
