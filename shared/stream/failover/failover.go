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

	"github.com/sony/gobreaker/v2"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

const (
	// defaultHedge is far beyond what a cloud's stream takes in the same region,
	// and lets whoever waits for the answer still get the other's.
	defaultHedge = 500 * time.Millisecond
	// quiet is how long after a log line the next may come: refusals come in crowds.
	quiet = 10 * time.Second
)

// Publisher publishes on Own, and what Own refuses on Other, which it also asks
// when Own has not answered after Hedge; the first to have a record made it
// durable. An own stream that goes on refusing, or being slow, is given up: for
// five seconds Other is asked first, and Own in its place; then one Publish tries
// Own again.
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
	// 500 ms when 0. An answer of Own that takes longer counts as a refusal in
	// giving it up. It must be well within what callers wait.
	Hedge time.Duration
	// Telemetry takes, of a Publish that did not go as it should: events_failed_over,
	// how many events Other took; publish_hedged, 1 when one was slow and the other
	// asked too; stream_given_up, 1 when Own was given up. nil keeps none.
	Telemetry telemetry.Sink
	// Log is told, at most every 10 s, why Own was not enough though the records are
	// durable; nil is slog.Default().
	Log *slog.Logger

	once    sync.Once
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}] // of Own
	told    atomic.Int64                               // when Log was, Unix milliseconds
}

var _ stream.Publisher = (*Publisher)(nil)

func (p *Publisher) hedge() time.Duration { return cmp.Or(p.Hedge, defaultHedge) }

// Publish implements stream.Publisher. Of a record that is not durable its error
// tells what each cloud said. It is permanent only when both said so: the record
// may do later with the one that did not.
func (p *Publisher) Publish(ctx context.Context, records []stream.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publish %d records on either cloud: %w", len(records), err)
	}
	p.once.Do(func() { p.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](settings()) })
	c := newCall(ctx, p, records)
	c.run()
	c.end()
	p.report(ctx, c)
	return c.failures()
}

// settings are when the own stream is given up: by five refusals in a row, or by
// half of at least five answers within ten seconds.
func settings() gobreaker.Settings {
	return gobreaker.Settings{
		Interval: 10 * time.Second, BucketPeriod: time.Second, Timeout: 5 * time.Second, MaxRequests: 1,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			answers := n.TotalSuccesses + n.TotalFailures // Requests has those under way too
			return n.ConsecutiveFailures >= 5 || answers >= 5 && 2*n.TotalFailures >= answers
		},
		IsExcluded: func(err error) bool { return err == errUnknown },
	}
}

// report tells of a Publish that did not go as it should.
func (p *Publisher) report(ctx context.Context, c *call) {
	if p.Telemetry != nil && (c.failedOver > 0 || c.hedged > 0 || c.givenUp > 0) {
		p.Telemetry.Emit(ctx, "failover",
			telemetry.Value{Name: "events_failed_over", Unit: telemetry.Count, V: float64(c.failedOver)},
			telemetry.Value{Name: "publish_hedged", Unit: telemetry.Count, V: float64(c.hedged)},
			telemetry.Value{Name: "stream_given_up", Unit: telemetry.Count, V: float64(c.givenUp)})
	}
	if c.failedOver == 0 || c.left > 0 { // what is not durable is its caller's to tell
		return
	}
	now, last := time.Now().UnixMilli(), p.told.Load()
	if now-last < quiet.Milliseconds() || !p.told.CompareAndSwap(last, now) {
		return
	}
	log := p.Log
	if log == nil {
		log = slog.Default()
	}
	log.WarnContext(ctx, "failover: the other cloud's stream takes events", "events", c.failedOver, "reason", c.reason())
}
