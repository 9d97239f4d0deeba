package failover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

const (
	ms   = time.Millisecond
	ever = time.Hour // longer than anybody waits
)

// want is what a Publish of the records r0 to r3 comes to.
type want struct {
	took       time.Duration
	own, other []string         // which records they were asked for; nil for not at all
	failed     map[int][]string // by position, what the error says
	metrics    map[string]float64
	log        string // what is said of why
}

var all = []string{"r0", "r1", "r2", "r3"}

func none(says ...string) map[int][]string {
	return map[int][]string{0: says, 1: says, 2: says, 3: says}
}

func TestPublish(t *testing.T) {
	took := func(events float64) map[string]float64 {
		return map[string]float64{"events_failed_over": events, "publish_hedged": 0, "stream_given_up": 0}
	}
	hedged := func(events float64) map[string]float64 {
		return map[string]float64{"events_failed_over": events, "publish_hedged": 1, "stream_given_up": 0}
	}
	for name, c := range map[string]struct {
		own, other act
		want       want
	}{
		"own takes it": {
			act{after: 10 * ms}, act{},
			want{took: 10 * ms, own: all},
		},
		"own takes it just in time": {
			act{after: 299 * ms}, act{},
			want{took: 299 * ms, own: all},
		},
		"own refuses": {
			act{after: 10 * ms, all: errOwn}, act{after: 20 * ms},
			want{took: 30 * ms, own: all, other: all, metrics: took(8), log: "own is full"},
		},
		"own refuses some": {
			act{some: map[string]error{"r1": errOwn, "r3": errOwn}}, act{after: 20 * ms},
			want{took: 20 * ms, own: all, other: []string{"r1", "r3"}, metrics: took(4), log: "own is full"},
		},
		"each refuses some": {
			act{some: map[string]error{"r1": errOwn, "r3": errOwn}}, act{some: map[string]error{"r3": errOther}},
			want{own: all, other: []string{"r1", "r3"}, failed: map[int][]string{3: {"own stream: own is full", "other cloud's stream: other is full"}}, metrics: took(2)},
		},
		"own refuses some, other all": {
			act{some: map[string]error{"r2": errOwn}}, act{all: errOther},
			want{own: all, other: []string{"r2"}, failed: map[int][]string{2: {"own is full", "other is full"}}},
		},
		"both refuse": {
			act{after: 10 * ms, all: errOwn}, act{after: 20 * ms, all: errOther},
			want{took: 30 * ms, own: all, other: all, failed: none("own stream: own is full", "other cloud's stream: other is full")},
		},
		"own is slow": {
			act{after: ever}, act{after: 20 * ms},
			want{took: 320 * ms, own: all, other: all, metrics: hedged(8), log: "did not answer in 300ms"},
		},
		"own is slow, and first": {
			act{after: 310 * ms}, act{after: 20 * ms},
			want{took: 310 * ms, own: all, other: all, metrics: hedged(0)},
		},
		"own is slow, other refuses": {
			act{after: 900 * ms}, act{after: 20 * ms, all: errOther},
			want{took: 900 * ms, own: all, other: all, metrics: hedged(0)},
		},
		"own is slow and refuses, other is slower": {
			act{after: 900 * ms, all: errOwn}, act{after: 900 * ms},
			want{took: 1200 * ms, own: all, other: all, metrics: hedged(8), log: "did not answer in 300ms"},
		},
		"both are slow, and refuse": {
			act{after: 900 * ms, all: errOwn}, act{after: 200 * ms, all: errOther},
			want{took: 900 * ms, own: all, other: all, failed: none("own is full", "other is full"), metrics: hedged(0)},
		},
		"both are slow, and refuse some": {
			act{after: 900 * ms, some: map[string]error{"r0": errOwn, "r1": errOwn}}, act{after: 200 * ms, some: map[string]error{"r1": errOther, "r2": errOther}},
			want{took: 900 * ms, own: all, other: all, failed: map[int][]string{1: {"own is full", "other is full"}}, metrics: hedged(4)},
		},
		"what is bad for one may do for the other": {
			act{some: map[string]error{"r0": errBad, "r2": errOwn}}, act{},
			want{own: all, other: []string{"r0", "r2"}, metrics: took(4), log: "too large"},
		},
		"what is bad for both": {
			act{some: map[string]error{"r0": errBad}}, act{some: map[string]error{"r0": errBad}},
			want{own: all, other: []string{"r0"}, failed: map[int][]string{0: {"own stream: too large", "other cloud's stream: too large"}}},
		},
		"own panics": {
			act{panic: true}, act{},
			want{own: all, other: all, metrics: took(8), log: "panic: poison"},
		},
		"an answer by unknown positions": {
			act{all: stream.Failures{{Index: 1, Err: errOwn}, {Index: 4, Err: errOwn}}}, act{},
			want{own: all, other: all, metrics: took(8), log: "own is full"},
		},
		"an answer that names nothing": {
			act{all: stream.Failures{}}, act{},
			want{own: all, other: all, metrics: took(8)},
		},
		"positions of another batch": {
			act{all: fmt.Errorf("actions: %w", stream.Failures{{Index: 1, Err: errOwn}})}, act{},
			want{own: all, other: all, metrics: took(8), log: "own is full"},
		},
		"a refusal without a reason": {
			act{lost: true, all: stream.Failures{{Index: 1}}}, act{all: errOther},
			want{own: all, other: []string{"r1"}, failed: map[int][]string{1: {"without a reason", "other is full"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, always(c.own), always(c.other))
				begin := time.Now()
				err := p.Publish(t.Context(), records("r", 4))
				if took := time.Since(begin); took != c.want.took {
					t.Errorf("took %v, want %v", took, c.want.took)
				}
				checkAsked(t, "own", p.own, c.want.own)
				checkAsked(t, "other", p.other, c.want.other)
				checkFailures(t, err, c.want.failed)
				if err == nil && c.want.metrics == nil && p.emitted > 0 || c.want.metrics != nil && !maps.Equal(p.metrics, c.want.metrics) {
					t.Errorf("measured %v, want %v", p.metrics, c.want.metrics)
				}
				if log := strings.Join(p.logged, "\n"); !strings.Contains(log, c.want.log) || (len(p.logged) > 0) != (err == nil && p.metrics["events_failed_over"] > 0) {
					t.Errorf("logged %q, want %q", log, c.want.log)
				}
				for i, name := range all {
					if c.want.failed[i] == nil && !p.own.has(name) && !p.other.has(name) {
						t.Errorf("%s is nowhere", name)
					}
				}
			})
		})
	}
}

