package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

func TestPublish(t *testing.T) {
	for name, c := range map[string]struct {
		n, size             int
		packBytes, parallel int
		calls, messages     int // 0: not looked at
	}{
		"One":          {n: 1, size: 300, calls: 1, messages: 1},
		"OneMessage":   {n: 100, size: 300, calls: 1, messages: 1},
		"ManyRecords":  {n: 5120, size: 100, calls: 1, messages: 10},
		"ManyBytes":    {n: 60, size: 250 << 10},
		"ManyMessages": {n: 3000, size: 200, packBytes: 250, calls: 3, messages: 3000},
		"LargeRecords": {n: 3, size: 8 << 20, calls: 3, messages: 3},
		"Full":         {n: 2, size: MaxBytes - 100, calls: 2, messages: 2},
		"OneAtATime":   {n: 200, size: 250 << 10, parallel: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", PackBytes: c.packBytes, Parallel: c.parallel}
			records := some(c.n, c.size)
			if err := p.Publish(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			sameRecords(t, f.records(t), records)
			if c.calls > 0 && f.calls != c.calls || c.messages > 0 && len(f.taken) != c.messages {
				t.Errorf("%d requests with %d messages, want %d with %d", f.calls, len(f.taken), c.calls, c.messages)
			}
			if c.parallel > 0 && f.atOnce > c.parallel {
				t.Errorf("%d requests at once", f.atOnce)
			}
		})
	}
}

// TestPacking: every record is in exactly one message, in its place, and no
// message and no request is larger than it may be.
func TestPacking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packBytes := rapid.SampledFrom([]int{1, 300, 5000, defaultPackBytes}).Draw(t, "pack bytes")
		large := make([]byte, MaxBytes+1)
		var calls []*call
		var waiting []piece
		for range rapid.IntRange(1, 8).Draw(t, "calls") {
			c := &call{records: make([]stream.Record, rapid.IntRange(1, 1500).Draw(t, "records"))}
			size := rapid.SampledFrom([]int{0, 10, 1000, 20_000}).Draw(t, "size")
			for i := range c.records {
				c.records[i] = stream.Record{Key: "k", Data: large[:size]}
			}
			for range rapid.IntRange(0, 3).Draw(t, "large ones") {
				c.records[rapid.IntRange(0, len(c.records)-1).Draw(t, "which")].Data = large[:rapid.IntRange(0, len(large)).Draw(t, "of")]
			}
			calls = append(calls, c)
			waiting = append(waiting, cut(c, packBytes)...)
		}
		seen := map[*call]int{} // how many of its records, which come in their order
		for len(waiting) > 0 {
			n := fits(waiting, packBytes, MaxBytes)
			if n == 0 {
				t.Fatal("a request without records")
			}
			request, bytes, messages := waiting[:n], 0, 0
			waiting = waiting[n:]
			for len(request) > 0 {
				n := together(request, packBytes)
				records, size := 0, 0
				for _, w := range request[:n] {
					if w.from != seen[w.call] || w.to <= w.from {
						t.Fatalf("records %d to %d come after %d", w.from, w.to, seen[w.call])
					}
					seen[w.call] = w.to
					records += w.to - w.from
					for i := range w.call.records[w.from:w.to] {
						size += pack.Size(&w.call.records[w.from+i])
					}
				}
				if records > 1 && (size > packBytes || records > maxPackRecords) {
					t.Fatalf("a message of %d records, %d bytes", records, size)
				}
				bytes, messages, request = bytes+size, messages+1, request[n:]
			}
			if messages > MaxMessages || messages > 1 && bytes > MaxBytes {
				t.Fatalf("a request of %d messages, %d bytes", messages, bytes)
			}
		}
		for _, c := range calls {
			if seen[c] != len(c.records) {
				t.Fatalf("%d of %d records are in messages", seen[c], len(c.records))
			}
		}
	})
}

// TestTogether: what callers bring while requests are under way goes out in few
// messages, and each caller learns what became of its own records.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 200
		f := &fake{hold: make(chan struct{})}
		p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp"}
		all := some(callers*2, 100)
		large := some(1, MaxBytes)[0].Data
		for i := 0; i < len(all); i += 10 {
			all[i+1].Data = large // the second record of every fifth caller
		}
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				err := p.Publish(t.Context(), all[i*2:i*2+2])
				if i%5 > 0 {
					if err != nil {
						t.Errorf("caller %d: %v", i, err)
					}
					return
				}
				if f, ok := err.(stream.Failures); !ok || len(f) != 1 || f[0].Index != 1 || !stream.IsPermanent(f[0].Err) {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		close(f.hold)
		wg.Wait()
		sent := slices.Clone(all)
		sent = slices.DeleteFunc(sent, func(r stream.Record) bool { return len(r.Data) > 1000 })
		sameRecords(t, f.records(t), sent)
		// A record too large for a message begins another after it.
		if n := len(f.taken); n > 2*defaultParallel+callers/5 || f.calls > n || f.atOnce > defaultParallel {
			t.Errorf("%d messages in %d requests, %d at once", n, f.calls, f.atOnce)
		}
		idle(t, p)
	})
}

