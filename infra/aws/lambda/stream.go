package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// Fetcher reads records again that a stream still has.
type Fetcher interface {
	// Fetch returns the records of a shard from the sequence number first to last,
	// both included, in order. With those that are left of what the stream no
	// longer has all of comes an error of type *shard.LostError.
	Fetch(ctx context.Context, streamARN, shardID, first, last string) ([]shard.Record, error)
}

// Stream runs a stream.Handler behind a Kinesis event source mapping that
// reports batch item failures. Every Kinesis record is a pack of records, or an
// aggregate of the Kinesis Producer Library whose user records are packs.
//
// Lambda is told the first record that failed, and delivers it and all that
// follow again. If that is the batch's first, the invocation fails: a mapping
// with BisectBatchOnFunctionError then halves the batch, until the record that
// fails is alone and holds up no other. What failed for good, or cannot be read,
// goes to quarantine and counts as done. When a handler panics its call is halved
// until the record is found, which then fails as any other: the mapping's bounded
// retries decide.
//
// A batch that the mapping gives up goes to its on-failure destination: an SQS
// queue that is to trigger the same function. Stream then reads its records from
// the stream again, and what still fails with the message's third delivery goes to
// quarantine; what can never succeed, at once.
//
// The mapping's ParallelizationFactor must be 1: the ledger is booked in the order
// of a shard's sequence numbers, and a discarded batch is told as a range of them.
//
// It must not be copied after its first invocation.
type Stream struct {
	// Handler is called with as many records as come, up to MaxRecords and
	// MaxBytes. Its context ends Margin before the invocation, and belongs to a Book.
	Handler stream.Handler
	// Group names the consumer in the ledger, in logs and in telemetry: "score".
	Group string
	// Stage is where entries in quarantine were found unfit.
	Stage      quarantine.Stage
	Quarantine quarantine.Sink
	// Ledger takes what the handler records in Book; nil keeps no books.
	Ledger ledger.Committer
	// Records reads what the mapping gave up; nil fails the redrive queue's messages.
	Records Fetcher
	// Before, if set, is called as every invocation begins.
	Before func(context.Context)
	// Telemetry takes what went wrong, in records: records_redelivered,
	// records_quarantined, records_trimmed. nil discards it.
	Telemetry telemetry.Sink
	// Log is told what failed; nil is slog.Default().
	Log *slog.Logger
	// Margin is the time kept for settling and answering, 2 s when 0.
	Margin time.Duration
	// MaxRecords and MaxBytes bound a call: no pack is opened once the open ones
	// hold so many records, or bytes of Data; 5,000 and 8 MiB when 0.
	MaxRecords, MaxBytes int

	mu   sync.Mutex
	last redelivery
}

var recordPool = sync.Pool{New: func() any { return new([]record) }}

// Invoke takes a Kinesis event, or an SQS event of the on-failure queue. It
// fails when it cannot read the event, or none of several Kinesis records is done.
func (s *Stream) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if s.Before != nil {
		s.Before(ctx)
	}
	lent := recordPool.Get().(*[]record)
	records, err := readRecords((*lent)[:0], payload)
	defer func() {
		clear(records)
		*lent = records
		recordPool.Put(lent)
	}()
	if err != nil {
		return nil, fmt.Errorf("%s: read the event: %w", s.Group, err)
	}
	if len(records) > 0 && len(records[0].messageID) > 0 {
		return s.redrive(ctx, records), nil
	}
	items := make([]item, len(records))
	for i := range records {
		if err := items[i].read(&records[i]); err != nil {
			return nil, fmt.Errorf("%s: record %d of the event: %w", s.Group, i, err)
		}
		if !bytes.Equal(records[i].shard(), records[0].shard()) {
			return nil, fmt.Errorf("%s: the event is of %s and %s: a mapping delivers one shard at a time", s.Group, records[0].shard(), records[i].shard())
		}
	}
	if len(items) == 0 {
		return appendFailures(nil), nil
	}
	return s.deliver(ctx, streamName(string(records[0].stream)), string(records[0].shard()), items)
}

