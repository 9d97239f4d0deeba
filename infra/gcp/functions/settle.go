package functions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
	"github.com/hitolayer/hito/shared/telemetry"
)

// Settler takes messages through a stream.Handler, and sees to it that each of
// their records ends where it should: done, in quarantine, or delivered again.
//
// A message of which a record failed for a while comes again whole. Else what
// failed for good, or cannot be read, goes to quarantine and counts as done. When a
// handler panics its call is halved until the record is found, which then fails
// as any other: the subscription's bounded attempts decide, after which the
// message comes once more as a dead letter. What still fails with the third
// attempt of that goes to quarantine.
//
// It is safe for concurrent use.
type Settler struct {
	// Handler is called with a message's records. Its context ends Margin before
	// the delivery's, and belongs to a Book.
	Handler stream.Handler
	// Group names the consumer in logs and telemetry: "score".
	Group string
	// Stage is where entries in quarantine were found unfit.
	Stage      quarantine.Stage
	Quarantine quarantine.Sink
	// Ledger takes what the handler records in Book, once for each message; nil
	// keeps no books.
	Ledger Ledger
	// Telemetry takes what went wrong, in records: records_redelivered,
	// records_quarantined. nil discards it.
	Telemetry telemetry.Sink
	// Log is told of panics; nil is slog.Default().
	Log *slog.Logger
	// Margin is the time kept for settling, 2 s when 0.
	Margin time.Duration
}

// Ledger is what a Settler needs of one.
type Ledger interface {
	ledger.Recorder
	// CommitOnce is that of ledger.Committer.
	CommitOnce(ctx context.Context, id string, deltas []ledger.Delta) error
}

// lastAttempt is with which attempt a dead letter is not waited for any longer.
const lastAttempt = 3

// Deliver takes a message. It returns nil once the message is to be acknowledged,
// and else why it must come again.
func (s *Settler) Deliver(ctx context.Context, m *Message) error {
	d := delivery{s: s, m: m, id: message.Identity(m.Data, m.Attributes, m.ID)}
	work, cancel := early(ctx, margin(s.Margin))
	defer cancel()
	if err := d.open(); err != nil {
		if !errors.Is(err, pack.ErrForm) { // which a later build mends: one is being deployed
			err = stream.Permanent(err)
		}
		whole := stream.Record{ID: d.id, Data: m.Data}
		if !m.Published.IsZero() {
			whole.Time = m.Published.UnixMilli()
		}
		d.records, d.failed = []stream.Record{whole}, []error{err}
	} else if len(d.records) > 0 {
		_, _ = d.call(d.page.With(work), 0, len(d.records)) // d.failed has it all
	}
	return d.settle(ctx, work)
}

// delivery is a message on its way through the handler.
type delivery struct {
	s       *Settler
	m       *Message
	id      string
	records []stream.Record
	failed  []error // by record
	page    ledger.Page
}

// last tells whether what fails is not to come again.
func (d *delivery) last() bool { return d.m.Final && d.m.Attempt >= lastAttempt }

func (d *delivery) open() (err error) {
	d.records, err = message.Open(d.m.Data, d.m.Attributes, d.m.ID)
	for i := range d.records {
		d.records[i].Attempt = max(d.m.Attempt, 1)
	}
	d.failed = make([]error, len(d.records))
	return err
}

// call calls the handler with records, and enters in d.failed what became of
// them. What panics is halved until the record is found, and what fails of a dead
// letter too. told says that a panic was logged; stop, that it is no use to go on.
func (d *delivery) call(ctx context.Context, from, to int) (told bool, stop error) {
	mark := d.page.Mark()
	err := stream.Call(ctx, d.s.Handler, d.records[from:to])
	if err == nil {
		return false, nil
	}
	if failures, ok := err.(stream.Failures); ok { // a wrapped one speaks of another batch
		if err = d.blame(failures, from, to); err == nil {
			return false, nil
		}
	}
	panicked, ok := errors.AsType[*stream.PanicError](err)
	if to-from == 1 || ctx.Err() != nil || !ok && !d.m.Final {
		for i := from; i < to; i++ {
			d.failed[i] = err
		}
		if ok {
			d.tell(ctx, panicked, from, to)
		}
		switch {
		case ctx.Err() != nil:
			stop = ctx.Err()
		case !ok && !d.m.Final && !stream.IsPermanent(err): // which says nothing of others
			stop = err
		}
		return ok, stop
	}
	d.page.Forget(mark) // what is not called again keeps its acceptance
	half := from + (to-from)/2
	if told, stop = d.call(ctx, from, half); stop == nil {
		var also bool
		also, stop = d.call(ctx, half, to)
		told = told || also
	} else {
		for i := half; i < to; i++ {
			d.failed[i] = stop
		}
	}
	if ok && !told { // it does not come again
		d.tell(ctx, panicked, from, to)
		told = true
	}
	return told, stop
}

