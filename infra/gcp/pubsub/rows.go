package pubsub

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/hitolayer/hito/infra/gcp/pubsub/publish"
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
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Patience, publish.DefaultPatience))
	defer cancel()
	s := publish.Sender{Call: call(r.Client, r.Topic), KindOf: kindOf, Timeout: cmp.Or(r.Timeout, publish.DefaultTimeout)}
	var failures stream.Failures
	failed := func(at int, err error) {
		failures = append(failures, stream.Failure{Index: at, Err: fmt.Errorf("publish a row on topic %s: %w", r.Topic, err)})
	}
	for from := 0; from < len(rows); {
		if size := len(rows[from]); size > publish.MaxBytes {
			failed(from, stream.Permanent(fmt.Errorf("%w: it has %d bytes, and may have %d", publish.ErrTooLarge, size, publish.MaxBytes)))
			from++
			continue
		}
		var messages []publish.Message
		for size := 0; from+len(messages) < len(rows) && len(messages) < publish.MaxMessages; {
			row := rows[from+len(messages)]
			if size += len(row); size > publish.MaxBytes {
				break
			}
			messages = append(messages, publish.Message{Data: row})
		}
		s.Send(ctx, messages, func(first, end int, err error) {
			for at := first; err != nil && at < end; at++ {
				failed(from+at, err)
			}
		})
		from += len(messages)
	}
	return failures.OrNil()
}
