package functions

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/stream"
)

// gate is a handler whose calls wait until they are let through, or until their
// context ends.
type gate struct {
	mu    sync.Mutex
	calls [][]string // the names of the records of each
	open  chan struct{}
	do    func(records []stream.Record) error
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) handle(ctx context.Context, records []stream.Record) error {
	if err := book(ctx, records...); err != nil {
		return err
	}
	g.mu.Lock()
	g.calls = append(g.calls, names(records))
	g.mu.Unlock()
	select {
	case <-g.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	if g.do == nil {
		return nil
	}
	return g.do(records)
}

// TestMessagesAreHandledTogether: those that come while as many calls are under
// way as there may be; each is settled by itself.
func TestMessagesAreHandledTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		u := newSettler(g.handle)
		u.Calls = 2
		g.do = func(records []stream.Record) error { return failing(records, "9", errAway) }
		errs := make([]error, 20)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = u.Deliver(t.Context(), packed(t, fmt.Sprint(i), fmt.Sprint(i, "x"))) })
			synctest.Wait() // so that they come in order
		}
		if len(g.calls) != 2 {
			t.Fatalf("%d calls at a time, want 2", len(g.calls))
		}
		close(g.open)
		wg.Wait()
		if len(g.calls) != 3 || len(g.calls[2]) != 2*18 || g.calls[2][0] != "2" || g.calls[2][35] != "19x" {
			t.Errorf("called %v", g.calls)
		}
		for i, err := range errs {
			if (err != nil) != (i == 9) || err != nil && !errors.Is(err, errAway) {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if u.books.total.Scored != 19*2*2 || u.books.commits != 19 {
			t.Errorf("booked %+v with %d commits", u.books.total, u.books.commits)
		}
	})
}

// TestOneIsToBlameForAll: when a call fails as a whole, each message is called by
// itself, and nobody else's comes again.
func TestOneIsToBlameForAll(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error": func() error { return errAway },
		"a panic":  func() error { panic("poison") },
		"for good": func() error { return errUnfit },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate()
				u := newSettler(g.handle)
				u.Calls = 1
				g.do = func(records []stream.Record) error {
					if slices.Contains(names(records), "7") {
						return fail()
					}
					return nil
				}
				errs := make([]error, 10)
				var wg sync.WaitGroup
				for i := range errs {
					wg.Go(func() { errs[i] = u.Deliver(t.Context(), packed(t, fmt.Sprint(i))) })
					synctest.Wait()
				}
				close(g.open)
				wg.Wait()
				for i, err := range errs {
					if (err != nil) != (i == 7 && name != "for good") {
						t.Errorf("message %d: %v", i, err)
					}
				}
				if u.books.total.Scored != 9*2 {
					t.Errorf("booked %+v", u.books.total)
				}
			})
		})
	}
}

