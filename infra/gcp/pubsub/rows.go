package pubsub

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/hitolayer/hito/shared/stream"
)

// Rows publishes JSON objects on a topic whose subscription writes each as a row
// of a BigQuery table. Client and Topic must be set.
type Rows struct {
	Client *pubsub.Client
	// Topic is projects/P/topics/T.
	Topic string
	// Timeout bounds one request to Pub/Sub: 5 s when 0.
	Timeout time.Duration
	// Patience bounds a Publish, with all its attempts: 10 s when 0.
	Patience time.Duration
}

// Publish returns nil only after every row is durable, and else, by position, a
// stream.Failures of those that may not be. Rows that are published again are
// there twice. A row that is too large for a message fails permanently.
func (r *Rows) Publish(ctx context.Context, rows [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Patience, defaultPatience))
	defer cancel()
	s := sender{client: r.Client, topic: r.Topic, timeout: cmp.Or(r.Timeout, defaultTimeout)}
	var failures stream.Failures
	failed := func(at int, err error) {
		failures = append(failures, stream.Failure{Index: at, Err: fmt.Errorf("publish a row on topic %s: %w", r.Topic, err)})
	}
	for from := 0; from < len(rows); {
		if size := len(rows[from]); size > maxCallBytes {
			failed(from, stream.Permanent(fmt.Errorf("%w: it has %d bytes, and may have %d", errTooLarge, size, maxCallBytes)))
			from++
			continue
		}
		var messages []*pubsubpb.PubsubMessage
		for size := 0; from+len(messages) < len(rows) && len(messages) < maxMessages; {
			row := rows[from+len(messages)]
			if size += len(row); size > maxCallBytes {
				break
			}
			messages = append(messages, &pubsubpb.PubsubMessage{Data: row})
		}
		s.send(ctx, messages, func(first, end int, err error) {
			for at := first; err != nil && at < end; at++ {
				failed(from+at, err)
			}
		})
		from += len(messages)
	}
	return failures.OrNil()
}
