package failover

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

// asks publishes and reports which streams were asked.
func (p *pair) asks(t *testing.T) (own, other bool) {
	t.Helper()
	mine, theirs := p.own.calls(), p.other.calls()
	if err := p.Publish(t.Context(), records("r", 1)); err != nil {
		t.Error(err)
	}
	return p.own.calls() > mine, p.other.calls() > theirs
}

// expect publishes n times, and checks who is asked.
func (p *pair) expect(t *testing.T, n int, what string, own, other bool) {
	t.Helper()
	for i := range n {
		if mine, theirs := p.asks(t); mine != own || theirs != other {
			t.Fatalf("%s, Publish %d: own asked %v, other %v; want %v, %v", what, i, mine, theirs, own, other)
		}
	}
}

func TestGivesUpAndComesBack(t *testing.T) {
	for name, bad := range map[string]act{
		"refuses": {all: errOwn},
		"is slow": {after: 310 * ms},
		"hangs":   {after: ever},
		"panics":  {panic: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now atomic.Pointer[act]
				now.Store(&bad)
				p := newPair(t, func(int) act { return *now.Load() }, always(act{after: 20 * ms}))
				p.expect(t, 5, "not given up yet", true, true)
				begin := time.Now()
				p.expect(t, 100, "given up", false, true)
				if took := time.Since(begin); took != 100*20*ms {
					t.Errorf("took %v though the own stream is given up", took)
				}
				if n := p.metrics["stream_given_up"]; n != 100 {
					t.Errorf("stream_given_up is %v", n)
				}
				time.Sleep(4900*ms - time.Since(begin))
				p.expect(t, 1, "at the end of the pause", false, true)
				time.Sleep(100 * ms)
				p.expect(t, 1, "tried", true, true)
				p.expect(t, 10, "given up again", false, true)

				now.Store(&act{after: 10 * ms})
				time.Sleep(5 * time.Second)
				p.expect(t, 10, "back", true, false)
				now.Store(&bad)
				p.expect(t, 5, "not given up yet, again", true, true)
				p.expect(t, 1, "given up, again", false, true)
			})
		})
	}
}

// TestOneTries: of many at a time, when the pause is over.
func TestOneTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, always(act{after: 50 * ms, all: errOwn}), always(act{after: 20 * ms}))
		p.expect(t, 5, "not given up yet", true, true)
		time.Sleep(6 * time.Second)
		before := p.own.calls()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := p.Publish(t.Context(), records("r", 1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := p.own.calls() - before; n != 1 {
			t.Errorf("%d tried", n)
		}
	})
}

// TestWhoLeavesIsNoJudge: callers that go away before Hedge say nothing of the
// stream, and do not keep others from trying it.
func TestWhoLeavesIsNoJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Pointer[act]
		now.Store(&act{after: 200 * ms})
		p := newPair(t, func(int) act { return *now.Load() }, nil)
		leave := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
			defer cancel()
			if err := p.Publish(ctx, records("r", 1)); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		for range 20 {
			leave()
		}
		p.expect(t, 1, "left often", true, false)

		now.Store(&act{all: errOwn})
		p.expect(t, 4, "not given up yet", true, true) // of five answers
		now.Store(&act{after: 200 * ms})
		time.Sleep(6 * time.Second)
		leave()
		p.expect(t, 2, "left while it was tried", true, false)
	})
}

func TestWhatIsGivenUpFor(t *testing.T) {
	good, no := act{}, act{all: errOwn}
	someBad, someNot := act{some: map[string]error{"r0": errBad}}, act{some: map[string]error{"r0": errOwn}}
	for name, c := range map[string]struct {
		answers []act
		gap     time.Duration
		givenUp bool
	}{
		"four in a row":                    {[]act{no, no, no, no}, 0, false},
		"five in a row, after many good":   {append(repeated(good, 100), repeated(no, 5)...), 0, true},
		"every other":                      {[]act{good, no, good, no, good, no}, 0, true},
		"one of three":                     {[]act{good, good, no, good, good, no, good, good, no}, 0, false},
		"half of few":                      {[]act{no, good, no, good}, 0, false},
		"every other, over a long time":    {[]act{good, no, good, no, good, no}, 4 * time.Second, false},
		"records that it will never take":  {repeated(someBad, 20), 0, false},
		"records that it does not take":    {repeated(someNot, 5), 0, true},
		"a whole batch it will never take": {repeated(act{all: errBad}, 5), 0, true}, // which names no record
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, func(n int) act {
					if n < len(c.answers) {
						return c.answers[n]
					}
					return act{}
				}, nil)
				for range c.answers {
					time.Sleep(c.gap)
					p.asks(t)
				}
				if own, _ := p.asks(t); own == c.givenUp {
					t.Errorf("given up: %v, want %v", !own, c.givenUp)
				}
			})
		})
	}
}

func repeated(a act, n int) []act {
	all := make([]act, n)
	for i := range all {
		all[i] = a
	}
	return all
}

// TestGivenUpIsAskedAllTheSame: when the other refuses, or is slow.
func TestGivenUpIsAskedAllTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		own, other act
		took       time.Duration
		refused    bool
		hedged     float64
	}{
		"other refuses":      {act{}, act{all: errOther}, 0, false, 0},
		"other refuses some": {act{}, act{some: map[string]error{"r1": errOther}}, 0, false, 0},
		"other is slow":      {act{after: 10 * ms}, act{after: ever}, 310 * ms, false, 1},
		"both refuse":        {act{after: 5 * ms, all: errOwn}, act{after: 5 * ms, all: errOther}, 10 * ms, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t,
					func(n int) act {
						if n < 5 {
							return act{all: errOwn}
						}
						return c.own
					}, func(n int) act {
						if n < 5 {
							return act{}
						}
						return c.other
					})
				p.expect(t, 5, "not given up yet", true, true)
				p.metrics = map[string]float64{}
				begin := time.Now()
				err := p.Publish(t.Context(), records("r", 4))
				if failures, _ := err.(stream.Failures); (len(failures) == 4) != c.refused || err != nil && !c.refused {
					t.Errorf("got %v", err)
				}
				if took := time.Since(begin); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if p.own.calls() != 6 || p.metrics["stream_given_up"] != 1 || p.metrics["publish_hedged"] != c.hedged {
					t.Errorf("own was asked %d times; measured %v", p.own.calls(), p.metrics)
				}
			})
		})
	}
}