func checkAsked(t *testing.T, name string, c *cloud, want []string) {
	t.Helper()
	if n := c.busy.Load(); n != 0 {
		t.Errorf("%s still publishes", name)
	}
	if want == nil && len(c.asked) > 0 || want != nil && (len(c.asked) != 1 || !slices.Equal(c.asked[0], want)) {
		t.Errorf("%s was asked for %v, want %v", name, c.asked, want)
	}
}

func checkFailures(t *testing.T, err error, want map[int][]string) {
	t.Helper()
	failures, ok := err.(stream.Failures)
	if ok != (len(want) > 0) || len(failures) != len(want) || err != nil && !ok {
		t.Fatalf("%v, want failures %v", err, want)
	}
	last := -1
	for _, f := range failures {
		if want[f.Index] == nil || f.Index <= last {
			t.Errorf("record %d failed, out of order or unexpectedly: %v", f.Index, f.Err)
		}
		last = f.Index
		for _, says := range want[f.Index] {
			if !strings.Contains(f.Err.Error(), says) {
				t.Errorf("record %d: %v, want it to say %q", f.Index, f.Err, says)
			}
		}
	}
}

func TestErrorsKeepWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := map[string]error{"r0": errBad}
		later := act{after: 400 * ms, all: stream.Failures{{Index: 0, Err: errBad}}}
		for _, c := range []struct {
			own, other act
			permanent  bool
		}{
			{act{all: errOwn}, act{all: errOther}, false},
			{act{all: errOwn}, act{some: bad}, false}, // own may take it later
			{act{some: bad}, act{all: errOther}, false},
			{act{some: bad}, act{some: bad}, true},
			{later, act{all: errOther}, false},
			{later, act{some: bad}, true},
		} {
			p := newPair(t, always(c.own), always(c.other))
			err := p.Publish(t.Context(), records("r", 1))
			if err == nil || stream.IsPermanent(err) != c.permanent {
				t.Errorf("%+v and %+v: %v, permanent %v, want %v", c.own, c.other, err, stream.IsPermanent(err), c.permanent)
			}
			if c.own.all == errOwn && !errors.Is(err, errOwn) {
				t.Errorf("%v is not what own said", err)
			}
		}
	})
}