// TestSmallCallsAreOneMessage: without anything between.
func TestSmallCallsAreOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 200
		f := &fake{hold: make(chan struct{})}
		p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", Parallel: 1}
		all := some(callers, 100)
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() {
				if err := p.Publish(t.Context(), all[i:i+1]); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(f.hold)
		wg.Wait()
		sameRecords(t, f.records(t), all)
		if len(f.taken) > 2 || f.calls > 2 {
			t.Errorf("%d messages in %d requests", len(f.taken), f.calls)
		}
	})
}

// idle checks that nothing of a publisher runs or waits.
func idle(t *testing.T, p *Publisher) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.workers != 0 || len(p.waiting) != 0 {
		t.Errorf("%d workers, %d pieces wait", p.workers, len(p.waiting))
	}
}

func TestTooLarge(t *testing.T) {
	f := &fake{}
	p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp"}
	records := some(20, 100)
	records[3].Data, records[17].Data = some(1, MaxBytes)[0].Data, make([]byte, pack.MaxRaw)
	records[11].Data = bytes.Repeat([]byte("compressible "), 1_000_000)
	err := p.Publish(t.Context(), records)
	failures, ok := err.(stream.Failures)
	if !ok || len(failures) != 2 || failures[0].Index != 3 || failures[1].Index != 17 {
		t.Fatalf("got %v", err)
	}
	for _, failure := range failures {
		if !stream.IsPermanent(failure.Err) {
			t.Errorf("not permanent: %v", failure.Err)
		}
	}
	for _, part := range []string{topic, "9000000 bytes", "at most 9000000"} {
		if !strings.Contains(failures[0].Err.Error(), part) {
			t.Errorf("%q does not say %q", failures[0].Err, part)
		}
	}
	sameRecords(t, f.records(t), slices.Delete(slices.Delete(slices.Clone(records), 17, 18), 3, 4))
}

// refuses refuses requests that have a record of such a key, as Pub/Sub does one
// that has a message it does not take.
func refuses(t testing.TB, key string) func(int, []Message) (error, bool) {
	return func(_ int, in []Message) (error, bool) {
		for _, m := range in {
			if slices.ContainsFunc(open(t, m), func(r stream.Record) bool { return r.Key == key }) {
				return failure(Invalid), false
			}
		}
		return nil, true
	}
}

// TestARefusedMessageFailsAlone: of one caller, and of several.
func TestARefusedMessageFailsAlone(t *testing.T) {
	records := some(1000, 100)
	f := &fake{call: refuses(t, records[700].Key)}
	p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", PackBytes: 2000}
	err := p.Publish(t.Context(), records)
	failures, ok := err.(stream.Failures)
	if !ok || !errors.Is(failures[0].Err, failure(Invalid)) || stream.IsPermanent(err) {
		t.Fatalf("got %v", err)
	}
	var rest []stream.Record
	for i := range records {
		if !slices.ContainsFunc(failures, func(f stream.Failure) bool { return f.Index == i }) {
			rest = append(rest, records[i])
		}
	}
	if n := len(failures); n > 20 || failures[0].Index > 700 || failures[n-1].Index < 700 || failures[n-1].Index-failures[0].Index != n-1 {
		t.Errorf("named %d records, %d to %d", n, failures[0].Index, failures[n-1].Index)
	}
	sameRecords(t, f.records(t), rest)

	synctest.Test(t, func(t *testing.T) {
		f := &fake{call: refuses(t, records[77].Key), hold: make(chan struct{})}
		p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", PackBytes: 1}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				err := p.Publish(t.Context(), records[i*10:i*10+10])
				if f, ok := err.(stream.Failures); i == 7 && (!ok || len(f) != 1 || f[0].Index != 7) || i != 7 && err != nil {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		close(f.hold)
		wg.Wait()
		sameRecords(t, f.records(t), slices.Delete(slices.Clone(records), 77, 78))
		idle(t, p)
	})
}

func TestWhatCannotSucceedReturnsAtOnce(t *testing.T) {
	for _, kind := range []Kind{Never, Invalid} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{call: func(int, []Message) (error, bool) { return failure(kind), false }}
			p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp"}
			began := time.Now()
			err := p.Publish(t.Context(), some(3, 10))
			failures, ok := err.(stream.Failures)
			if !ok || len(failures) != 3 || !errors.Is(failures[2].Err, failure(kind)) || stream.IsPermanent(err) || !strings.Contains(err.Error(), topic) {
				t.Errorf("got %v", err)
			}
			if f.calls != 1 || time.Since(began) > 0 {
				t.Errorf("%d requests in %v", f.calls, time.Since(began))
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	const failures = 7
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		f := &fake{call: func(n int, _ []Message) (error, bool) {
			at = append(at, time.Now())
			if n < failures {
				return failure(Again), false
			}
			return nil, true
		}}
		p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", Patience: time.Minute}
		records := some(3, 10)
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		sameRecords(t, f.records(t), records)
		for i := 1; i < len(at); i++ {
			most := min(100*time.Millisecond<<(i-1), 2*time.Second)
			if wait := at[i].Sub(at[i-1]); wait < most/2 || wait > most {
				t.Errorf("wait %d was %v, want up to %v", i, wait, most)
			}
		}
	})
}

