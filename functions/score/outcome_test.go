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