// TestGroups: what is never called together.
func TestGroups(t *testing.T) {
	many := make([]string, maxGroup)
	for i := range many {
		many[i] = fmt.Sprint("m", i)
	}
	g := newGate()
	u := newSettler(g.handle)
	u.Calls = 1
	var wg sync.WaitGroup
	for i, m := range []*Message{
		packed(t, "first"),
		packed(t, "a"), packed(t, "a"), packed(t, "b"), // the second a waits
		packed(t, many...), // more than what one call has
		dead(packed(t, "c"), 3), dead(packed(t, "d"), 1),
		packed(t, "e"),
	} {
		wg.Go(func() {
			if err := u.Deliver(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
		for waiting := -1; waiting < i; {
			u.mu.Lock()
			waiting = len(u.waiting) + u.calls - 1
			u.mu.Unlock()
			runtime.Gosched()
		}
	}
	close(g.open)
	wg.Wait()
	got := make([]string, len(g.calls))
	for i, names := range g.calls {
		got[i] = fmt.Sprint(names[0], len(names))
	}
	if want := []string{"first1", "a3", "a1", "m0512", "c1", "d1"}; !slices.Equal(got, want) {
		t.Errorf("called %v, want %v", got, want)
	}
}

// TestLeavingACall: who goes away leaves the call to the others. It ends when the
// last one goes.
func TestLeavingACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		u := newSettler(g.handle)
		u.Calls = 1
		began := time.Now()
		type answer struct {
			err   error
			after time.Duration
		}
		answers := make([]answer, 5)
		ctxs, cancels := make([]context.Context, 5), make([]context.CancelFunc, 5)
		var wg sync.WaitGroup
		deliver := func(i int) {
			ctxs[i], cancels[i] = context.WithTimeout(t.Context(), 60*time.Second)
			wg.Go(func() {
				err := u.Deliver(ctxs[i], packed(t, fmt.Sprint(i)))
				answers[i] = answer{err, time.Since(began)}
			})
			synctest.Wait()
		}
		deliver(0)
		for i := 1; i < 5; i++ {
			deliver(i)
		}
		time.Sleep(time.Second)
		cancels[4]() // waits for a call
		synctest.Wait()
		cancels[0]() // the only one of its call
		synctest.Wait()
		if len(g.calls) != 2 || !slices.Equal(g.calls[1], []string{"1", "2", "3"}) {
			t.Fatalf("called %v", g.calls)
		}
		time.Sleep(time.Second)
		cancels[1]() // of three
		synctest.Wait()
		time.Sleep(time.Second)
		close(g.open)
		wg.Wait()
		synctest.Wait() // for what is settled of the message that nobody waits for
		for i, want := range []answer{{context.Canceled, time.Second}, {context.Canceled, 2 * time.Second}, {nil, 3 * time.Second}, {nil, 3 * time.Second}, {context.Canceled, time.Second}} {
			if !errors.Is(answers[i].err, want.err) || answers[i].after != want.after {
				t.Errorf("message %d: %v after %v, want %v", i, answers[i].err, answers[i].after, want)
			}
		}
		// What was done is booked, though one did not wait for it.
		if u.books.total.Scored != 3*2 {
			t.Errorf("booked %+v", u.books.total)
		}
		for _, cancel := range cancels {
			cancel()
		}
	})
}

// TestACallEndsWithTheLastDeadline: not with that of the first to come.
func TestACallEndsWithTheLastDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		u := newSettler(g.handle)
		u.Calls = 1
		began := time.Now()
		after := make([]time.Duration, 3)
		var wg sync.WaitGroup
		for i, timeout := range []time.Duration{10 * time.Second, 30 * time.Second, 20 * time.Second} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				if err := u.Deliver(ctx, packed(t, fmt.Sprint(i))); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "comes again") {
					t.Error(err)
				}
				after[i] = time.Since(began)
			})
			synctest.Wait()
		}
		wg.Wait()
		// The second goes last, with the time left to settle; the third waits until its own end.
		if want := []time.Duration{8 * time.Second, 28 * time.Second, 20 * time.Second}; !slices.Equal(after, want) {
			t.Errorf("ended after %v, want %v", after, want)
		}
		if u.books.commits != 0 || u.spent.sum("records_redelivered") != 3 {
			t.Errorf("%d commits, %v redelivered", u.books.commits, u.spent.sum("records_redelivered"))
		}
	})
}

// TestSettlingThatPanics ends with an error, and not the process.
func TestSettlingThatPanics(t *testing.T) {
	for name, spoil := range map[string]func(u *under){
		"the ledger":     func(u *under) { u.books.failCommit = func() error { panic("planted") } },
		"what it booked": func(u *under) { u.books.failRecord = func() error { panic("planted") } },
	} {
		t.Run(name, func(t *testing.T) {
			u := newSettler(func(ctx context.Context, records []stream.Record) error {
				return errors.Join(book(ctx, records...), ledger.Book{}.Record(ctx, []ledger.Delta{{People: 1}}))
			})
			spoil(u)
			err := u.Deliver(t.Context(), packed(t, "a"))
			if _, ok := errors.AsType[*stream.PanicError](err); !ok || !strings.Contains(u.log.String(), "planted") {
				t.Errorf("%v, logged %s", err, u.log.String())
			}
		})
	}
}