// TestWhatGoesAgainIsTheSame: its consumer can tell that it comes twice.
func TestWhatGoesAgainIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{call: func(n int, _ []Message) (error, bool) {
			if n < 2 {
				return failure(Again), true // the answer is lost
			}
			return nil, true
		}}
		p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp"}
		if err := p.Publish(t.Context(), some(3, 10)); err != nil {
			t.Fatal(err)
		}
		if len(f.taken) != 3 {
			t.Fatalf("%d messages", len(f.taken))
		}
		for _, m := range f.taken[1:] {
			if !bytes.Equal(m.Data, f.taken[0].Data) || m.Attributes["id"] != f.taken[0].Attributes["id"] {
				t.Error("what was sent again is another message")
			}
		}
	})
}

// TestTimeIsLeft: Publish gives up before its patience ends, with the reason.
func TestTimeIsLeft(t *testing.T) {
	for _, patience := range []time.Duration{0, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{call: func(int, []Message) (error, bool) { return failure(Again), false }}
			p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", Patience: patience}
			began := time.Now()
			err := p.Publish(t.Context(), some(3, 10))
			if failures, ok := err.(stream.Failures); !ok || len(failures) != 3 || !errors.Is(err, failure(Again)) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took >= p.patience() || f.calls < 3 {
				t.Errorf("%d requests in %v", f.calls, took)
			}
		})
	}
}

// TestWhoGoesAway: at once, with its records; those who stay are served.
func TestWhoGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", Parallel: 1}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		want := some(30, 50)
		gone := map[int]bool{}
		var wg sync.WaitGroup
		for i := range 30 {
			if i == 4 {
				synctest.Wait() // these are under way, and the others wait
			}
			leaves := i%2 == 0
			gone[i] = leaves
			wg.Go(func() {
				mine := []stream.Record{want[i]}
				mine[0].Data = slices.Clone(want[i].Data)
				with := t.Context()
				if leaves {
					with = ctx
				}
				began := time.Now()
				err := p.Publish(with, mine)
				clear(mine[0].Data) // it is ours again
				if leaves && (!errors.Is(err, context.Canceled) || time.Since(began) != time.Second) {
					t.Errorf("caller %d left after %v: %v", i, time.Since(began), err)
				}
				if !leaves && err != nil {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		time.Sleep(2 * time.Second)
		close(f.hold)
		wg.Wait()
		idle(t, p)
		got := f.records(t)
		for i := range want {
			there := slices.ContainsFunc(got, func(r stream.Record) bool { return r.Time == want[i].Time })
			if !there && !gone[i] {
				t.Errorf("record %d is lost", i)
			}
			if !there {
				gone[i] = true
			}
		}
		kept := slices.DeleteFunc(slices.Clone(want), func(r stream.Record) bool {
			return !slices.ContainsFunc(got, func(g stream.Record) bool { return g.Time == r.Time })
		})
		sameRecords(t, got, kept)
		if len(got) > 20 {
			t.Errorf("%d records were sent, though callers left before", len(got))
		}
		calls := f.calls
		if err := p.Publish(ctx, want); !errors.Is(err, context.Canceled) || f.calls != calls {
			t.Errorf("cancelled before: %v, %d requests", err, f.calls-calls)
		}
	})
}

// TestPatienceBoundsTheWait: of those that wait for requests of others as well.
func TestPatienceBoundsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", Parallel: 2, Patience: 3 * time.Second}
		var wg sync.WaitGroup
		began := time.Now()
		for i := range 10 {
			wg.Go(func() {
				// Of one that is under way, the request's own end may come first.
				if err := p.Publish(t.Context(), some(1+i, 10)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		time.Sleep(3 * time.Second) // of one that was begun in the last moment
		idle(t, p)
	})
}

func TestARequestThatHangsIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", Timeout: 2 * time.Second}
		time.AfterFunc(5*time.Second, func() { close(f.hold) })
		records := some(3, 10)
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		if f.calls != 3 {
			t.Errorf("%d requests", f.calls)
		}
		got := f.records(t)
		sameRecords(t, got[len(got)-3:], records)
	})
}

