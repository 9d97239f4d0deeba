package pubsub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a request takes: 1,000 messages and 10 MB, of which a tenth is left for
// what stands around the data. https://cloud.google.com/pubsub/quotas#resource_limits
const (
	maxMessages  = 1000
	maxCallBytes = 9_000_000
)

// sender makes requests that publish on a topic. It uses the generated client:
// the SDK's Publisher collects messages behind timers, and keeps goroutines of its own.
type sender struct {
	client  *pubsub.Client
	topic   string
	timeout time.Duration // of one attempt
}

// send publishes what one request carries, and tells of each run of messages what
// became of it: nil when it was published. When Pub/Sub refuses a message, and the
// whole request with it, the others go without it.
func (s *sender) send(ctx context.Context, messages []*pubsubpb.PubsubMessage, done func(from, to int, err error)) {
	s.sendFrom(ctx, messages, 0, done)
}

func (s *sender) sendFrom(ctx context.Context, messages []*pubsubpb.PubsubMessage, from int, done func(from, to int, err error)) {
	if len(messages) == 0 {
		return
	}
	err := s.publish(ctx, messages)
	if half := len(messages) / 2; half > 0 && status.Code(err) == codes.InvalidArgument {
		s.sendFrom(ctx, messages[:half], from, done)
		s.sendFrom(ctx, messages[half:], from+half, done)
		return
	}
	done(from, from+len(messages), err)
}

// publish makes a request until it succeeds, fails for good, or ctx leaves no time.
func (s *sender) publish(ctx context.Context, messages []*pubsubpb.PubsubMessage) error {
	for failed := 1; ; failed++ {
		err := s.once(ctx, messages)
		if err == nil {
			return nil
		}
		if !again(err) || ctx.Err() != nil {
			return err
		}
		if end := wait(ctx, failed); end != nil {
			return fmt.Errorf("after %d attempts, %w: %w", failed, end, err)
		}
	}
}

var errShortAnswer = errors.New("the answer does not say what became of every message")

// never keeps the SDK from trying again itself: its attempts would multiply with ours.
func never() gax.Retryer { return nil }

// once makes one attempt.
func (s *sender) once(ctx context.Context, messages []*pubsubpb.PubsubMessage) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	out, err := s.client.TopicAdminClient.Publish(ctx, &pubsubpb.PublishRequest{Topic: s.topic, Messages: messages}, gax.WithRetry(never))
	if err == nil && len(out.GetMessageIds()) != len(messages) {
		return errShortAnswer
	}
	return err
}

// again says whether a request may succeed in another attempt: when it failed with
// what Google's own clients try again on. It may have succeeded all the same.
// https://cloud.google.com/pubsub/docs/retry-requests
func again(err error) bool {
	switch status.Code(err) {
	case codes.Aborted, codes.Canceled, codes.Internal, codes.ResourceExhausted, codes.Unknown, codes.Unavailable, codes.DeadlineExceeded:
		return true
	}
	return false
}

// wait waits after so many failed attempts, between half and all of what doubling
// from 100 ms to 2 s gives. It returns an error, and at once, when ctx leaves no time.
func wait(ctx context.Context, failed int) error {
	d := min(100*time.Millisecond<<min(failed-1, 16), 2*time.Second)
	d = d/2 + rand.N(d/2)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return fmt.Errorf("no time for another attempt: %w", context.DeadlineExceeded)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
