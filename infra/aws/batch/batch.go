// Package batch sends many messages in calls that take only so many each, tries
// again what a call did not take, and says of every message what became of it.
// Kinesis and SQS differ in little else.
package batch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hitolayer/hito/infra/aws/retry"
)

// Refusal is a message that a call did not take.
type Refusal struct {
	// Index is the message's position in the call.
	Index int
	// Err says why, and so (retry.KindOf) whether to try again.
	Err error
}

// Sender sends messages. All its fields but Retry must be set.
type Sender[M any] struct {
	// Call makes one call and names the messages it did not take. An error says
	// that it may have taken none. Calls go on at the same time.
	Call func(ctx context.Context, messages []M) ([]Refusal, error)
	// Size returns how much of MaxBytes a message takes.
	Size func(*M) int
	// MaxMessages and MaxBytes bound a call. A message that is larger goes alone.
	MaxMessages, MaxBytes int
	// Parallel is how many calls go on at the same time, at most.
	Parallel int
	// Retry is how calls are tried again, as long as ctx allows.
	Retry retry.Call
}

// Send sends messages and returns when it is known of each what became of it:
// nil when all were taken, else by position the errors of those that may not
// have been, nil for the others. It reads messages, and leaves them as they are.
func (s *Sender[M]) Send(ctx context.Context, messages []M) []error {
	var out outcome
	var calls []int // where each begins
	for from := 0; from < len(messages); from = s.end(messages, from) {
		calls = append(calls, from)
	}
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(calls) {
				return
			}
			end := len(messages)
			if i+1 < len(calls) {
				end = calls[i+1]
			}
			s.send(ctx, messages[calls[i]:end], func(at int, err error) {
				out.set(len(messages), calls[i]+at, err)
			})
		}
	}
	var others sync.WaitGroup
	for range min(s.Parallel, len(calls)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return out.errs
}

// end returns where the call ends that begins at from.
func (s *Sender[M]) end(messages []M, from int) int {
	size := 0
	for i := from; i < len(messages); i++ {
		size += s.Size(&messages[i])
		if i > from && (size > s.MaxBytes || i-from >= s.MaxMessages) {
			return i
		}
	}
	return len(messages)
}

// send sends what one call takes, and tells failed what it may not have sent.
func (s *Sender[M]) send(ctx context.Context, messages []M, failed func(at int, err error)) {
	var at []int // where messages are in the call, once some are sent
	position := func(i int) int {
		if at == nil {
			return i
		}
		return at[i]
	}
	for attempt := 1; ; attempt++ {
		var refused []Refusal
		err := s.Retry.Once(ctx, func(ctx context.Context) (err error) {
			refused, err = s.Call(ctx, messages)
			return err
		})
		if err != nil {
			refused = make([]Refusal, len(messages))
			for i := range refused {
				refused[i] = Refusal{Index: i, Err: err}
			}
		}
		again := refused[:0]
		for _, r := range refused {
			if retry.KindOf(r.Err) == retry.Never {
				failed(position(r.Index), r.Err)
			} else {
				again = append(again, r)
			}
		}
		if len(again) == 0 {
			return
		}
		if end := s.Retry.Backoff.Wait(ctx, attempt); end != nil {
			for _, r := range again {
				failed(position(r.Index), fmt.Errorf("after %d attempts, %w: %w", attempt, end, retry.Named(r.Err)))
			}
			return
		}
		if len(again) < len(messages) {
			left, where := make([]M, len(again)), make([]int, len(again))
			for i, r := range again {
				left[i], where[i] = messages[r.Index], position(r.Index)
			}
			messages, at = left, where
		}
	}
}

// outcome collects errors by position.
type outcome struct {
	mu   sync.Mutex
	errs []error
}

func (o *outcome) set(n, at int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.errs == nil {
		o.errs = make([]error, n)
	}
	o.errs[at] = err
}
