package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// work sends requests over one connection until sending ends.
func (g *generator) work(ctx, sending context.Context, id uint64) {
	rng := rand.New(rand.NewPCG(g.Seed, id+2))
	var zipf *rand.Zipf
	if g.Exponent > 0 {
		zipf = rand.NewZipf(rng, g.Exponent, 1, uint64(g.Visitors-1))
	}
	// A few requests of differently mixed events.
	requests := make([]*request, 8)
	for i := range requests {
		requests[i] = newRequest(g.host, g.path, g.WriteKey, g.shapes, rng, g.PerRequest)
	}
	visitors := make([]int64, g.PerRequest)
	c := &conn{addr: g.host, timeout: 15 * time.Second}
	defer c.close()
	for sending.Err() == nil {
		turn := g.turn.Add(1) - 1
		if g.Events > 0 && turn*int64(g.PerRequest) >= g.Events {
			return
		}
		due := time.Now()
		if g.interval > 0 {
			due = g.start.Add(time.Duration(turn) * g.interval)
			if due.Sub(g.start) >= g.Duration || !sleep(sending, time.Until(due)) {
				return
			}
		}
		r := requests[int(turn)%len(requests)]
		r.stamp(time.Now())
		first := g.number.Add(int64(g.PerRequest)) - int64(g.PerRequest)
		for i := range visitors {
			if zipf != nil {
				visitors[i] = int64(zipf.Uint64())
			} else {
				visitors[i] = (g.visitor.Add(1) - 1) % int64(g.Visitors)
			}
			r.fill(i, visitors[i], first+int64(i))
		}
		if !g.deliver(ctx, c, r.text) {
			g.unknown.Add(int64(g.PerRequest))
			continue
		}
		g.ack.record(time.Since(due))
		g.requests.Add(1)
		g.events.Add(int64(g.PerRequest))
		for _, v := range visitors {
			g.acked[v].Add(1)
		}
		g.sample(ctx, r, visitors[len(visitors)-1], due)
	}
}

// deliver posts a request until it is acknowledged. It gives up on an answer
// that will not change, and after a while.
func (g *generator) deliver(ctx context.Context, c *conn, text []byte) bool {
	patience := time.Now().Add(g.Drain)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		a, err := c.post(text)
		if err == nil && a.status == http.StatusOK {
			return true
		}
		g.fail(a, err)
		switch {
		case err == nil && a.status < 500 && a.status != http.StatusTooManyRequests, time.Now().After(patience):
			return false
		}
		g.retries.Add(1)
		if !sleep(ctx, max(pause, time.Duration(a.retryAfter)*time.Second)) {
			return false
		}
	}
}

// busiest is how many visitors are not followed when visitors are unequal: their
// events may leave the dedupe window, in which ?after= looks, before it looks.
const busiest = 100

// sample follows a request's last event, if it is time for one.
func (g *generator) sample(ctx context.Context, r *request, visitor int64, due time.Time) {
	if g.Exponent > 0 && visitor < busiest && g.Visitors > busiest {
		return
	}
	since, next := int64(time.Since(g.start)), g.nextSample.Load()
	if since < next || !g.nextSample.CompareAndSwap(next, since+int64(sampleEvery)) {
		return
	}
	message := r.messageID(len(r.events)-1, g.run)
	g.samples.Go(func() {
		if g.reads.await(ctx, visitorID(g.visitorPrefix(), visitor), message, g.Drain) {
			g.readable.record(time.Since(due))
		}
	})
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fail remembers why a request failed.
func (g *generator) fail(a answer, err error) {
	if err == nil {
		err = fmt.Errorf("POST %s answers %d", g.path, a.status)
	}
	g.failure.Store(&err)
}

func (g *generator) lastFailure() error {
	if err := g.failure.Load(); err != nil {
		return *err
	}
	return errors.New("there was no time")
}