var errFailed = errors.New("the handler failed on it and does not say why")

// blame enters failures by position in d.failed.
func (d *delivery) blame(failures stream.Failures, from, to int) error {
	for _, f := range failures {
		if f.Index < 0 || f.Index >= to-from {
			// Whether one of these is permanent says nothing: it is not known of which record.
			return fmt.Errorf("the handler names records that %d do not have: %v", to-from, failures)
		}
	}
	for _, f := range failures {
		d.failed[from+f.Index] = cmp.Or(f.Err, errFailed)
	}
	return nil
}

func (d *delivery) tell(ctx context.Context, p *stream.PanicError, from, to int) {
	logger(d.s.Log).ErrorContext(ctx, "a handler panicked", "group", d.s.Group, "records", to-from,
		"first", d.records[from].ID, "panic", p.Value, "stack", string(p.Stack))
}

// settle puts what failed for good in quarantine, and books what was recorded.
// work is the context that the handler had.
//
// What comes again leaves nothing in quarantine: who puts an entry there books its
// outcome, and the record might succeed the next time.
func (d *delivery) settle(ctx, work context.Context) error {
	ctx, end := settling(ctx, margin(d.s.Margin))
	defer end()
	var entries []quarantine.Entry
	var why error
	for i, err := range d.failed {
		switch {
		case err == nil:
		case stream.IsPermanent(err) || d.last() && work.Err() == nil:
			entries = append(entries, quarantine.Of(d.s.Stage, &d.records[i], err))
		default:
			why = cmp.Or(why, err)
		}
	}
	quarantined := 0
	if len(entries) > 0 && why == nil {
		if err := d.s.Quarantine.Put(ctx, entries); err != nil {
			why = fmt.Errorf("put %d records in quarantine: %w", len(entries), err)
		} else {
			quarantined = len(entries)
		}
	}
	if err := d.book(ctx, why == nil); err != nil {
		why = cmp.Or(why, err)
	}
	again := 0
	if why != nil {
		again = len(d.records)
	}
	d.s.emit(ctx,
		telemetry.Value{Name: "records_redelivered", Unit: telemetry.Count, V: float64(again)},
		telemetry.Value{Name: "records_quarantined", Unit: telemetry.Count, V: float64(quarantined)})
	if why != nil {
		return fmt.Errorf("%s: message %s of %d records comes again, attempt %d: %w", d.s.Group, d.id, len(d.records), d.m.Attempt, why)
	}
	return nil
}

// book books what was recorded: of no record, always, since it says what has
// happened and does so only once; of the records, once they are all done. An
// event has one outcome: of a record that is in quarantine, which books that,
// only the acceptance is kept. What is booked of it, even if nothing, claims the
// message: should it come again, and the record succeed that time, its events
// have their outcome already.
func (d *delivery) book(ctx context.Context, done bool) error {
	if d.s.Ledger == nil {
		return nil
	}
	byID := make(map[string]int, len(d.records))
	for i := range d.records {
		byID[d.records[i].ID] = i
	}
	var loose, deltas []ledger.Delta
	for _, delta := range d.page.Take() {
		delta = delta.Whole()
		i, ok := byID[delta.Source]
		if !ok {
			loose = append(loose, delta)
			continue
		}
		if d.failed[i] != nil {
			delta.Counts = ledger.Counts{Accepted: delta.Counts.Accepted}
		}
		deltas = append(deltas, delta)
	}
	if len(loose) > 0 {
		if err := d.s.Ledger.Record(ctx, loose); err != nil {
			return fmt.Errorf("record what message %s has changed: %w", d.id, err)
		}
	}
	if !done {
		return nil
	}
	for i, err := range d.failed {
		if err != nil {
			r := &d.records[i]
			deltas = append(deltas, ledger.Delta{Project: r.Project, Source: r.ID, Minute: r.Time / 60_000})
		}
	}
	if len(deltas) == 0 {
		return nil
	}
	if err := d.s.Ledger.CommitOnce(ctx, d.s.Group+"/"+d.id, deltas); err != nil {
		return fmt.Errorf("commit message %s: %w", d.id, err)
	}
	return nil
}

// emit emits values unless all of them are 0: messages that go well say nothing.
func (s *Settler) emit(ctx context.Context, values ...telemetry.Value) {
	if s.Telemetry == nil {
		return
	}
	for _, v := range values {
		if v.V != 0 {
			s.Telemetry.Emit(ctx, s.Group, values...)
			return
		}
	}
}
