package functions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/stream"
)

const (
	defaultCalls = 4
	// maxGroup is from how many records on no further message joins a call.
	maxGroup = 512
)

// group is messages whose records one call of the handler has.
type group struct {
	s       *Settler
	members []*delivery
	final   bool // dead letters
	ctx     context.Context
	cancel  context.CancelFunc
	here    int // members that have not left; guarded by the Settler
	page    ledger.Page
	records []stream.Record // of all members, in order
	failed  []error         // by record
}

// handle has a message handled and settled.
func (s *Settler) handle(d *delivery) error {
	s.mu.Lock()
	s.waiting = append(s.waiting, d)
	s.begin()
	s.mu.Unlock()
	select {
	case err := <-d.settled:
		return err
	case <-d.work.Done():
	}
	began, last := s.leave(d)
	switch {
	case !began:
		return d.work.Err()
	case last: // the call ends now
		if err := <-d.settled; err != nil {
			return fmt.Errorf("%w: %w", d.work.Err(), err)
		}
		return nil
	}
	select {
	case err := <-d.settled:
		return err
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
}

// leave says that d is not waited for any longer. It returns whether the call
// began, and whether d was the last one to be waited for, which ends the call.
func (s *Settler) leave(d *delivery) (began, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, d); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		return false, false
	}
	d.group.here--
	if d.group.here > 0 {
		return true, false
	}
	d.group.cancel()
	return true, true
}

// begin begins calls, as long as somebody waits and there may be more. The Settler is locked.
func (s *Settler) begin() {
	for s.calls < cmp.Or(s.Calls, defaultCalls) && len(s.waiting) > 0 {
		s.calls++
		go s.gather().run()
	}
}

// gather returns a group of those that wait. A message that came twice is in it
// once; a dead letter, of which what fails is tried alone, is by itself. The
// Settler is locked.
func (s *Settler) gather() *group {
	first := s.waiting[0]
	g := &group{s: s, final: first.m.Final}
	ids := make(map[string]bool, len(s.waiting))
	s.waiting = slices.DeleteFunc(s.waiting, func(d *delivery) bool {
		if len(g.members) > 0 && (g.final || d.m.Final || ids[d.id] || len(g.records)+len(d.records) > maxGroup) {
			return false
		}
		ids[d.id] = true
		g.members, g.records = append(g.members, d), append(g.records, d.records...)
		return true
	})
	g.here, g.failed = len(g.members), make([]error, len(g.records))
	g.ctx, g.cancel = context.WithCancel(context.WithoutCancel(first.work))
	if until, ok := g.latest().work.Deadline(); ok {
		g.ctx, g.cancel = context.WithDeadline(context.WithoutCancel(first.work), until)
	}
	at := 0
	for _, d := range g.members {
		to := at + len(d.records)
		d.group, d.records, d.failed = g, g.records[at:to:to], g.failed[at:to:to]
		at = to
	}
	return g
}

// latest returns the member that is waited for longest.
func (g *group) latest() *delivery {
	return slices.MaxFunc(g.members, func(a, b *delivery) int {
		x, bounded := a.work.Deadline()
		y, also := b.work.Deadline()
		switch {
		case bounded && also:
			return x.Compare(y)
		case bounded:
			return -1
		case also:
			return 1
		}
		return 0
	})
}

// run calls the handler, and settles each message.
func (g *group) run() {
	defer g.cancel()
	g.call(g.page.With(g.ctx))
	g.s.mu.Lock()
	g.s.calls--
	g.s.begin()
	g.s.mu.Unlock()

	err := g.safely(g.book)
	var settling sync.WaitGroup
	for _, d := range g.members {
		settling.Go(func() {
			if err != nil {
				d.settled <- err
			} else {
				d.settled <- g.safely(func() error { return d.settle(g.ctx) })
			}
		})
	}
	settling.Wait()
}

// safely calls f, whose panic is an error: it is no request's, whose server would
// catch it.
func (g *group) safely(f func() error) error {
	var failed error
	err := stream.Call(g.ctx, func(context.Context, []stream.Record) error {
		failed = f()
		return nil
	}, nil)
	if p, ok := err.(*stream.PanicError); ok {
		g.tell(g.ctx, p, 0, len(g.records))
		return p
	}
	return failed
}

