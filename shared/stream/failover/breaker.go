package failover

import (
	"cmp"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/hitolayer/hito/shared/stream"
)

// Breaker is when a stream is given up, and for how long.
type Breaker struct {
	// Window is how far back answers count: 10 s when 0.
	Window time.Duration
	// Least is how many of them it takes to judge: 5 when 0. So many bad ones in a
	// row give the stream up, however many good ones came before.
	Least int
	// Share of bad answers among those in Window gives the stream up: 0.5 when 0.
	Share float64
	// Pause is for how long it is given up. Then one Publish tries it again, with
	// Hedge to wait for it at most: a good answer, and it is as before. 5 s when 0.
	Pause time.Duration
}

// buckets divide Window, for answers to leave it by and by.
const buckets = 10

func (b Breaker) settings() gobreaker.Settings {
	window := cmp.Or(b.Window, 10*time.Second)
	least := uint32(cmp.Or(b.Least, 5))
	share := cmp.Or(b.Share, 0.5)
	return gobreaker.Settings{
		MaxRequests: 1, Interval: window, BucketPeriod: max(window/buckets, 1), Timeout: cmp.Or(b.Pause, 5*time.Second),
		ReadyToTrip: func(c gobreaker.Counts) bool {
			answers := c.TotalSuccesses + c.TotalFailures // Requests has those under way too
			return c.ConsecutiveFailures >= least || answers >= least && float64(c.TotalFailures) >= share*float64(answers)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errUnknown) },
	}
}

var (
	errSlow = errors.New("no answer in time")
	// errUnknown is the verdict on a stream that was not let finish in its time.
	errUnknown = errors.New("ended before it could answer")
)

// verdict is what an answer says of the stream: nil for a good one.
func verdict(err error, took, hedge time.Duration, ended bool) error {
	switch {
	case took >= hedge:
		return errSlow
	case err == nil || onlyBadRecords(err):
		return nil
	case ended:
		return errUnknown
	}
	return err
}

// onlyBadRecords reports whether a stream did what it should with records of
// which it will never take some.
func onlyBadRecords(err error) bool {
	failures, ok := err.(stream.Failures)
	for _, f := range failures {
		ok = ok && stream.IsPermanent(f.Err)
	}
	return ok && len(failures) > 0
}
