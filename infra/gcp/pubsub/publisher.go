// Package pubsub carries streams over Google's Pub/Sub: a Publisher that packs
// records into messages, Rows for what BigQuery reads, and a Puller. What a
// message says is package message's.
package pubsub

import (
	"context"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/hitolayer/hito/infra/gcp/pubsub/publish"
	"github.com/hitolayer/hito/shared/stream"
)

// Publisher publishes records on a topic, packed, as a publish.Publisher does.
// Client, Topic and Origin must be set. It is safe for concurrent use, and must not be copied.
type Publisher struct {
	Client *pubsub.Client
	// Topic is projects/P/topics/T.
	Topic string
	// Origin is the cloud that accepted the records' events, for the messages' attributes.
	Origin string
	// PackBytes is where a message of several records ends, before compression: 1 MiB when 0.
	PackBytes int
	// Parallel is how many requests to Pub/Sub are under way at a time, at most: 4 when 0.
	Parallel int
	// Timeout bounds one request to Pub/Sub: 5 s when 0.
	Timeout time.Duration
	// Patience bounds a Publish, with all its attempts: 10 s when 0.
	Patience time.Duration

	once sync.Once
	to   publish.Publisher
}

var _ stream.Publisher = (*Publisher)(nil)

// Publish implements stream.Publisher, as publish.Publisher does.
func (p *Publisher) Publish(ctx context.Context, records []stream.Record) error {
	p.once.Do(func() {
		p.to = publish.Publisher{
			Call: call(p.Client, p.Topic), KindOf: kindOf, Topic: p.Topic, Origin: p.Origin,
			PackBytes: p.PackBytes, Parallel: p.Parallel, Timeout: p.Timeout, Patience: p.Patience,
		}
	})
	return p.to.Publish(ctx, records)
}
