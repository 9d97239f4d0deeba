package gcpfunctions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
)

// A PushSubscription pulls from a subscription of the Pub/Sub emulator, and pushes
// to an endpoint as Pub/Sub does. The emulator's own push lacks the token, the
// ordering key and the number of the attempt.
//
// The emulator's subscription has no push configuration, and no retry policy, whose
// times the emulator does not keep: this waits instead. Dead letters are the
// emulator's. A subscription that is run again goes on; what was being delivered
// comes again.
type PushSubscription struct {
	Client *pubsub.Client
	Name   string // projects/…/subscriptions/…

	Endpoint string
	Account  string // whose token is sent; "" sends none
	Audience string // "" is Endpoint
	Issuer   *Issuer
	// HTTP sends the requests, mostly by Hosts. Redirects are not followed.
	HTTP http.RoundTripper
	// NoWrapper sends a message's data as the body, and with WriteMetadata the rest
	// in headers (cloud.google.com/pubsub/docs/payload-unwrapping).
	NoWrapper, WriteMetadata bool
	// AckDeadline is how long a request may take; 0 is 10 s, as at Google.
	AckDeadline time.Duration
	// MinBackoff and MaxBackoff are the retry policy: how long a message waits after
	// its first failure, twice as long after each further one, and at most. With both
	// 0 it comes again at once.
	MinBackoff, MaxBackoff time.Duration
	// Concurrency is how many requests there are at once; 0 is 100.
	Concurrency int

	// Scale shortens the backoff for tests: 0.05 makes it 20 times shorter. 0 is 1:
	// as slow as Pub/Sub.
	Scale float64
	// Redeliver is asked about each message that was acknowledged, and may have it
	// delivered once more, as when Pub/Sub loses an acknowledgement.
	Redeliver func(*pubsub.Message) bool
	// Drop is asked about each answer, and may have it taken for none, as when a
	// connection breaks.
	Drop func(*pubsub.Message) bool
	// Delay is how long a message waits before a delivery, in addition.
	Delay func(*pubsub.Message) time.Duration
	// Log is told of deliveries that fail; nil is slog.Default().
	Log *slog.Logger

	mu    sync.Mutex
	fails map[string]int // by message id
	stats PushStats
}

// PushStats are what has happened to a subscription.
type PushStats struct {
	Deliveries  int // requests
	Acked       int // messages
	Nacked      int // deliveries that failed; what is dropped is one
	Dropped     int // among Nacked
	Unanswered  int // among Nacked: no answer within the ack deadline, or no connection
	Redelivered int // messages
	Pending     int // messages that were pulled, and are neither acked nor nacked: they wait or are delivered
	Most        int // requests at once
	Status      map[int]int
}

// Stats returns what has happened so far.
func (p *PushSubscription) Stats() PushStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Status = maps.Clone(s.Status)
	return s
}

func (p *PushSubscription) count(add func(*PushStats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add(&p.stats)
}

// maxPending is how many messages are pulled that are not acknowledged: those in
// flight, and those that wait for their next attempt.
const maxPending = 10_000

// Run delivers until ctx ends. Then it returns nil; before, an error if messages
// cannot be pulled.
func (p *PushSubscription) Run(ctx context.Context) error {
	if p.Scale < 0 || p.Scale > 1 {
		return fmt.Errorf("push subscription %s: scale %v is not between 0 and 1", p.Name, p.Scale)
	}
	subscriber := p.Client.Subscriber(p.Name)
	subscriber.ReceiveSettings.MaxOutstandingMessages = maxPending
	subscriber.ReceiveSettings.NumGoroutines = 2
	room := make(chan struct{}, or(p.Concurrency, 100))
	err := subscriber.Receive(ctx, func(ctx context.Context, m *pubsub.Message) { p.handle(ctx, m, room) })
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("push subscription %s: %w", p.Name, err)
	}
	return nil
}

// handle delivers a message, and again if it is told to, and says what became of
// it. One that failed is kept back for the backoff.
func (p *PushSubscription) handle(ctx context.Context, m *pubsub.Message, room chan struct{}) {
	p.count(func(s *PushStats) { s.Pending++ })
	defer p.count(func(s *PushStats) { s.Pending-- })
	if p.Delay != nil && !wait(ctx, p.Delay(m)) {
		m.Nack()
		return
	}
	err := p.deliver(ctx, m, room)
	if err == nil {
		if p.Redeliver != nil && p.Redeliver(m) {
			p.count(func(s *PushStats) { s.Redelivered++ })
			_ = p.deliver(ctx, m, room) // acknowledged it is all the same
		}
		p.mu.Lock()
		delete(p.fails, m.ID)
		p.stats.Acked++
		p.mu.Unlock()
		m.Ack()
		return
	}
	defer m.Nack()
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	if p.fails == nil {
		p.fails = make(map[string]int)
	}
	p.fails[m.ID]++
	fails := p.fails[m.ID]
	p.stats.Nacked++
	p.mu.Unlock()
	p.log().Debug("push", "subscription", p.Name, "message", m.ID, "fails", fails, "error", err)
	wait(ctx, p.backoff(fails))
}

func (p *PushSubscription) log() *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return slog.Default()
}

// backoff is how long a message waits after so many failures
// (cloud.google.com/pubsub/docs/handling-failures#exponential_backoff).
func (p *PushSubscription) backoff(fails int) time.Duration {
	d := min(p.MinBackoff<<min(fails-1, 10), p.MaxBackoff) // 600 s is 2 to the 9th
	return time.Duration(float64(d) * or(p.Scale, 1))
}

var errDropped = errors.New("the answer is dropped")

// deliver makes one request, and returns nil if its answer acknowledges the message.
func (p *PushSubscription) deliver(ctx context.Context, m *pubsub.Message, room chan struct{}) error {
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	case <-ctx.Done():
		return ctx.Err()
	}
	p.count(func(s *PushStats) {
		s.Deliveries++
		s.Most = max(s.Most, len(room))
	})
	status, err := p.post(ctx, m)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			p.stats.Unanswered++
		}
		return err
	}
	if p.stats.Status == nil {
		p.stats.Status = make(map[int]int)
	}
	p.stats.Status[status]++
	if p.Drop != nil && p.Drop(m) {
		p.stats.Dropped++
		return errDropped
	}
	switch status { // cloud.google.com/pubsub/docs/push#receive_push
	case http.StatusProcessing, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return nil
	}
	return fmt.Errorf("answered %d", status)
}

// post sends the message, and returns the answer's status.
func (p *PushSubscription) post(ctx context.Context, m *pubsub.Message) (int, error) {
	ctx, cancel := context.WithTimeout(from(ctx, google), or(p.AckDeadline, 10*time.Second))
	defer cancel()
	r, err := p.request(ctx, m)
	if err != nil {
		return 0, err
	}
	resp, err := p.HTTP.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}
