package awslambda

import (
	"context"
	"errors"
	"time"
)

// attempts are what was tried with a batch.
type attempts struct {
	invocations int
	retries     int // of those that count against MaximumRetryAttempts
	throttled   int // in a row
	last        error
}

// deliver has the function handle a batch, in order, and returns when every
// record of it is done or given up, or ctx has ended.
//
// What follows a failure
// (docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html,
// .../services-kinesis-batchfailurereporting.html):
//   - Not invoked, for throttling: again, until the records are too old.
//   - A part reported as failed: the batch is cut at the lowest sequence number,
//     what comes before is done, what remains is a batch of its own.
//   - The whole batch failed: with bisecting it is cut in half, which does not
//     count as a retry; else it is retried until the attempts are used up. A
//     report of its very first record is the failure of the whole.
//   - Given up: a message goes to the destination, and the next batch follows.
func (l *lane) deliver(ctx context.Context, batch []*record, tried attempts) {
	m := l.mapping
	for ctx.Err() == nil {
		if batch = l.dropOld(ctx, batch, tried); len(batch) == 0 {
			return
		}
		failed, err := l.invoke(ctx, batch)
		if ctx.Err() != nil {
			return // whatever came of it, it is delivered again
		}
		if err != nil {
			if _, ran := errors.AsType[*FunctionError](err); !ran {
				m.count(func(s *StreamStats) { s.Throttled++ })
				if !errors.Is(err, ErrThrottled) {
					m.log().Warn("invoke", "stream", m.SourceARN, "shard", l.shard, "error", err)
				}
				tried.throttled++
				wait(ctx, backoff(m.Scale, tried.throttled))
				continue
			}
			failed = 0
		}
		tried.invocations, tried.throttled, tried.last = tried.invocations+1, 0, err
		switch {
		case failed == len(batch):
			l.done(batch)
			if m.Redeliver == nil || !m.Redeliver(l.batch(batch, tried)) {
				return
			}
			m.count(func(s *StreamStats) { s.Redelivered++ })
			tried = attempts{}
		case failed > 0:
			m.count(func(s *StreamStats) { s.Partial++ })
			l.done(batch[:failed])
			batch, tried = batch[failed:], attempts{}
			wait(ctx, backoff(m.Scale, 1))
		case m.BisectBatchOnFunctionError && len(batch) > 1:
			m.count(func(s *StreamStats) { s.Failed++; s.Bisected++ })
			wait(ctx, backoff(m.Scale, 1))
			half := len(batch) / 2
			l.deliver(ctx, batch[:half], tried)
			batch = batch[half:]
		default:
			m.count(func(s *StreamStats) { s.Failed++ })
			if m.MaximumRetryAttempts != nil && tried.retries >= *m.MaximumRetryAttempts {
				l.discard(ctx, batch, RetryAttemptsExhausted, tried)
				return
			}
			tried.retries++
			wait(ctx, backoff(m.Scale, tried.retries))
		}
	}
}

// done books records as handled.
func (l *lane) done(records []*record) {
	fresh := l.at.done(records)
	l.mapping.count(func(s *StreamStats) { s.Batches++; s.Records += fresh })
}

// invoke runs the function and returns the index of the first record that it
// did not do: len(batch) when all is done, 0 when the whole batch failed.
func (l *lane) invoke(ctx context.Context, batch []*record) (failed int, err error) {
	answer, err := l.mapping.Function.Invoke(ctx, event(batch))
	if err != nil {
		return 0, err
	}
	if !l.mapping.ReportBatchItemFailures {
		return len(batch), nil
	}
	return firstFailed(batch, answer), nil
}

// firstFailed returns the index of the record with the lowest sequence number
// that an answer reports, len(batch) if it reports none, 0 if the answer is of
// no use or the number is of no record in the batch.
func firstFailed(batch []*record, answer []byte) int {
	ids, ok := itemFailures(answer)
	if !ok {
		return 0
	}
	if len(ids) == 0 {
		return len(batch)
	}
	lowest := ids[0]
	for _, id := range ids[1:] {
		if compareSequences(id, lowest) < 0 {
			lowest = id
		}
	}
	for i, r := range batch {
		if r.sequence == lowest {
			return i
		}
	}
	return 0
}

// dropOld gives up the records that are older than the mapping allows.
func (l *lane) dropOld(ctx context.Context, batch []*record, tried attempts) []*record {
	limit := scaled(l.mapping.Scale, l.mapping.MaximumRecordAge)
	if limit == 0 {
		return batch
	}
	n := 0
	for n < len(batch) && time.Since(batch[n].arrived) > limit {
		n++
	}
	if n > 0 {
		l.discard(ctx, batch[:n], RecordAgeExceeded, tried)
	}
	return batch[n:]
}

// batch describes records.
func (l *lane) batch(records []*record, tried attempts) Batch {
	return Batch{
		Shard: l.shard, First: records[0].sequence, Last: records[len(records)-1].sequence, Size: len(records),
		FirstPartition: records[0].key, EarlierAttempts: tried.invocations - 1,
	}
}
