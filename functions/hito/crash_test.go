package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hitolayer/hito/functions/hito/e2e"
	"github.com/hitolayer/hito/shared/config"
	"github.com/hitolayer/hito/shared/ledger"
)

// TestCrash kills the real process with SIGKILL under load, again and again, at
// random moments and while it recovers. What was not acknowledged is sent again
// with the same message ids. In the end everybody's profile must be what was
// acknowledged: nothing lost, nothing twice.
func TestCrash(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	seed := rand.Uint64()
	if text := os.Getenv("HITO_CRASH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("HITO_CRASH_SEED: %v", err)
		}
	}
	t.Logf("repeat with HITO_CRASH_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := &crashing{t: t, dir: t.TempDir(), people: make([]person, 150)}
	s.restart()

	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for i := range 4 {
		senders.Go(func() { s.send(ctx, rand.New(rand.NewPCG(seed, uint64(i+1))), i) })
	}
	defer senders.Wait()
	defer stop()
	for round := range rounds {
		s.waitForBatches(s.batches.Load() + 1 + rng.Int64N(60))
		spin(time.Duration(rng.Int64N(int64(20 * time.Millisecond))))
		s.kill()
		if round%3 == 2 {
			s.killWhileRecovering(time.Duration(rng.Int64N(int64(60 * time.Millisecond))))
		}
		s.restart()
	}
	s.waitForBatches(s.batches.Load() + 1) // it goes on after the last crash
	stop()
	senders.Wait()
	s.check()

	// What was acknowledged and is sent once more all the same changes nothing.
	s.resend()
	s.check()
}

type crashing struct {
	t      *testing.T
	dir    string
	server atomic.Pointer[child]
	logs   lockedBuffer

	batches atomic.Int64 // acknowledged
	crashes int

	mu     sync.Mutex // guards what follows
	people []person
	events int64
	last   [][][]byte // some acknowledged batches
}

// person is what was acknowledged of one.
type person struct {
	events, orders, cents int64
	known                 bool // has logged in
}

func (s *crashing) restart() {
	s.t.Helper()
	executable, err := exec.LookPath("hito")
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := startChild(s.t.Context(), executable, s.dir, &s.logs)
	if err != nil {
		s.t.Fatalf("after %d crashes: %v\n%s", s.crashes, err, &s.logs)
	}
	s.server.Store(c)
	s.t.Cleanup(func() { _ = c.stop() })
}

func (s *crashing) kill() {
	c := s.server.Load()
	if err := c.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-c.gone
	s.crashes++
}

// killWhileRecovering starts a process and kills it before it says that it serves, or soon after.
func (s *crashing) killWhileRecovering(after time.Duration) {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "hito", "run") // killed when ctx ends
	cmd.Env = append(cmd.Environ(), "HITO_ADDR=127.0.0.1:0", "HITO_DATA="+s.dir)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	spin(after)
	cancel()
	_ = cmd.Wait() // killed
	s.crashes++
}

// spin passes a random time, so that crashes come at any moment.
func spin(d time.Duration) { <-time.After(d) }

func (s *crashing) waitForBatches(n int64) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); s.batches.Load() < n; spin(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("no progress after %d crashes: %d of %d batches\n%s", s.crashes, s.batches.Load(), n, &s.logs)
		}
	}
}

// send makes batches and sends each until it is acknowledged, whatever crashes
// meanwhile. When ctx ends it finishes its batch.
func (s *crashing) send(ctx context.Context, rng *rand.Rand, id int) {
	for n := 0; ctx.Err() == nil; n++ {
		var events [][]byte
		batch := map[int]person{}
		for i := range 1 + rng.IntN(25) {
			who := rng.IntN(len(s.people))
			p := batch[who]
			e := map[string]any{"type": "page", "anonymousId": fmt.Sprintf("a%d", who), "messageId": fmt.Sprintf("m-%d-%d-%d", id, n, i)}
			p.events++
			if rng.IntN(8) == 0 {
				cents := rng.Int64N(100_00)
				e["type"], e["event"], e["properties"] = "track", "Order Completed", map[string]any{"revenue": json.Number(fmt.Sprintf("%d.%02d", cents/100, cents%100))}
				p.orders++
				p.cents += cents
			}
			if who%3 == 0 && rng.IntN(4) == 0 {
				e["userId"] = fmt.Sprintf("u%d", who)
				p.known = true
			}
			batch[who] = p
			text, err := json.Marshal(e)
			if err != nil {
				s.t.Error(err)
				return
			}
			events = append(events, text)
		}
		if !s.deliver(events) {
			return
		}
		s.acknowledged(events, batch)
	}
}

