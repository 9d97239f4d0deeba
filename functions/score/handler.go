// Package score is the function that folds enriched events into fragments,
// decides segments, and publishes who entered and left them.
package score

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// Rules is what a project's rules say of an event and of a person.
type Rules interface {
	profile.Extractor
	// Standings appends where the person stands with each segment there is.
	Standings(p *profile.Person, now time.Time, into []profile.Standing) []profile.Standing
}

// Handler scores batches of the enriched stream.
// All fields but Copies, and those of two clouds, are required.
type Handler struct {
	Store profile.Store
	// Rules returns a project's rules, nil when none are in service: its records
	// then wait, since events folded without rules would be missing in metrics.
	Rules func(project string) Rules
	// Copies says that the stream may carry a record more than once, as one does
	// whose publisher handles redelivered batches and cannot know what it published.
	Copies bool
	// Origin names the cloud this is. Another one's records are folded, and booked
	// there. Empty books all.
	Origin string
	// Enriched is the cloud's own enriched stream, where there is another cloud: what
	// was published on Actions is told there, and the relay takes it to the other one,
	// which has decided the same and then does not publish it too. nil has no other.
	Enriched stream.Publisher
	// Hold is how long a change that is the other cloud's to publish is held here
	// for its word that it did, 5 minutes when 0. Then it is published here.
	Hold time.Duration
	// Actions is the stream of transitions (encoded profile.Transition).
	Actions   stream.Publisher
	Ledger    ledger.Recorder
	Telemetry telemetry.Sink
	Now       func() time.Time
}

// Handle is a stream.Handler: one read and one conditional write per fragment
// and batch, and another read of what is a person together with others. A
// fragment that somebody else changed meanwhile is read and folded again, and
// such a person decided again, as often as ctx allows.
func (h *Handler) Handle(ctx context.Context, records []stream.Record) error {
	b := newBatch(h)
	var failures stream.Failures
	oldest := b.now.UnixMilli()
	for i := range records {
		r, err := event.Decode(records[i].Data)
		if err != nil {
			failures = append(failures, stream.Failure{Index: i, Err: stream.Permanent(err)})
			continue
		}
		if len(r.Told) > 0 && (h.Enriched == nil || r.Origin == h.Origin) {
			continue // its own word
		}
		if _, err := b.rulesOf(r.Project); err != nil {
			failures = append(failures, stream.Failure{Index: i, Err: err})
			continue
		}
		oldest = min(oldest, r.ReceivedAt)
		// Stores keep keys; the record's own strings are the stream's memory.
		w := b.add(profile.Key{Project: strings.Clone(r.Project), Visitor: strings.Clone(r.Key)})
		w.records = append(w.records, delivered{r, records[i].ID})
	}
	if err := b.run(ctx); err != nil {
		return fmt.Errorf("score %d records: %w", len(records), err)
	}
	h.emit(ctx, b, telemetry.Value{Name: "latency", Unit: telemetry.Milliseconds, V: float64(h.Now().UnixMilli() - oldest)})
	return failures.OrNil()
}

// hold is how long a change of the other cloud's is held; 0 without another cloud.
func (h *Handler) hold() time.Duration {
	if h.Enriched == nil {
		return 0
	}
	return cmp.Or(h.Hold, 5*time.Minute)
}

func (h *Handler) emit(ctx context.Context, b *batch, more ...telemetry.Value) {
	h.Telemetry.Emit(ctx, "score", append(more,
		telemetry.Value{Name: "events_scored", Unit: telemetry.Count, V: float64(b.tally.Scored)},
		telemetry.Value{Name: "events_duplicate", Unit: telemetry.Count, V: float64(b.tally.Duplicate)},
		telemetry.Value{Name: "events_suppressed", Unit: telemetry.Count, V: float64(b.tally.Suppressed)},
		telemetry.Value{Name: "events_redelivered", Unit: telemetry.Count, V: float64(b.tally.Redelivered + b.tally.Copied)},
		telemetry.Value{Name: "window_evictions", Unit: telemetry.Count, V: float64(b.tally.Evicted)},
		telemetry.Value{Name: "save_conflicts", Unit: telemetry.Count, V: float64(b.conflicts)},
		telemetry.Value{Name: "transitions", Unit: telemetry.Count, V: float64(b.transitions)},
	)...)
}