var errNoSequence = errors.New("neither a Kinesis record with eventID and sequence number, nor an SQS message")

// read decodes a Kinesis record, in place.
func (it *item) read(r *record) error {
	if len(r.shard()) == 0 || !isNumber(r.sequence) {
		return errNoSequence
	}
	it.sequence = r.sequence
	it.seconds = r.arrived
	n, err := base64.StdEncoding.Decode(r.data, r.data) // what is read is always ahead of what is written
	if err != nil {
		it.bad = fmt.Errorf("the record's data: %w", err)
		it.data = r.data
		return nil
	}
	it.data = r.data[:n:n]
	return nil
}

// deliver takes a batch that will come again as far as it fails.
func (s *Stream) deliver(ctx context.Context, stream, shard string, items []item) ([]byte, error) {
	b := batch{s: s, stream: stream, shard: shard, items: items}
	sortItems(items)
	b.attempt, b.repeated = s.attempt(shard, items)
	done, why := b.run(ctx)
	if err := b.commit(ctx, done); err != nil {
		done, why = 0, err
	}
	if done == len(items) {
		s.emit(ctx, telemetry.Value{Name: "records_quarantined", Unit: telemetry.Count, V: float64(b.quarantined)})
		return appendFailures(nil), nil
	}
	first := items[done].sequence
	attempt := 1
	if done < b.repeated {
		attempt = b.attempt
	}
	s.remember(shard, first, items[len(items)-1].sequence, attempt)
	s.emit(ctx,
		telemetry.Value{Name: "records_redelivered", Unit: telemetry.Count, V: float64(len(items) - done)},
		telemetry.Value{Name: "records_quarantined", Unit: telemetry.Count, V: float64(b.quarantined)})
	if done == 0 && len(items) > 1 {
		return nil, fmt.Errorf("%s: all %d records of %s from %s come again, attempt %d: %w", s.Group, len(items), shard, first, attempt, why)
	}
	logger(s.Log).ErrorContext(ctx, "records come again", "group", s.Group, "shard", shard, "first", string(first),
		"kinesis_records", len(items)-done, "of", len(items), "attempt", attempt, "error", why)
	return appendFailures(nil, first), nil
}

// answerMargin is kept for the answer, whatever hangs.
const answerMargin = 200 * time.Millisecond

// streamName is what a stream's ARN, or that of a consumer of it, calls the stream.
func streamName(arn string) string {
	_, name, _ := strings.Cut(arn, ":stream/")
	name, _, _ = strings.Cut(name, "/")
	return name
}

// emit emits values unless all of them are 0: batches that go well say nothing.
func (s *Stream) emit(ctx context.Context, values ...telemetry.Value) {
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

func (s *Stream) margin() time.Duration {
	if s.Margin > 0 {
		return s.Margin
	}
	return 2 * time.Second
}

func (s *Stream) bounds() (records, bytes int) {
	records, bytes = s.MaxRecords, s.MaxBytes
	if records <= 0 {
		records = 5000
	}
	if bytes <= 0 {
		bytes = 8 << 20
	}
	return records, bytes
}

// redelivery is the last batch that failed here: Lambda does not say how often
// it has delivered a record, and mostly it delivers it again to the same sandbox.
type redelivery struct {
	shard       string
	first, last []byte
	attempts    int
}

// attempt returns which delivery this is of the batch's first items, and of how many.
func (s *Stream) attempt(shard string, items []item) (attempt, repeated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.shard != shard || compare(items[0].sequence, s.last.first) != 0 {
		return 1, 0
	}
	for repeated < len(items) && compare(items[repeated].sequence, s.last.last) <= 0 {
		repeated++
	}
	return s.last.attempts + 1, repeated
}

func (s *Stream) remember(shard string, first, last []byte, attempts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = redelivery{shard, bytes.Clone(first), bytes.Clone(last), attempts}
}