func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		own, other act
		after      time.Duration // ctx ends
		want       want
	}{
		"while own is asked":          {act{after: ever}, act{}, 100 * ms, want{took: 100 * ms, own: all}},
		"while both are asked":        {act{after: ever}, act{after: ever}, time.Second, want{took: time.Second, own: all, other: all}},
		"while the other is asked":    {act{all: errOwn}, act{after: ever}, time.Second, want{took: time.Second, own: all, other: all}},
		"before anybody is asked":     {act{}, act{}, 0, want{}},
		"with a refusal at that time": {act{after: 100 * ms, all: errOwn}, act{after: ms}, 100 * ms, want{took: 100 * ms, own: all}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, always(c.own), always(c.other))
				ctx, cancel := context.WithTimeout(t.Context(), c.after)
				defer cancel()
				begin := time.Now()
				err := p.Publish(ctx, records("r", 4))
				if took := time.Since(begin); took != c.want.took {
					t.Errorf("took %v, want %v", took, c.want.took)
				}
				if err == nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errOwn) {
					t.Errorf("got %v", err)
				}
				checkAsked(t, "own", p.own, c.want.own)
				if name != "with a refusal at that time" { // either may be first
					checkAsked(t, "other", p.other, c.want.other)
				}
			})
		})
	}
}

func TestNothingToPublish(t *testing.T) {
	p := newPair(t, nil, nil)
	if err := p.Publish(t.Context(), nil); err != nil || p.own.calls() > 0 {
		t.Errorf("%v after %d calls", err, p.own.calls())
	}
}

// TestMemoryIsTheCallers: as soon as Publish returns, whoever was asked has let
// go of the records.
func TestMemoryIsTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, always(act{after: ever}), always(act{after: 10 * ms}))
		for range 20 {
			rs := records("r", 3)
			if err := p.Publish(t.Context(), rs); err != nil {
				t.Error(err)
			}
			if p.own.busy.Load()+p.other.busy.Load() > 0 {
				t.Fatal("somebody still reads the records")
			}
			for i := range rs {
				clear(rs[i].Data)
			}
		}
	})
}

// TestManyCallers: each gets what became of its own records.
func TestManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t,
			func(n int) act {
				return []act{{after: 5 * ms}, {after: 5 * ms, all: errOwn}, {after: 2 * time.Second}, {after: ms, some: map[string]error{"c7-1": errOwn}}}[n%4]
			},
			func(n int) act { return []act{{after: 30 * ms}, {after: 30 * ms, all: errOther}}[n%2] })
		var wg sync.WaitGroup
		for caller := range 64 {
			wg.Go(func() {
				for i := range 20 {
					rs := records(fmt.Sprintf("c%d-%d-", caller, i), 1+i%3)
					err := p.Publish(t.Context(), rs)
					failures, ok := err.(stream.Failures)
					if err != nil && !ok {
						t.Errorf("caller %d: %v", caller, err)
					}
					for at := range rs {
						refused := slices.ContainsFunc(failures, func(f stream.Failure) bool { return f.Index == at })
						if name := string(rs[at].Data); !refused && !p.own.has(name) && !p.other.has(name) {
							t.Errorf("%s was acknowledged and is nowhere", name)
						}
					}
				}
			})
		}
		wg.Wait()
		if p.own.busy.Load()+p.other.busy.Load() > 0 {
			t.Error("somebody still publishes")
		}
	})
}

func TestTellsNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, always(act{all: errOwn}), nil)
		for i, want := range []int{1, 1, 1, 2, 2} {
			if err := p.Publish(t.Context(), records("r", 1)); err != nil || len(p.logged) != want {
				t.Errorf("Publish %d: %v, and %d lines in the log, want %d", i, err, len(p.logged), want)
			}
			time.Sleep(4 * time.Second)
		}
	})
}
