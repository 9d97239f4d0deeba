package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/hitolayer/hito/infra/aws/sqs/message"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// Queue runs a stream.Handler behind an SQS event source mapping that reports
// batch item failures. A message of which one record failed comes again whole;
// the queue's redrive policy bounds how often.
type Queue struct {
	// Handler is called once with the records of all messages. Its context ends
	// Margin before the invocation.
	Handler stream.Handler
	// Stage and Quarantine are where goes what failed for good or cannot be read.
	// Without a Quarantine it fails as any other, and ends in the dead-letter queue.
	Stage      quarantine.Stage
	Quarantine quarantine.Sink
	// Before, if set, is called as every invocation begins.
	Before func(context.Context)
	// Log is told what failed; nil is slog.Default().
	Log *slog.Logger
	// Margin is the time kept for settling and answering, 2 s when 0.
	Margin time.Duration
}

// Invoke takes an SQS event. It fails only when it cannot read the event.
func (q *Queue) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := early(ctx, answerMargin)
	defer cancel()
	if q.Before != nil {
		q.Before(ctx)
	}
	messages, err := readRecords(nil, payload)
	if err != nil {
		return nil, fmt.Errorf("read the queue's event: %w", err)
	}
	for i := range messages {
		if len(messages[i].messageID) == 0 {
			return nil, fmt.Errorf("record %d of the event is not an SQS message", i)
		}
	}
	d := dequeued{q: q, messages: messages, failed: make([]error, len(messages))}
	d.open()
	if len(d.records) > 0 {
		work, cancel := early(ctx, cmp.Or(q.Margin, 2*time.Second))
		d.call(work, 0, len(d.records))
		cancel()
	}
	d.settle(ctx)
	var failed [][]byte
	for i, err := range d.failed {
		if err != nil {
			failed = append(failed, messages[i].messageID)
			logger(q.Log).ErrorContext(ctx, "a message comes again", "message", string(messages[i].messageID),
				"received", messages[i].deliveries(), "error", err)
		}
	}
	return appendFailures(nil, failed...), nil
}

// dequeued is the messages of one invocation.
type dequeued struct {
	q        *Queue
	messages []record
	failed   []error // by message
	records  []stream.Record
	of       []int // by record, its message
	entries  []quarantine.Entry
	from     []int // by entry, its message
}

func (d *dequeued) open() {
	for i := range d.messages {
		m := &d.messages[i]
		records, err := message.Decode(string(m.body))
		if err != nil {
			if !errors.Is(err, pack.ErrForm) {
				err = stream.Permanent(err)
			}
			d.fail(i, &stream.Record{Data: m.body, ID: string(m.messageID)}, err)
			continue
		}
		for j := range records {
			records[j].ID = string(m.messageID) + "." + strconv.Itoa(j)
			records[j].Attempt = m.deliveries()
			d.of = append(d.of, i)
		}
		d.records = append(d.records, records...)
	}
}

// fail notes what failed: an entry for quarantine, or the message.
func (d *dequeued) fail(message int, r *stream.Record, err error) {
	if stream.IsPermanent(err) && d.q.Quarantine != nil {
		d.entries = append(d.entries, quarantine.Of(d.q.Stage, r, err))
		d.from = append(d.from, message)
		return
	}
	d.failed[message] = cmp.Or(d.failed[message], err)
}

// call calls the handler with records; a panic is halved until the record is found.
func (d *dequeued) call(ctx context.Context, from, to int) {
	err := stream.Call(ctx, d.q.Handler, d.records[from:to])
	if failures, ok := err.(stream.Failures); ok && named(failures, to-from) { // a wrapped one speaks of another batch
		for _, f := range failures {
			d.fail(d.of[from+f.Index], &d.records[from+f.Index], cmp.Or(f.Err, errFailed))
		}
		return
	}
	panicked, ok := errors.AsType[*stream.PanicError](err)
	switch half := from + (to-from)/2; {
	case err == nil:
	case ok && to-from > 1 && ctx.Err() == nil:
		d.call(ctx, from, half)
		d.call(ctx, half, to)
	default:
		if ok {
			logger(d.q.Log).ErrorContext(ctx, "a handler panicked", "records", to-from, "first", d.records[from].ID,
				"panic", panicked.Value, "stack", string(panicked.Stack))
		}
		for i := from; i < to; i++ {
			d.fail(d.of[i], &d.records[i], err)
		}
	}
}

// settle puts in quarantine what is to go there.
func (d *dequeued) settle(ctx context.Context) {
	if len(d.entries) == 0 {
		return
	}
	if err := d.q.Quarantine.Put(ctx, d.entries); err != nil {
		err = fmt.Errorf("put %d records in quarantine: %w", len(d.entries), err)
		for _, i := range d.from {
			d.failed[i] = cmp.Or(d.failed[i], err)
		}
	}
}

// named reports whether the failures are of a batch of n records.
func named(failures stream.Failures, n int) bool {
	for _, f := range failures {
		if f.Index < 0 || f.Index >= n {
			return false
		}
	}
	return true
}