// TestNothingIsLostUnnamed: whatever fails, every record of every caller that got
// an answer is on the topic or named.
func TestNothingIsLostUnnamed(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := lossy{
			seed:      rapid.Uint64().Draw(r, "seed"),
			bad:       rapid.SampledFrom([]float64{0, 0.1, 0.5, 1}).Draw(r, "bad"),
			packBytes: rapid.SampledFrom([]int{0, 1, 500}).Draw(r, "pack bytes"),
			parallel:  rapid.IntRange(0, 3).Draw(r, "parallel"),
			callers:   rapid.IntRange(1, 20).Draw(r, "callers"),
		}
		var err error
		synctest.Test(t, func(t *testing.T) { err = l.run(t) })
		if err != nil {
			r.Fatal(err)
		}
	})
}

// lossy is a run of callers against a Pub/Sub that fails.
type lossy struct {
	seed                         uint64
	bad                          float64
	packBytes, parallel, callers int
}

// run returns what is wrong with its outcome.
func (l *lossy) run(t *testing.T) error {
	faults := []Kind{Again, Again, Again, Again, Invalid, Never}
	rnd := rand.New(rand.NewPCG(l.seed, l.seed)) // under the fake's lock once callers are there
	f := &fake{
		call: func(int, []Message) (error, bool) {
			if rnd.Float64() >= l.bad {
				return nil, true
			}
			return failure(faults[rnd.IntN(len(faults))]), rnd.IntN(2) == 0
		},
		delay: func() time.Duration { return time.Duration(rnd.IntN(50)) * time.Millisecond },
	}
	p := &Publisher{Call: f.publish, KindOf: kindOf, Topic: topic, Origin: "gcp", Patience: 3 * time.Second, PackBytes: l.packBytes, Parallel: l.parallel}
	const most = 20
	all := some(l.callers*most, 20)
	type caller struct {
		brings       []stream.Record
		comes, stays time.Duration // 0 stays for ever
		err          error
	}
	callers := make([]caller, l.callers)
	for i := range callers {
		c := &callers[i]
		c.brings = all[i*most : i*most+rnd.IntN(most)+1]
		c.comes = time.Duration(rnd.IntN(100)) * time.Millisecond
		if rnd.IntN(4) == 0 {
			c.stays = time.Duration(1+rnd.IntN(200)) * time.Millisecond
		}
	}
	var wg sync.WaitGroup
	for i := range callers {
		c := &callers[i]
		wg.Go(func() {
			time.Sleep(c.comes)
			ctx := t.Context()
			if c.stays > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.stays)
				defer cancel()
			}
			mine := slices.Clone(c.brings)
			for i := range mine {
				mine[i].Data = slices.Clone(mine[i].Data)
			}
			c.err = p.Publish(ctx, mine)
			for i := range mine {
				clear(mine[i].Data) // it is ours again
			}
		})
	}
	wg.Wait()
	time.Sleep(3 * time.Second) // requests whose callers have gone away
	idle(t, p)
	arrived := map[int64]bool{}
	for _, got := range f.records(t) {
		if !bytes.Equal(got.Data, all[got.Time].Data) {
			return fmt.Errorf("record %d arrived changed", got.Time)
		}
		arrived[got.Time] = true
	}
	for i := range callers {
		c := &callers[i]
		failures, named := c.err.(stream.Failures)
		if c.err != nil && !named {
			if !errors.Is(c.err, context.DeadlineExceeded) {
				return fmt.Errorf("caller %d: %T: %w", i, c.err, c.err)
			}
			continue // none is taken as durable
		}
		if l.bad == 0 && c.err != nil {
			return fmt.Errorf("caller %d failed though nothing did: %w", i, c.err)
		}
		failed := map[int]bool{}
		for k, failure := range failures {
			if k > 0 && failure.Index <= failures[k-1].Index || failure.Index < 0 || failure.Index >= len(c.brings) || failure.Err == nil {
				return fmt.Errorf("caller %d: failure %d names record %d: %w", i, k, failure.Index, failure.Err)
			}
			failed[failure.Index] = true
		}
		for k := range c.brings {
			if !arrived[c.brings[k].Time] && !failed[k] {
				return fmt.Errorf("caller %d: record %d is lost, and not named", i, k)
			}
		}
	}
	return nil
}
