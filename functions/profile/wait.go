package profile

import (
	"context"
	"fmt"
	"time"
)

// maxWait bounds ?timeout=.
const maxWait = 10 * time.Second

// The polls of a waiting request: the first pause, doubled up to the last.
const (
	firstPoll = 5 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

var errTimeout = fmt.Errorf("timeout must be a duration from 0s to %v, such as 500ms or 2s", maxWait)

// parseTimeout reads ?timeout=, which is otherwise when absent.
func parseTimeout(text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, errTimeout
	}
	return d, nil
}

// poll asks until done says true, it fails or the timeout has passed: at the
// begin, then in growing pauses, and once more at the end. Not done in time is
// false without an error.
func (h *Handler) poll(ctx context.Context, timeout time.Duration, done func() (bool, error)) (bool, error) {
	end := time.NewTimer(timeout)
	defer end.Stop()
	last := false
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		if ok, err := done(); ok || err != nil || last {
			return ok, err
		}
		select {
		// Half to all of the pause, so that many who wait for one batch spread.
		case <-time.After(pause/2 + time.Duration(h.jitter()*float64(pause/2))):
		case <-end.C:
			last = true
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}
