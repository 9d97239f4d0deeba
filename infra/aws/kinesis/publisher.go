// Package kinesis carries streams over Amazon Kinesis Data Streams: a Publisher
// that packs records, and a Reader of what a shard still has of a range.
package kinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/aws/batch"
	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/shared/stream"
)

// ErrThrottled is in the chain of an error (errors.Is) when the stream's shards,
// or the account, took no more just then: the same records may do later.
var ErrThrottled = retry.ErrThrottled

// API is what a Publisher needs of *kinesis.Client.
type API interface {
	PutRecords(context.Context, *kinesis.PutRecordsInput, ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
}

// What PutRecords takes. The API's reference says 10 MiB a call since records may
// be that large; 5 MiB was the bound before, still is in some regions, and is
// plenty. https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
const (
	maxEntries   = 500
	maxCallBytes = 5 << 20
)

const (
	defaultRecordBytes = 1 << 20
	// defaultPackBytes is before compression, by which a pack becomes about a
	// fifth: one of the 25 KB that a provisioned stream bills by.
	defaultPackBytes = 64 << 10
	defaultParallel  = 4
	defaultTimeout   = 5 * time.Second
)

// Publisher puts records on a stream, packed: a Kinesis record carries records of
// one partition (pack.Partition), under the partition's number as its key, on
// the shard whose share of the hash keys the partition falls in.
// Client and Stream must be set.
type Publisher struct {
	Client API
	// Stream is the stream's name or ARN.
	Stream string
	// Together puts all records of a call in the first one's partition: fewer
	// Kinesis records, for a stream whose consumer keeps no state by visitor.
	Together bool
	// MaxRecordBytes bounds a Kinesis record, its data and partition key
	// together: 1 MiB when 0. A stream may be configured for up to 10 MiB.
	MaxRecordBytes int
	// PackBytes is where a pack of several records ends, before compression:
	// 64 KiB when 0. A consumer that fails a record gets its whole pack again.
	PackBytes int
	// Parallel is how many calls to Kinesis a Publish makes at the same time: 4 when 0.
	Parallel int
	// Timeout bounds one call to Kinesis: 5 s when 0.
	Timeout time.Duration
	// Patience bounds a Publish, with all its attempts: 0 leaves that to its ctx.
	Patience time.Duration

	backoff retry.Backoff
}

var _ stream.Publisher = (*Publisher)(nil)

// once keeps the SDK from trying again itself: it cannot try again only the
// records that a call did not take, and its attempts would multiply with ours.
func once(o *kinesis.Options) { o.Retryer = sdk.NopRetryer{} }

// Publish implements stream.Publisher. What fails on the way is tried again
// until ctx or Patience ends, or would before the next attempt; what Kinesis will
// not take however often (no such stream, no permission) is not. A record that
// is too large for a Kinesis record fails permanently (stream.IsPermanent).
func (p *Publisher) Publish(ctx context.Context, records []stream.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publish %d records on stream %s: %w", len(records), p.Stream, err)
	}
	if p.Patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Patience)
		defer cancel()
	}
	packed := packings.Get().(*packing)
	defer packed.release()
	failures := packed.pack(p, records)
	sender := batch.Sender[types.PutRecordsRequestEntry]{
		Call: p.put, Size: entryBytes,
		MaxMessages: maxEntries, MaxBytes: maxCallBytes, Parallel: cmp.Or(p.Parallel, defaultParallel),
		Retry: retry.Call{Backoff: p.backoff, Timeout: cmp.Or(p.Timeout, defaultTimeout)},
	}
	for i, err := range sender.Send(ctx, packed.entries) {
		if err == nil {
			continue
		}
		err = fmt.Errorf("put on stream %s: %w", p.Stream, err)
		for at := packed.packs[i].from; at < packed.packs[i].to; at++ {
			failures = append(failures, stream.Failure{Index: packed.position(at), Err: err})
		}
	}
	slices.SortFunc(failures, func(a, b stream.Failure) int { return a.Index - b.Index })
	return failures.OrNil()
}

// entryBytes is what an entry takes of a call: at least what Kinesis counts.
func entryBytes(e *types.PutRecordsRequestEntry) int {
	return len(e.Data) + len(*e.PartitionKey) + len(*e.ExplicitHashKey)
}

var errShortAnswer = errors.New("the answer does not say what became of every record")

// put makes one call.
func (p *Publisher) put(ctx context.Context, entries []types.PutRecordsRequestEntry) ([]batch.Refusal, error) {
	in := &kinesis.PutRecordsInput{Records: entries}
	if strings.HasPrefix(p.Stream, "arn:") {
		in.StreamARN = &p.Stream
	} else {
		in.StreamName = &p.Stream
	}
	out, err := p.Client.PutRecords(ctx, in, once)
	if err != nil {
		return nil, err
	}
	if len(out.Records) != len(entries) {
		return nil, &smithy.DeserializationError{Err: errShortAnswer}
	}
	var refused []batch.Refusal
	for i := range out.Records {
		if r := &out.Records[i]; r.ErrorCode != nil {
			err := &smithy.GenericAPIError{Code: *r.ErrorCode, Message: sdk.ToString(r.ErrorMessage)}
			refused = append(refused, batch.Refusal{Index: i, Err: err})
		} else if r.SequenceNumber == nil {
			refused = append(refused, batch.Refusal{Index: i, Err: &smithy.DeserializationError{Err: errShortAnswer}})
		}
	}
	return refused, nil
}
