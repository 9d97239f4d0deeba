package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// act is how a cloud answers one Publish.
type act struct {
	after time.Duration // before it answers; it keeps to ctx
	lost  bool          // what it says it refuses is durable all the same, at once
	all   error         // of all records
	some  map[string]error
	panic bool
}

// cloud is a stream that does as it is told.
type cloud struct {
	t    testing.TB
	does func(n int) act // by the number of the call, from 0; nil takes everything

	mu      sync.Mutex
	durable map[string]bool
	asked   [][]string // the records of each call
	busy    atomic.Int64
}

func (c *cloud) Publish(ctx context.Context, records []stream.Record) error {
	c.busy.Add(1)
	defer c.busy.Add(-1)
	var names []string
	for i := range records {
		names = append(names, string(records[i].Data))
	}
	c.mu.Lock()
	var a act
	if c.does != nil {
		a = c.does(len(c.asked))
	}
	c.asked = append(c.asked, names)
	c.mu.Unlock()
	if a.lost {
		c.keep(records, nil)
	}
	if a.after > 0 {
		timer := time.NewTimer(a.after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if a.panic {
		panic("poison")
	}
	if a.all != nil {
		return a.all
	}
	var failures stream.Failures
	for i := range records {
		if err := a.some[string(records[i].Data)]; err != nil {
			failures = append(failures, stream.Failure{Index: i, Err: err})
		}
		if string(records[i].Data) != names[i] {
			c.t.Errorf("record %s became %q while it was published", names[i], records[i].Data)
		}
	}
	c.keep(records, a.some)
	return failures.OrNil()
}

func (c *cloud) keep(records []stream.Record, but map[string]error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.durable == nil {
		c.durable = map[string]bool{}
	}
	for i := range records {
		if data := string(records[i].Data); but[data] == nil {
			c.durable[data] = true
		}
	}
}

func (c *cloud) has(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.durable[name]
}

func (c *cloud) calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked)
}

// always answers every call alike.
func always(a act) func(int) act { return func(int) act { return a } }

var (
	errOwn   = errors.New("own is full")
	errOther = errors.New("other is full")
	errBad   = stream.Permanent(errors.New("too large"))
)

// pair is a Publisher on two clouds, and what it measures.
type pair struct {
	*Publisher
	own, other *cloud

	mu      sync.Mutex
	metrics map[string]float64
	emitted int
	logged  []string
}

func newPair(t testing.TB, own, other func(int) act) *pair {
	p := &pair{own: &cloud{t: t, does: own}, other: &cloud{t: t, does: other}, metrics: map[string]float64{}}
	p.Publisher = &Publisher{Own: p.own, Other: p.other, Hedge: 300 * time.Millisecond, Telemetry: p, Log: slog.New(slog.NewTextHandler(p, nil))}
	return p
}

func (p *pair) Emit(_ context.Context, _ string, values ...telemetry.Value) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.emitted++
	for _, v := range values {
		p.metrics[v.Name] += v.V
	}
}

func (p *pair) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logged = append(p.logged, string(line))
	return len(line), nil
}

// names are records named by prefix and position, of two events each.
func records(prefix string, n int) []stream.Record {
	out := make([]stream.Record, n)
	for i := range out {
		out[i] = stream.Record{Project: "shop", Key: "u:1", Events: 2, Data: fmt.Appendf(nil, "%s%d", prefix, i)}
	}
	return out
}
