// Package enrich is the function between the raw and the enriched stream: it
// adds to every event what can be learnt from the event alone.
package enrich

import (
	"context"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/enrichment"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// Projects finds projects by name.
type Projects interface {
	ByName(name string) (*project.Project, bool)
}

// Handler consumes the raw stream. Enriched must be set.
type Handler struct {
	// Projects gives the projects' settings; nil, and a project it does not
	// know, mean no settings.
	Projects Projects
	// Enricher does the work; nil is one that finds countries only.
	Enricher *enrichment.Enricher
	Enriched stream.Publisher
	// Origin names the cloud whose raw stream this is, and is put into every record:
	// a beacon of the other cloud's may have published it here. Empty leaves it.
	Origin string
	// Ledger books what came as accepted, where the raw stream cannot; nil where
	// it does. Such a stream may also carry a record twice, by a beacon that got no
	// answer: the second is then accepted too, and passed on as a repeat.
	Ledger ledger.Recorder
	// Telemetry takes events_enriched, bots and the oldest record's lag; nil keeps none.
	Telemetry telemetry.Sink
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

var defaultEnricher enrichment.Enricher

// Handle enriches a batch and publishes it at once, one record for each; it is
// a stream.Handler. A record that cannot be read or enriched fails permanently,
// and the others are published.
func (h *Handler) Handle(ctx context.Context, records []stream.Record) error {
	out := make([]stream.Record, 0, len(records))
	// from has the position in records of each of out.
	from := make([]int, 0, len(records))
	failed := make([]error, len(records))
	var events, bots int
	for i := range records {
		data, n, err := h.enrich(&records[i])
		if err != nil {
			failed[i] = stream.Permanent(err)
			continue
		}
		r := &records[i]
		out = append(out, stream.Record{Project: r.Project, Key: r.Key, Events: r.Events, Time: r.Time, Data: data})
		from = append(from, i)
		events += r.Events
		bots += n
	}
	if len(out) > 0 {
		err := h.Enriched.Publish(ctx, out)
		failures, partial := err.(stream.Failures) // a wrapped one speaks of others
		for _, f := range failures {
			if partial = f.Index >= 0 && f.Index < len(from); !partial {
				break // what it names cannot be told: none may be taken as durable
			}
			failed[from[f.Index]] = fmt.Errorf("publish enriched record: %w", f.Err)
		}
		if err != nil && !partial {
			for _, i := range from {
				failed[i] = fmt.Errorf("publish enriched records: %w", err)
			}
		}
	}
	h.emit(ctx, records, events, bots)
	if err := h.book(ctx, records); err != nil {
		return err
	}

	var failures stream.Failures
	for i, err := range failed {
		if err != nil {
			failures = append(failures, stream.Failure{Index: i, Err: err})
		}
	}
	return failures.OrNil()
}

// book books the batch as accepted, what failed too: it is booked once however
// often it comes.
func (h *Handler) book(ctx context.Context, records []stream.Record) error {
	if h.Ledger == nil {
		return nil
	}
	deltas := make([]ledger.Delta, 0, len(records))
	for i := range records {
		if r := &records[i]; r.Events > 0 {
			deltas = append(deltas, ledger.Delta{
				Project: r.Project, Source: r.ID, Minute: r.Time / 60_000, Counts: ledger.Counts{Accepted: int64(r.Events)},
			})
		}
	}
	if err := h.Ledger.Record(ctx, deltas); err != nil {
		return fmt.Errorf("record %d acceptances: %w", len(deltas), err)
	}
	return nil
}

// enrich returns a record's enriched form and how many of its events are bots'.
// A panic is an error of this record alone.
func (h *Handler) enrich(r *stream.Record) (data []byte, bots int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("enrich record %s of %s/%s: panic: %v", r.ID, r.Project, r.Key, p)
		}
	}()
	record, err := event.Decode(r.Data)
	if err != nil {
		return nil, 0, fmt.Errorf("enrich record %s of %s/%s: %w", r.ID, r.Project, r.Key, err)
	}
	if h.Origin != "" {
		record.Origin = h.Origin
	}
	if record.Erase {
		if data, err = event.Encode(record); err != nil {
			return nil, 0, fmt.Errorf("enrich record %s: %w", r.ID, err)
		}
		return data, 0, nil
	}
	var settings *project.Settings
	if h.Projects != nil {
		if p, ok := h.Projects.ByName(r.Project); ok {
			settings = &p.Settings
		}
	}
	enricher := h.Enricher
	if enricher == nil {
		enricher = &defaultEnricher
	}
	for _, e := range record.Events {
		enricher.Enrich(e, settings)
		if e.Enriched.GetAgent().GetBot() {
			bots++
		}
	}
	if h.Ledger != nil {
		record.Receipt ^= uint32(xxhash.Sum64String(r.ID))
	}
	data, err = event.Encode(record)
	if err != nil {
		return nil, 0, fmt.Errorf("enrich record %s: %w", r.ID, err)
	}
	return data, bots, nil
}

// emit reports a batch.
func (h *Handler) emit(ctx context.Context, records []stream.Record, events, bots int) {
	if h.Telemetry == nil || len(records) == 0 {
		return
	}
	now := h.Now
	if now == nil {
		now = time.Now
	}
	oldest := records[0].Time
	for i := range records {
		oldest = min(oldest, records[i].Time)
	}
	h.Telemetry.Emit(ctx, "enrich",
		telemetry.Value{Name: "events_enriched", Unit: telemetry.Count, V: float64(events)},
		telemetry.Value{Name: "bots", Unit: telemetry.Count, V: float64(bots)},
		telemetry.Value{Name: "lag", Unit: telemetry.Milliseconds, V: float64(max(0, now().UnixMilli()-oldest))})
}