// book hands to members what was recorded of their records, and books the rest
// always, since it says what has happened and does so only once.
func (g *group) book() error {
	of := make(map[string]*delivery, len(g.records))
	for _, d := range g.members {
		for i := range d.records {
			of[d.records[i].ID] = d
		}
	}
	var loose []ledger.Delta
	for _, delta := range g.page.Take() {
		delta = delta.Whole()
		if d := of[delta.Source]; d != nil {
			d.deltas = append(d.deltas, delta)
		} else {
			loose = append(loose, delta)
		}
	}
	if len(loose) == 0 || g.s.Ledger == nil {
		return nil
	}
	ctx, end := settling(g.latest().ctx, margin(g.s.Margin))
	defer end()
	if err := g.s.Ledger.Record(ctx, loose); err != nil {
		return fmt.Errorf("record what %d messages have changed: %w", len(g.members), err)
	}
	return nil
}

// call calls the handler with all records, and enters in failed what became of
// them. When the call fails as a whole, each message is called by itself: one
// may be to blame for all.
func (g *group) call(ctx context.Context) {
	if len(g.members) > 1 {
		mark := g.page.Mark()
		err := g.try(ctx, 0, len(g.records))
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			g.fail(err, 0, len(g.records))
			return
		}
		g.page.Forget(mark)
	}
	at := 0
	for _, d := range g.members {
		to := at + len(d.records)
		_, _ = g.halve(ctx, at, to) // failed has it all
		at = to
	}
}

// try calls the handler once. It returns an error when that failed as a whole.
func (g *group) try(ctx context.Context, from, to int) error {
	err := stream.Call(ctx, g.s.Handler, g.records[from:to])
	if failures, ok := err.(stream.Failures); ok { // a wrapped one speaks of another batch
		return g.blame(failures, from, to)
	}
	return err
}

// halve calls the handler with records. What panics is halved until the record is
// found, and what fails of a dead letter too. told says that a panic was logged;
// stop, that it is no use to go on.
func (g *group) halve(ctx context.Context, from, to int) (told bool, stop error) {
	mark := g.page.Mark()
	err := g.try(ctx, from, to)
	if err == nil {
		return false, nil
	}
	panicked, ok := errors.AsType[*stream.PanicError](err)
	if to-from == 1 || ctx.Err() != nil || !ok && !g.final {
		g.fail(err, from, to)
		if ok {
			g.tell(ctx, panicked, from, to)
		}
		switch {
		case ctx.Err() != nil:
			stop = ctx.Err()
		case !ok && !g.final && !stream.IsPermanent(err): // which says nothing of others
			stop = err
		}
		return ok, stop
	}
	g.page.Forget(mark) // what is not called again keeps its acceptance
	half := from + (to-from)/2
	if told, stop = g.halve(ctx, from, half); stop == nil {
		var also bool
		also, stop = g.halve(ctx, half, to)
		told = told || also
	} else {
		g.fail(stop, half, to)
	}
	if ok && !told { // it does not come again
		g.tell(ctx, panicked, from, to)
		told = true
	}
	return told, stop
}

func (g *group) fail(err error, from, to int) {
	for i := from; i < to; i++ {
		g.failed[i] = err
	}
}

var errFailed = errors.New("the handler failed on it and does not say why")

// blame enters failures by position in failed.
func (g *group) blame(failures stream.Failures, from, to int) error {
	for _, f := range failures {
		if f.Index < 0 || f.Index >= to-from {
			// Whether one of these is permanent says nothing: it is not known of which record.
			return fmt.Errorf("the handler names records that %d do not have: %v", to-from, failures)
		}
	}
	for _, f := range failures {
		g.failed[from+f.Index] = cmp.Or(f.Err, errFailed)
	}
	return nil
}

func (g *group) tell(ctx context.Context, p *stream.PanicError, from, to int) {
	logger(g.s.Log).ErrorContext(ctx, "a handler panicked", "group", g.s.Group, "records", to-from,
		"first", g.records[from].ID, "panic", p.Value, "stack", string(p.Stack))
}
