package functions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
// Messages that come while others are being handled are handled together, by one
// call: else those of one busy visitor would each read the same fragment, and all
// but one of them would write it in vain. Each message is settled by itself.
//
// It is safe for concurrent use.
type Settler struct {
	// Handler is called with messages' records. Its context ends Margin before the
	// last delivery's, or when nobody waits for it any longer, and belongs to a Book.
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
	// Calls is how many calls of the handler there are at a time, at most: 4 when 0.
	Calls int

	mu      sync.Mutex
	calls   int
	waiting []*delivery // for a call, in order of arrival
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
	d := &delivery{s: s, m: m, id: message.Identity(m.Data, m.Attributes, m.ID), ctx: ctx, settled: make(chan error, 1)}
	work, cancel := early(ctx, margin(s.Margin))
	defer cancel()
	d.work = work
	if err := d.open(); err != nil {
		if !errors.Is(err, pack.ErrForm) { // which a later build mends: one is being deployed
			err = stream.Permanent(err)
		}
		whole := stream.Record{ID: d.id, Data: m.Data}
		if !m.Published.IsZero() {
			whole.Time = m.Published.UnixMilli()
		}
		d.records, d.failed = []stream.Record{whole}, []error{err}
	}
	var err error
	if d.failed == nil && len(d.records) > 0 {
		err = s.handle(d)
	} else {
		err = d.settle(work)
	}
	if err != nil {
		return d.again(err)
	}
	return nil
}

// delivery is a message on its way through the handler.
type delivery struct {
	s       *Settler
	m       *Message
	id      string
	ctx     context.Context // ends when whoever delivered does not wait any longer
	work    context.Context // ends while there is time to settle
	group   *group          // whose records this message's are among, once they are called
	records []stream.Record
	failed  []error        // by record
	deltas  []ledger.Delta // what was recorded of the records
	settled chan error     // gets what Deliver returns
}

// last tells whether what fails is not to come again.
func (d *delivery) last() bool { return d.m.Final && d.m.Attempt >= lastAttempt }

func (d *delivery) open() (err error) {
	d.records, err = message.Open(d.m.Data, d.m.Attributes, d.m.ID)
	for i := range d.records {
		d.records[i].Attempt = max(d.m.Attempt, 1)
	}
	return err
}

// settle puts what failed for good in quarantine, and books what was recorded.
// work is the context that the handler had.
//
// What comes again leaves nothing in quarantine, which books its entries: the
// record might succeed the next time. That can happen only when, after it was put
// there, the commit fails.
func (d *delivery) settle(work context.Context) error {
	ctx, end := settling(d.ctx, margin(d.s.Margin))
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
	if why == nil {
		why = d.commit(ctx)
	}
	d.s.emit(ctx, "records_quarantined", quarantined)
	return why
}

// again tells why the message comes again.
func (d *delivery) again(why error) error {
	d.s.emit(d.ctx, "records_redelivered", len(d.records))
	return fmt.Errorf("%s: message %s of %d records comes again, attempt %d: %w", d.s.Group, d.id, len(d.records), d.m.Attempt, why)
}

// commit books what was recorded of the records, once they are all done. An
// event has one outcome: of a record that is in quarantine, which books that,
// only the acceptance is kept. What is booked of it, even if nothing, claims the
// message: should it come again, and the record succeed that time, its events
// have their outcome already.
func (d *delivery) commit(ctx context.Context) error {
	if d.s.Ledger == nil {
		return nil
	}
	for i, err := range d.failed {
		if err == nil {
			continue
		}
		r := &d.records[i]
		for at := range d.deltas {
			if delta := &d.deltas[at]; delta.Source == r.ID {
				delta.Counts = ledger.Counts{Accepted: delta.Counts.Accepted}
			}
		}
		d.deltas = append(d.deltas, ledger.Delta{Project: r.Project, Source: r.ID, Minute: r.Time / 60_000})
	}
	if len(d.deltas) == 0 {
		return nil
	}
	if err := d.s.Ledger.CommitOnce(ctx, d.s.Group+"/"+d.id, d.deltas); err != nil {
		return fmt.Errorf("commit message %s: %w", d.id, err)
	}
	return nil
}

// emit emits a count unless it is 0: messages that go well say nothing.
func (s *Settler) emit(ctx context.Context, name string, n int) {
	if s.Telemetry != nil && n > 0 {
		s.Telemetry.Emit(ctx, s.Group, telemetry.Value{Name: name, Unit: telemetry.Count, V: float64(n)})
	}
}