func (s *crashing) acknowledged(events [][]byte, batch map[int]person) {
	s.batches.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for who, p := range batch {
		of := &s.people[who]
		of.events += p.events
		of.orders += p.orders
		of.cents += p.cents
		of.known = of.known || p.known
		s.events += p.events
	}
	if s.last = append(s.last, events); len(s.last) > 50 {
		s.last = s.last[1:]
	}
}

// deliver returns true once the batch is acknowledged.
func (s *crashing) deliver(events [][]byte) bool {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); spin(2 * time.Millisecond) {
		to := newSender(config.Client{URL: s.server.Load().url, WriteKey: "demo"}, 1)
		to.attempts = 1
		v, err := to.send(s.t.Context(), events)
		to.http.CloseIdleConnections()
		if err == nil {
			if v.quarantined > 0 {
				s.t.Errorf("quarantined: %v", v.reasons)
			}
			return true
		}
		if _, ok := errors.AsType[*retryError](err); !ok {
			s.t.Errorf("a batch was refused: %v", err)
			return false
		}
	}
	s.t.Error("a batch was not acknowledged within a minute")
	return false
}

func (s *crashing) resend() {
	for _, events := range s.last {
		if !s.deliver(events) {
			return
		}
	}
}

// check compares every profile and the ledger with what was acknowledged.
func (s *crashing) check() {
	s.t.Helper()
	url := s.server.Load().url
	if err := settle(url); err != nil {
		s.t.Fatal(err)
	}
	var totals ledger.Totals
	if err := get(url+"/v1/ledger", &totals); err != nil {
		s.t.Fatal(err)
	}
	known, seen, customers := 0, int64(0), int64(0)
	for i, want := range s.people {
		selector := fmt.Sprintf("anonymous_id:a%d", i)
		if want.known {
			known++
			selector = fmt.Sprintf("user_id:u%d", i)
		}
		if want.events > 0 {
			seen++
		}
		if want.orders > 0 {
			customers++
		}
		var p struct {
			Events  struct{ Total int64 }
			Metrics map[string]json.Number
		}
		if err := get(url+"/v1/profiles/"+selector, &p); err != nil && (want.events > 0 || !errors.Is(err, e2e.ErrNotFound)) {
			s.t.Errorf("%s: %v", selector, err)
			continue
		}
		revenue, _ := p.Metrics["revenue"].Float64()
		orders, _ := p.Metrics["orders"].Int64()
		if p.Events.Total != want.events || orders != want.orders || revenue != float64(want.cents)/100 {
			s.t.Errorf("%s has %d events, %d orders and a revenue of %v; acknowledged were %d, %d and %v",
				selector, p.Events.Total, orders, revenue, want.events, want.orders, float64(want.cents)/100)
		}
	}
	s.t.Logf("%d crashes, %d events acknowledged, %d people of whom %d logged in; ledger %+v", s.crashes, s.events, seen, known, totals)
	if totals.Scored != s.events || totals.InFlight != 0 || totals.Quarantined != 0 || totals.Accepted != totals.Scored+totals.Duplicate {
		s.t.Errorf("the ledger is %+v, %d were acknowledged", totals, s.events)
	}
	if totals.People != seen || totals.Segments["customer"] != customers {
		s.t.Errorf("%d people and %d customers, want %d and %d", totals.People, totals.Segments["customer"], seen, customers)
	}
}
