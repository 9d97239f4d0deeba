// Package bigtable keeps what hito knows in one table of Google's Bigtable.
//
// A row's key begins with four hexadecimal digits of a hash of what it is about,
// so that neighbours in time or name do not meet on one node, and a part of
// everybody is a range of keys. Every write depends on what is stored: the
// client's app profile must route to a single cluster.
package bigtable

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/bigtable"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hitolayer/hito/infra/backoff"
)

// fragments is the family of fragments.
const fragments = "f"

// bookedAge is how long a booked id is known: longer than a message can come
// again, which Pub/Sub keeps for up to 31 days.
const bookedAge = 40 * 24 * time.Hour

// Schema is the families of the table, and what Bigtable may remove of them.
func Schema() map[string]bigtable.Family {
	return map[string]bigtable.Family{
		fragments: {GCPolicy: bigtable.MaxVersionsPolicy(1)},
		sums:      {GCPolicy: bigtable.NoGcPolicy(), ValueType: bigtable.AggregateType{Input: bigtable.Int64Type{}, Aggregator: bigtable.SumAggregator{}}},
		booked:    {GCPolicy: bigtable.MaxAgePolicy(bookedAge)},
		entries:   {GCPolicy: bigtable.MaxAgePolicy(entriesAge)},
	}
}

// attemptTime bounds one attempt of a write: a node that moves is silent for a while.
const attemptTime = 5 * time.Second

// again says whether a write may succeed in another attempt. All but what was
// refused may have been done all the same.
func again(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted, codes.Internal:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// between is the wait between the attempts of a write.
var between = backoff.Backoff{Base: 20 * time.Millisecond, Most: time.Second}

// apply writes until it is done: what it writes is the same each time.
func apply(ctx context.Context, table *bigtable.Table, key string, m *bigtable.Mutation, opts ...bigtable.ApplyOption) error {
	for failed := 1; ; failed++ {
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		err := table.Apply(attempt, key, m, opts...)
		cancel()
		if err == nil {
			return nil
		}
		if !again(err) || ctx.Err() != nil {
			return err
		}
		if end := between.Wait(ctx, failed); end != nil {
			return fmt.Errorf("after %d attempts, %w: %w", failed, end, err)
		}
	}
}
