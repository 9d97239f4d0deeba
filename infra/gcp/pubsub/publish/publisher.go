// Package publish publishes records on a topic of Pub/Sub's, but for the requests
// themselves, so that who reaches Pub/Sub by another way than its client publishes
// the same messages.
package publish

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

const (
	// maxPackRecords and defaultPackBytes are where a message ends that has more
	// than one record. A message whose consumer fails comes again whole.
	maxPackRecords   = 512
	defaultPackBytes = 1 << 20
	// defaultParallel keeps one request that hangs from holding up all others.
	defaultParallel = 4
	// DefaultTimeout and DefaultPatience bound a request and a Publish.
	DefaultTimeout  = 5 * time.Second
	DefaultPatience = 10 * time.Second
)

// Publisher publishes records on a topic, packed: what waits while requests to
// Pub/Sub are under way goes out together, whoever brought it. It waits for
// nothing more to come, and between calls nothing of it runs, so that it may
// have a processor only while a request is served.
// Call, KindOf, Topic and Origin must be set. It is safe for concurrent use, and must not be copied.
type Publisher struct {
	// Call and KindOf are those of a Sender.
	Call   func(ctx context.Context, messages []Message) error
	KindOf func(error) Kind
	// Topic is projects/P/topics/T.
	Topic string
	// Origin is the cloud that accepted the records' events, for the messages' attributes.
	Origin string
	// PackBytes is where a message of several records ends, before compression: 1 MiB when 0.
	PackBytes int
	// MaxBytes bounds the data of one request: 9,000,000 bytes when 0.
	MaxBytes int
	// Parallel is how many requests to Pub/Sub are under way at a time, at most: 4 when 0.
	Parallel int
	// Timeout bounds one request to Pub/Sub: 5 s when 0.
	Timeout time.Duration
	// Patience bounds a Publish, with all its attempts: 10 s when 0.
	Patience time.Duration

	mu      sync.Mutex
	waiting []piece
	workers int // that publish what waits
}

var _ stream.Publisher = (*Publisher)(nil)

// Publish implements stream.Publisher. What fails on the way is tried again
// until Patience ends, or would before the next attempt; what Pub/Sub will not
// take however often (no such topic, no permission) is not. A record that is too
// large for a message fails permanently (stream.IsPermanent).
//
// When ctx ends, its records may be published all the same: those that others
// brought travel with them.
func (p *Publisher) Publish(ctx context.Context, records []stream.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publish %d records on topic %s: %w", len(records), p.Topic, err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.patience())
	defer cancel()
	c := &call{records: records, done: make(chan struct{})}
	if p.enqueue(c) {
		go p.work(context.WithoutCancel(ctx))
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if !p.leave(c) {
			return fmt.Errorf("publish %d records on topic %s: %w", len(records), p.Topic, ctx.Err())
		}
	}
	slices.SortFunc(c.failures, func(a, b stream.Failure) int { return a.Index - b.Index })
	return c.failures.OrNil()
}

func (p *Publisher) packBytes() int { return cmp.Or(p.PackBytes, defaultPackBytes) }

func (p *Publisher) maxBytes() int { return cmp.Or(p.MaxBytes, MaxBytes) }

func (p *Publisher) patience() time.Duration { return cmp.Or(p.Patience, DefaultPatience) }

// call is one Publish. Its fields but done are the Publisher's, under its lock,
// until done is closed.
type call struct {
	records  []stream.Record
	left     int // pieces that wait or are under way
	failures stream.Failures
	// reading are the pieces that are being packed: the records are the caller's
	// again only after that.
	reading sync.WaitGroup
	done    chan struct{}
}

// enqueue has a call wait, and reports whether a worker must be started for it.
func (p *Publisher) enqueue(c *call) bool {
	pieces := cut(c, p.packBytes())
	c.left = len(pieces)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, pieces...)
	return p.hire()
}

// hire reports whether one more worker may publish what waits.
func (p *Publisher) hire() bool {
	if len(p.waiting) == 0 || p.workers >= cmp.Or(p.Parallel, defaultParallel) {
		return false
	}
	p.workers++
	return true
}

// leave has a call wait no longer. It reports whether the call is done; if not,
// its records are the caller's again all the same.
func (p *Publisher) leave(c *call) (done bool) {
	p.mu.Lock()
	p.waiting = slices.DeleteFunc(p.waiting, func(w piece) bool { return w.call == c })
	done = c.left == 0
	p.mu.Unlock()
	c.reading.Wait()
	return done
}

// work publishes what waits until nothing does. ctx ends with no caller's: those
// who go away must not fail the others.
func (p *Publisher) work(ctx context.Context) {
	k := packing{origin: p.Origin, packBytes: p.packBytes(), maxBytes: p.maxBytes()}
	for {
		pieces, more := p.take()
		if len(pieces) == 0 {
			return
		}
		if more {
			go p.work(ctx)
		}
		p.publish(ctx, k.pack(pieces))
	}
}

// take takes what one request carries of what waits, and reports whether another
// worker must be started for the rest. When nothing waits, its caller's work ends.
func (p *Publisher) take() (pieces []piece, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := fits(p.waiting, p.packBytes(), p.maxBytes())
	if n == 0 {
		p.workers--
		return nil, false
	}
	pieces, p.waiting = p.waiting[:n:n], p.waiting[n:]
	if len(p.waiting) == 0 {
		p.waiting = nil
	}
	for i := range pieces {
		pieces[i].call.reading.Add(1)
	}
	return pieces, p.hire()
}

// publish publishes what one request carries, and tells their calls.
func (p *Publisher) publish(ctx context.Context, packs []packed) {
	messages := make([]Message, 0, len(packs))
	carry := packs[:0]
	for _, m := range packs {
		if m.err != nil {
			p.settle(m.pieces, stream.Permanent(m.err))
			continue
		}
		messages, carry = append(messages, m.message), append(carry, m)
	}
	ctx, cancel := context.WithTimeout(ctx, p.patience())
	defer cancel()
	s := Sender{Call: p.Call, KindOf: p.KindOf, Timeout: cmp.Or(p.Timeout, DefaultTimeout)}
	s.Send(ctx, messages, func(from, to int, err error) {
		for _, m := range carry[from:to] {
			p.settle(m.pieces, err)
		}
	})
}

// settle tells the calls of pieces what became of them.
func (p *Publisher) settle(pieces []piece, err error) {
	if err != nil {
		err = fmt.Errorf("publish on topic %s: %w", p.Topic, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range pieces {
		for at := w.from; err != nil && at < w.to; at++ {
			w.call.failures = append(w.call.failures, stream.Failure{Index: at, Err: err})
		}
		if w.call.left--; w.call.left == 0 {
			close(w.call.done)
		}
	}
}
