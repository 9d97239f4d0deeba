// Package retry says of an error of AWS whether another attempt makes sense, and
// waits until it does. Adapters retry themselves, and not the SDK for them, where
// a call can fail in parts, or where their caller must learn that it is throttled.
package retry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/backoff"
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

// Backoff is how long to wait between attempts.
type Backoff = backoff.Backoff

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
