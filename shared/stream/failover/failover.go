// Package failover publishes on a cloud's own stream, and on the other cloud's
// when the own one refuses or is slow: an event is refused only where both refuse
// it. One that both took counts once, since it has one message id.
package failover

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

const (
	// defaultHedge is far beyond what a cloud's stream takes in the same region,
	// and lets whoever waits for the answer still get the other's.
	defaultHedge = 500 * time.Millisecond
	// complaints is how long a log line is good for: refusals come in crowds.
	complaints = 10 * time.Second
)

// Publisher publishes on Own, and what Own refuses on Other, which it also asks
// when Own has not answered after Hedge; the first to have a record made it
// durable. A stream that goes on refusing, or being slow, is given up for a while:
// then the other one is asked at once. That never is the reason for a refusal:
// records are refused only after both were asked for them.
//
// Own and Other must be set, and return soon after their ctx ends: Publish ends
// the one it needs no more and waits for it, so that records are their owner's
// again, and nothing runs on where the processor is taken away between requests.
// It is safe for concurrent use, and must not be copied after first use.
type Publisher struct {
	// Own is the stream of the cloud that this runs on.
	Own stream.Publisher
	// Other is the other cloud's.
	Other stream.Publisher
	// Hedge is after how long without an answer of the one the other is asked too:
	// 500 ms when 0. An answer that takes longer counts against a stream as a
	// refusal does. It must be well within what callers wait.
	Hedge time.Duration
	// Breaker is when a stream is given up, and for how long.
	Breaker Breaker
	// Telemetry takes, of a Publish that did not go as it should: published_other,
	// how many events Other took; hedged, 1 when one was slow and the other asked
	// too; breaker_open, how many streams were given up when they were needed. nil
	// keeps none.
	Telemetry telemetry.Sink
	// Log is told, at most every 10 s, why Own was not enough though the records are
	// durable; nil is slog.Default().
	Log *slog.Logger

	once       sync.Once
	sides      [2]side
	complained atomic.Int64 // Unix milliseconds
}

var _ stream.Publisher = (*Publisher)(nil)

func (p *Publisher) hedge() time.Duration { return cmp.Or(p.Hedge, defaultHedge) }

// Publish implements stream.Publisher. Of a record that is not durable its error
// tells what each cloud said. One that a cloud will never take
// (stream.IsPermanent) is not offered to the other.
func (p *Publisher) Publish(ctx context.Context, records []stream.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publish %d records on either cloud: %w", len(records), err)
	}
	p.once.Do(p.start)
	c := newCall(ctx, p, records)
	c.run()
	c.end()
	p.report(ctx, c)
	return c.failures()
}

// report tells of a Publish that did not go as it should.
func (p *Publisher) report(ctx context.Context, c *call) {
	if p.Telemetry != nil && (c.others > 0 || c.hedged > 0 || c.givenUp > 0) {
		p.Telemetry.Emit(ctx, "failover",
			telemetry.Value{Name: "published_other", Unit: telemetry.Count, V: float64(c.others)},
			telemetry.Value{Name: "hedged", Unit: telemetry.Count, V: float64(c.hedged)},
			telemetry.Value{Name: "breaker_open", Unit: telemetry.Count, V: float64(c.givenUp)})
	}
	if c.others == 0 || c.left > 0 { // what is not durable is its caller's to tell
		return
	}
	now, last := time.Now().UnixMilli(), p.complained.Load()
	if now-last < complaints.Milliseconds() || !p.complained.CompareAndSwap(last, now) {
		return
	}
	log := p.Log
	if log == nil {
		log = slog.Default()
	}
	log.WarnContext(ctx, "failover: the other cloud's stream takes events", "events", c.others, "reason", c.reason())
}
