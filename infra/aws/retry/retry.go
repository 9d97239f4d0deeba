// Package retry says of an error of AWS whether another attempt makes sense, and
// waits until it does. Adapters retry themselves, and not the SDK for them, where
// a call can fail in parts, or where their caller must learn that it is throttled.
package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// ErrThrottled is in the chain of errors that say: not wrong, only too much at a time.
var ErrThrottled = errors.New("throttled")

// Kind is what an error says about another attempt.
type Kind int

const (
	// Never says that another attempt ends like this one.
	Never Kind = iota
	// Failure says that something broke on the way, and may not the next time.
	Failure
	// Throttle says that the service takes no more just now.
	Throttle
)

// throttles and failures are codes that the SDK's own lists lack.
var (
	throttles = map[string]bool{
		"KMSThrottlingException": true, "KmsThrottled": true, "KMS.ThrottlingException": true, // by Kinesis, by SQS, by SQS of an entry
		"OverLimit": true,
	}
	failures = map[string]bool{
		"InternalFailure": true, "InternalFailureException": true, "InternalServerError": true, "InternalError": true,
		"ServiceUnavailable": true, "ServiceUnavailableException": true,
	}
)

// KindOf says what err says about another attempt. A call that ran out of its
// own time may be tried again; whether its caller still has time is the caller's to know.
func KindOf(err error) Kind {
	if errors.Is(err, ErrThrottled) {
		return Throttle
	}
	api, isAPI := errors.AsType[smithy.APIError](err)
	if isAPI && throttles[api.ErrorCode()] ||
		sdkretry.IsErrorThrottles(sdkretry.DefaultThrottles).IsErrorThrottle(err) == sdk.TrueTernary {
		return Throttle
	}
	if status, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		switch code := status.HTTPStatusCode(); {
		case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
			return Throttle
		case code >= http.StatusInternalServerError || code == http.StatusRequestTimeout:
			return Failure
		}
	}
	if isAPI {
		if failures[api.ErrorCode()] || api.ErrorFault() == smithy.FaultServer ||
			sdkretry.IsErrorRetryables(sdkretry.DefaultRetryables).IsErrorRetryable(err) == sdk.TrueTernary {
			return Failure
		}
		return Never
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Failure
	}
	if errors.Is(err, context.Canceled) {
		return Never
	}
	if _, unread := errors.AsType[*smithy.DeserializationError](err); unread {
		return Failure // an answer that was cut short: what was asked for may have been done
	}
	if sdkretry.IsErrorRetryables(sdkretry.DefaultRetryables).IsErrorRetryable(err) == sdk.TrueTernary {
		return Failure
	}
	return Never
}

// Named returns err with ErrThrottled in its chain when it says that.
func Named(err error) error {
	if err == nil || KindOf(err) != Throttle || errors.Is(err, ErrThrottled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrThrottled, err)
}

// Backoff is how long to wait between attempts: twice as long each time, and a
// random part of it less, so that those throttled together do not come back together.
type Backoff struct {
	// Base is the longest wait before the second attempt, 100 ms when 0; Most the
	// longest of all, 2 s when 0.
	Base, Most time.Duration
	// Jitter returns a random number from 0 up to 1, rand.Float64 when nil.
	Jitter func() float64
}

// Delay returns the wait after so many failed attempts, from 1: between half and
// all of what doubling gives.
func (b Backoff) Delay(failed int) time.Duration {
	base, most, jitter := b.Base, b.Most, b.Jitter
	if base <= 0 {
		base = 100 * time.Millisecond
	}
	if most <= 0 {
		most = 2 * time.Second
	}
	if jitter == nil {
		jitter = rand.Float64
	}
	d := min(base<<min(max(failed-1, 0), 16), max(most, base))
	return d/2 + time.Duration(jitter()*float64(d-d/2))
}

// Wait waits after so many failed attempts. It returns an error, and at once,
// when ctx ends or would end before the wait is over: what time is left is the caller's.
func (b Backoff) Wait(ctx context.Context, failed int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d := b.Delay(failed)
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

// Call is a call that is tried until it succeeds.
type Call struct {
	Backoff Backoff
	// Timeout bounds one attempt; 0 leaves it to ctx.
	Timeout time.Duration
}

// Do calls f until it succeeds, fails for good, or ctx leaves no time. The error
// is f's last one, with ErrThrottled in its chain when that is what it was.
func (c Call) Do(ctx context.Context, f func(context.Context) error) error {
	for failed := 1; ; failed++ {
		err := c.Once(ctx, f)
		if err == nil {
			return nil
		}
		if KindOf(err) == Never || ctx.Err() != nil {
			return err
		}
		if end := c.Backoff.Wait(ctx, failed); end != nil {
			return fmt.Errorf("after %d attempts, %w: %w", failed, end, Named(err))
		}
	}
}

// Once calls f once, for as long as one attempt may take.
func (c Call) Once(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	return f(ctx)
}
