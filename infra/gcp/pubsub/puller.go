package pubsub

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"cloud.google.com/go/pubsub/v2"
)

const (
	defaultOutstanding      = 64
	defaultOutstandingBytes = 64 << 20
	defaultDeliveryTime     = time.Minute
	// lease is for how long Pub/Sub leaves a message with a worker that is silent:
	// what one had that died is with another after that. It is the least there is.
	lease = 10 * time.Second
)

// Delivery is a message as it was pulled.
type Delivery struct {
	// ID is Pub/Sub's id of the publication.
	ID         string
	Data       []byte
	Attributes map[string]string
	// Attempt counts deliveries from 1, about, where the subscription has a
	// dead-letter policy; else it is 1.
	// https://cloud.google.com/pubsub/docs/handling-failures
	Attempt   int
	Published time.Time
}

// Puller pulls a subscription's messages: a worker's side of a stream, where no
// front pushes. Client, Subscription, Deliver and Log must be set.
type Puller struct {
	Client *pubsub.Client
	// Subscription is projects/P/subscriptions/S.
	Subscription string
	// Deliver handles a message: nil acknowledges it, an error has it come again.
	// It is called by several goroutines. Its ctx does not end with Run's.
	Deliver func(context.Context, *Delivery) error
	// Outstanding and OutstandingBytes bound the messages that are held at a
	// time, waiting or being delivered: 64 and 64 MiB when 0.
	Outstanding, OutstandingBytes int
	// Timeout bounds one delivery: a minute when 0.
	Timeout time.Duration
	// Log is told of deliveries that failed.
	Log *slog.Logger
}

// Run pulls until ctx ends; then it gives back what is not being delivered yet,
// waits for what is, and returns nil. It returns an error when Pub/Sub refuses
// (no such subscription, no permission).
func (p *Puller) Run(ctx context.Context) error {
	s := p.Client.Subscriber(p.Subscription)
	s.ReceiveSettings.MaxOutstandingMessages = cmp.Or(p.Outstanding, defaultOutstanding)
	s.ReceiveSettings.MaxOutstandingBytes = cmp.Or(p.OutstandingBytes, defaultOutstandingBytes)
	s.ReceiveSettings.MaxDurationPerAckExtension = lease
	if err := s.Receive(ctx, p.deliver); err != nil {
		return fmt.Errorf("pull from %s: %w", p.Subscription, err)
	}
	return nil
}

func (p *Puller) deliver(ctx context.Context, m *pubsub.Message) {
	// What is under way when a worker is told to end is finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(p.Timeout, defaultDeliveryTime))
	defer cancel()
	d := &Delivery{ID: m.ID, Data: m.Data, Attributes: m.Attributes, Attempt: 1, Published: m.PublishTime}
	if m.DeliveryAttempt != nil {
		d.Attempt = max(*m.DeliveryAttempt, 1)
	}
	if err := p.Deliver(ctx, d); err != nil {
		p.Log.WarnContext(ctx, "a message comes again", "subscription", p.Subscription, "id", d.ID, "attempt", d.Attempt, "error", err)
		m.Nack()
		return
	}
	m.Ack()
}
