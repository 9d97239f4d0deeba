// Package backoff waits between the attempts of a call, whatever is called.
package backoff

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

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
