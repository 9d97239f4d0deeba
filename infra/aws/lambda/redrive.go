package lambda

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/shared/telemetry"
)

var (
	errNoFetcher = errors.New("no reader of the stream is configured")
	errTrimmed   = errors.New("the stream no longer has records of the batch: they are lost to it")
)

// lastDelivery is with which delivery of its message a discarded batch is not
// waited for any longer: what fails then goes to quarantine.
const lastDelivery = 3

// redrive takes the messages that tell of discarded batches, and answers with
// those that must come again.
func (s *Stream) redrive(ctx context.Context, messages []record) []byte {
	var failed [][]byte
	for i := range messages {
		if err := s.redriveBatch(ctx, &messages[i]); err != nil {
			failed = append(failed, messages[i].messageID)
			logger(s.Log).ErrorContext(ctx, "a discarded batch could not be redriven", "group", s.Group,
				"message", string(messages[i].messageID), "received", messages[i].deliveries(), "error", err)
		}
	}
	return appendFailures(nil, failed...)
}

// redriveBatch reads a discarded batch from its stream and settles all of it.
func (s *Stream) redriveBatch(ctx context.Context, m *record) error {
	d, err := readDiscarded(m.body)
	if err != nil {
		return err
	}
	if s.Records == nil {
		return errNoFetcher
	}
	// The stream, not a consumer that is registered with it.
	arn, _, _ := strings.Cut(d.stream, "/consumer/")
	records, err := s.Records.Fetch(ctx, arn, d.shard, d.first, d.last)
	// What is left of a batch is handled whatever is lost of it.
	if _, lost := errors.AsType[*shard.LostError](err); err != nil && !lost {
		return fmt.Errorf("fetch %s to %s of %s/%s: %w", d.first, d.last, arn, d.shard, err)
	}
	logger(s.Log).WarnContext(ctx, "redriving a discarded batch", "group", s.Group, "shard", d.shard,
		"first", d.first, "last", d.last, "kinesis_records", len(records), "of", d.size, "condition", d.condition)
	items := make([]item, len(records))
	for i := range records {
		r := &records[i]
		items[i] = item{sequence: []byte(r.Sequence), data: r.Data, arrived: r.Arrived}
	}
	b := batch{s: s, stream: streamName(arn), shard: d.shard, items: items, final: true, last: m.deliveries() >= lastDelivery, attempt: d.attempts + m.deliveries(), repeated: len(items)}
	done, why := b.run(ctx)
	if err := b.commit(ctx, done); err != nil {
		why = err
	}
	missing := d.missing(records)
	s.emit(ctx,
		telemetry.Value{Name: "records_quarantined", Unit: telemetry.Count, V: float64(b.quarantined)},
		telemetry.Value{Name: "records_trimmed", Unit: telemetry.Count, V: float64(missing)})
	if missing > 0 {
		why = errors.Join(why, fmt.Errorf("%w: at least %d of %d from %s to %s", errTrimmed, missing, d.size, d.first, d.last))
	}
	return why
}

// missing returns how many of the batch's records the stream no longer had, at
// the least. It may have given more: those of other batches in between.
func (d *discarded) missing(records []shard.Record) int {
	n := max(0, d.size-len(records))
	if n == 0 && (len(records) == 0 || compare([]byte(records[0].Sequence), []byte(d.first)) != 0 ||
		compare([]byte(records[len(records)-1].Sequence), []byte(d.last)) != 0) {
		n = 1
	}
	return n
}
