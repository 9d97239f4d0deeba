// Package relay is the function between two clouds: it ships what one cloud has
// enriched to the other's enriched stream, where the same events make the same
// fragments.
package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// Handler consumes one cloud's enriched stream. Origin and Other must be set.
type Handler struct {
	// Origin is the cloud that the handler runs in. Only its own records are
	// shipped: those that came from the other one would go round for ever.
	Origin string
	// Other is the other cloud's enriched stream.
	Other stream.Publisher
	// Limit bounds the events per second that are shipped, so that what an outage
	// has held up does not take the other cloud's room for live traffic; its burst
	// is at least one record. nil is no bound.
	Limit *rate.Limiter
	// Telemetry takes events_relayed, and relay_lag: how long ago the oldest shipped
	// record was accepted. nil keeps none.
	Telemetry telemetry.Sink
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// PerSecond returns the limit of so many events per second, nil of 0.
func PerSecond(events int) *rate.Limiter {
	if events <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(events), events)
}

// Put makes the handler the quarantine of what no runtime can open: it is passed
// over too.
func (h *Handler) Put(ctx context.Context, entries []quarantine.Entry) error {
	h.emit(ctx, telemetry.Value{Name: "records_unread", Unit: telemetry.Count, V: float64(len(entries))})
	return nil
}

// Handle ships a batch; it is a stream.Handler. What cannot be shipped fails for
// a while, however long: the stream keeps it. What cannot be read is passed over,
// since score on the same stream keeps it in quarantine.
func (h *Handler) Handle(ctx context.Context, records []stream.Record) error {
	own := make([]stream.Record, 0, len(records))
	from := make([]int, 0, len(records)) // the position in records of each of own
	events, oldest, unread := 0, int64(0), 0
	for i := range records {
		r := &records[i]
		origin, err := event.Origin(r.Data)
		if err != nil {
			unread++
			continue
		}
		if origin != h.Origin {
			continue
		}
		own, from = append(own, *r), append(from, i)
		events += r.Events
		if oldest == 0 || r.Time < oldest {
			oldest = r.Time
		}
	}
	if unread > 0 {
		h.emit(ctx, telemetry.Value{Name: "records_unread", Unit: telemetry.Count, V: float64(unread)})
	}
	if len(own) == 0 {
		return nil
	}
	if err := h.wait(ctx, events); err != nil {
		return fmt.Errorf("ship %d records: %w", len(own), err)
	}
	err := h.Other.Publish(ctx, own)
	h.emit(ctx, telemetry.Value{Name: "relay_lag", Unit: telemetry.Milliseconds, V: float64(max(0, h.now().UnixMilli()-oldest))})
	if err == nil {
		h.emit(ctx, telemetry.Value{Name: "events_relayed", Unit: telemetry.Count, V: float64(events)})
		return nil
	}
	named, ok := err.(stream.Failures) // a wrapped one speaks of others
	if !ok {
		return fmt.Errorf("ship %d records: %w", len(own), h.held(err))
	}
	failed := make(stream.Failures, 0, len(named))
	for _, f := range named {
		if f.Index < 0 || f.Index >= len(from) { // what it names cannot be told
			return fmt.Errorf("ship %d records: %v", len(own), err)
		}
		events -= own[f.Index].Events
		failed = append(failed, stream.Failure{Index: from[f.Index], Err: fmt.Errorf("ship record: %w", h.held(f.Err))})
	}
	h.emit(ctx, telemetry.Value{Name: "events_relayed", Unit: telemetry.Count, V: float64(events)})
	return failed.OrNil()
}

// held is an error that the record waits for: what the other cloud refuses for
// good today, such as a right that it does not give, can be mended there.
func (h *Handler) held(err error) error {
	if stream.IsPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}

// wait waits until so many events may be shipped, in bursts as large as may be.
func (h *Handler) wait(ctx context.Context, events int) error {
	if h.Limit == nil {
		return nil
	}
	for events > 0 {
		n := min(events, h.Limit.Burst())
		if n == 0 {
			return errors.New("the limit lets nothing pass: its burst is 0")
		}
		if err := h.Limit.WaitN(ctx, n); err != nil {
			return err
		}
		events -= n
	}
	return nil
}

func (h *Handler) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

func (h *Handler) emit(ctx context.Context, v telemetry.Value) {
	if h.Telemetry != nil {
		h.Telemetry.Emit(ctx, "relay", v)
	}
}
