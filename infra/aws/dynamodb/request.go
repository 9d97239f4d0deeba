package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/hitolayer/hito/infra/aws/retry"
)

// withDefaults returns how a request is repeated: a write answers within some
// 10 ms, so that pauses begin there, and an answer that has not come in 5 s is
// asked for again.
func withDefaults(c retry.Call) retry.Call {
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Backoff.Base <= 0 {
		c.Backoff.Base = 20 * time.Millisecond
	}
	if c.Backoff.Most <= 0 {
		c.Backoff.Most = time.Second
	}
	return c
}

// do calls request until it succeeds, fails for good or ctx leaves no time. It
// comes back at once after a first failure that says nothing of the service's
// state: what may have been written is better found soon.
func (t *table) do(ctx context.Context, request func(ctx context.Context) error) error {
	for failed := 1; ; failed++ {
		err := t.retry.Once(ctx, request)
		if err == nil {
			return nil
		}
		kind := kindOf(err)
		if kind == retry.Never || ctx.Err() != nil {
			return err
		}
		if failed == 1 && kind == retry.Failure {
			continue
		}
		if end := t.retry.Backoff.Wait(ctx, failed); end != nil {
			return fmt.Errorf("after %d attempts, %w: %w", failed, end, retry.Named(err))
		}
	}
}

// passing are the reasons of cancelled transactions that pass.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
var passing = []string{"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}

// kindOf is retry.KindOf of the errors that are DynamoDB's own: what was
// cancelled only because others write the same items is not wrong.
func kindOf(err error) retry.Kind {
	if cancelled, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		kind := retry.Never
		for _, reason := range cancelled.CancellationReasons {
			switch code := aws.ToString(reason.Code); {
			case code == conditionFailed:
				return retry.Never // whoever asked must decide
			case slices.Contains(passing, code):
				kind = retry.Throttle
			}
		}
		return kind
	}
	_, conflict := errors.AsType[*types.TransactionConflictException](err)
	_, underWay := errors.AsType[*types.TransactionInProgressException](err)
	_, replicated := errors.AsType[*types.ReplicatedWriteConflictException](err)
	if conflict || underWay || replicated {
		return retry.Throttle
	}
	return retry.KindOf(err)
}

// conditionFailed is the reason of a transaction cancelled by a condition.
const conditionFailed = "ConditionalCheckFailed"

// failedConditions returns the positions of a cancelled transaction's writes
// whose condition failed, nil when it failed for another reason.
func failedConditions(err error) []int {
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return nil
	}
	var at []int
	for i, reason := range cancelled.CancellationReasons {
		if aws.ToString(reason.Code) == conditionFailed {
			at = append(at, i)
		}
	}
	return at
}

// parallel calls do with 0 to n-1, so many at a time, and returns the joined
// errors. After an error it begins no more.
func parallel(n, workers int, do func(i int) error) error {
	if n == 1 {
		return do(0)
	}
	var (
		wg     sync.WaitGroup
		next   atomic.Int64
		failed atomic.Bool
		mu     sync.Mutex
		errs   []error
	)
	for range min(n, workers) {
		wg.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					failed.Store(true)
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(errs) > 1 {
		return fmt.Errorf("%w (and %d more)", errs[0], len(errs)-1)
	}
	return errors.Join(errs...)
}
