// Package load is a bounded load generator: it sends events of many visitors to
// a running hito, measures what a client sees, and checks that every event
// acknowledged was scored once.
package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what load to put on.
type Options struct {
	URL, WriteKey, SecretKey string
	// Visitors is how many there are. Exponent says how unequal they are: the
	// k-th comes about as often as 1/k^Exponent; it is above 1, or 0 for one after the other.
	Visitors int
	Exponent float64
	Seed     uint64
	// PerRequest is how many events a request has.
	PerRequest int
	// Rate is in events per second, kept whatever the answers take; 0 sends as
	// fast as the answers come.
	Rate float64
	// Duration and Events bound the load; 0 events bounds nothing.
	Duration time.Duration
	Events   int64
	// Connections is how many requests are under way at once.
	Connections int
	// Drain bounds the wait until everything is scored.
	Drain time.Duration
	// Verify compares every visitor's profile with what was acknowledged.
	Verify bool
	// Settled, when not nil, is called once everything is scored, before profiles are read.
	Settled func()
	// Progress, when not nil, is told from time to time how many events were acknowledged.
	Progress func(acked int64)
}

// Report is what the load did.
type Report struct {
	Events      int64   `json:"events"`
	Requests    int64   `json:"requests"`
	PerRequest  int     `json:"per_request"`
	Connections int     `json:"connections"`
	Rate        float64 `json:"rate,omitempty"`
	// Unknown are events that were sent and never acknowledged.
	Unknown int64 `json:"unknown"`
	// Retries are requests repeated after a 503 or a broken connection.
	Retries int64 `json:"retries"`
	// Seconds is from the first request to the last acknowledgement, Drained
	// from the first request until everything was scored.
	Seconds float64 `json:"seconds"`
	Drained float64 `json:"drained_seconds"`
	// AckedPerSecond and ScoredPerSecond are the events over these times.
	AckedPerSecond  float64 `json:"acked_per_second"`
	ScoredPerSecond float64 `json:"scored_per_second"`
	// Ack is from the moment a request was due until its acknowledgement.
	Ack Latencies `json:"ack"`
	// Readable is, on a sample, from the same moment until a profile reflects the event.
	Readable Latencies `json:"readable"`

	Ledger   LedgerCheck   `json:"ledger"`
	Profiles *ProfileCheck `json:"profiles,omitempty"`
	OK       bool          `json:"ok"`
}

// generator is one run.
type generator struct {
	Options
	host, path string
	run        string
	shapes     []template
	reads      *reader

	start    time.Time
	sent     time.Duration // from start to the last acknowledgement
	interval time.Duration // between requests that are due, 0 without a rate
	turn     atomic.Int64  // requests begun
	number   atomic.Int64  // message ids given
	visitor  atomic.Int64  // visitors come, when one comes after the other

	acked      []atomic.Int64 // by visitor
	events     atomic.Int64
	requests   atomic.Int64
	unknown    atomic.Int64
	retries    atomic.Int64
	failure    atomic.Pointer[error] // the latest
	nextSample atomic.Int64          // nanoseconds since start
	samples    sync.WaitGroup

	ack, readable histogram
}

// sampleEvery spaces the events that are followed until they are readable.
const sampleEvery = 20 * time.Millisecond

// Run puts the load on and returns its report. An error means that it could not
// be done; that events went missing is told by Report.OK.
func Run(ctx context.Context, o Options) (*Report, error) {
	target, err := url.Parse(o.URL)
	if err != nil || target.Scheme != "http" || target.Host == "" {
		return nil, fmt.Errorf("load needs a URL like http://127.0.0.1:8080, got %q", o.URL)
	}
	host := target.Host
	if target.Port() == "" {
		host += ":80"
	}
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	g := &generator{
		Options: o,
		host:    host,
		path:    strings.TrimSuffix(target.EscapedPath(), "/") + "/v1/batch",
		run:     fmt.Sprintf("load-%016x-", rand.Uint64()),
		acked:   make([]atomic.Int64, o.Visitors),
		reads:   newReader(o),
	}
	g.shapes = templates(g.run, g.visitorPrefix(), rng)
	if o.Rate > 0 {
		g.interval = time.Duration(float64(time.Second) * float64(o.PerRequest) / o.Rate)
	}
	// What others sent before is not this run's: it is to be scored first.
	before, err := g.drained(ctx, 0)
	if err != nil {
		return nil, err
	}
	var baseline []int64
	if o.Verify && before.Accepted > 0 {
		if baseline, err = g.reads.totals(ctx, g.visitorPrefix(), o.Visitors); err != nil {
			return nil, err
		}
	}
	if err := g.drive(ctx); err != nil {
		return nil, err
	}
	r := g.report()
	if err := g.settle(ctx, r, before); err != nil {
		return nil, err
	}
	if o.Settled != nil {
		o.Settled()
	}
	if o.Verify {
		if err := g.verify(ctx, r, baseline); err != nil {
			return nil, err
		}
	}
	r.OK = r.Ledger.OK && r.Unknown == 0 && (r.Profiles == nil || r.Profiles.OK)
	return r, nil
}

func (g *generator) visitorPrefix() string { return fmt.Sprintf("load-%d-", g.Seed) }

// drive sends until the bounds are reached and every sample is read.
func (g *generator) drive(ctx context.Context) error {
	g.start = time.Now()
	sending, cancel := context.WithTimeout(ctx, g.Duration)
	defer cancel()
	var workers sync.WaitGroup
	for i := range g.Connections {
		workers.Go(func() { g.work(ctx, sending, uint64(i)) })
	}
	done := make(chan struct{})
	go func() {
		workers.Wait()
		g.sent = time.Since(g.start)
		g.samples.Wait()
		close(done)
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			if g.requests.Load() == 0 {
				return fmt.Errorf("nothing was acknowledged: %w", g.lastFailure())
			}
			return ctx.Err()
		case <-tick.C:
			if g.Progress != nil {
				g.Progress(g.events.Load())
			}
		}
	}
}

func (g *generator) report() *Report {
	return &Report{
		Events: g.events.Load(), Requests: g.requests.Load(), PerRequest: g.PerRequest, Connections: g.Connections, Rate: g.Rate,
		Unknown: g.unknown.Load(), Retries: g.retries.Load(), Seconds: g.sent.Seconds(),
		Ack: g.ack.latencies(), Readable: g.readable.latencies(),
	}
}
