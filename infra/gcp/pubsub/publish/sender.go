package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/hitolayer/hito/infra/backoff"
)

// What a request takes: 1,000 messages and 10 MB, of which a tenth is left for
// what stands around the data. https://cloud.google.com/pubsub/quotas#resource_limits
const (
	MaxMessages = 1000
	MaxBytes    = 9_000_000
)

// Message is a message of Pub/Sub's.
type Message struct {
	Data       []byte
	Attributes map[string]string
}

// Kind is what the error of a request says about another one.
type Kind int

const (
	// Never says that the same request will end like this one.
	Never Kind = iota
	// Again says that another attempt may succeed. This one may have as well.
	Again
	// Invalid says that a message of the request is not taken, and so none was.
	Invalid
)

// Sender makes requests that publish on a topic. Its fields must be set.
type Sender struct {
	// Call makes one attempt of a request. It returns nil only after every message is durable.
	Call func(ctx context.Context, messages []Message) error
	// KindOf says of an error of Call whether another attempt makes sense.
	KindOf func(error) Kind
	// Timeout bounds one attempt.
	Timeout time.Duration
}

// Send publishes what one request carries, and tells of each run of messages what
// became of it: nil when it was published. When Pub/Sub refuses a message, and the
// whole request with it, the others go without it.
func (s *Sender) Send(ctx context.Context, messages []Message, done func(from, to int, err error)) {
	s.sendFrom(ctx, messages, 0, done)
}

func (s *Sender) sendFrom(ctx context.Context, messages []Message, from int, done func(from, to int, err error)) {
	if len(messages) == 0 {
		return
	}
	err := s.publish(ctx, messages)
	if half := len(messages) / 2; half > 0 && err != nil && s.KindOf(err) == Invalid {
		s.sendFrom(ctx, messages[:half], from, done)
		s.sendFrom(ctx, messages[half:], from+half, done)
		return
	}
	done(from, from+len(messages), err)
}

// publish makes a request until it succeeds, fails for good, or ctx leaves no time.
func (s *Sender) publish(ctx context.Context, messages []Message) error {
	for failed := 1; ; failed++ {
		err := s.once(ctx, messages)
		if err == nil {
			return nil
		}
		if s.KindOf(err) != Again || ctx.Err() != nil {
			return err
		}
		if end := (backoff.Backoff{}).Wait(ctx, failed); end != nil {
			return fmt.Errorf("after %d attempts, %w: %w", failed, end, err)
		}
	}
}

// once makes one attempt.
func (s *Sender) once(ctx context.Context, messages []Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	return s.Call(ctx, messages)
}
