package kinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/infra/aws/retry"
)

// ReaderAPI is what a Reader needs of *kinesis.Client.
type ReaderAPI interface {
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// ErrTooMuch says that a range holds more than a Reader's MaxBytes.
var ErrTooMuch = errors.New("more than may be held in memory")

const (
	// defaultFetchBytes is some times what Lambda hands over in one batch, 6 MB.
	defaultFetchBytes = 32 << 20
	// pages begin small, since what a page reads behind the range counts against
	// the shard's throughput, and grow.
	firstPage, lastPage, pageGrowth = 100, 10_000, 4
	// emptyPages is after how many pages without a record it is checked whether
	// the range was trimmed: an iterator within what was may never get out of it.
	emptyPages = 5
)

// Reader reads ranges of shards. Client must be set.
type Reader struct {
	Client ReaderAPI
	// MaxBytes bounds the data of one Fetch: 32 MiB when 0.
	MaxBytes int
	// Timeout bounds one call to Kinesis: 5 s when 0.
	Timeout time.Duration

	backoff retry.Backoff
}

// readerBackoff suits a shard's five reads a second, which all its readers share.
var readerBackoff = retry.Backoff{Base: 250 * time.Millisecond, Most: 4 * time.Second}

// Fetch returns every record of a shard from the sequence number first to last,
// both included, in order. The stream is named by ARN, or by name. Throttling and
// failures on the way are tried again until ctx ends. An error that is a
// *shard.LostError comes with the records that are still there, others with none:
// ErrTooMuch, and what Kinesis says of a shard that it dropped after a reshard,
// which is the same as of a stream that never was (ResourceNotFoundException).
func (r *Reader) Fetch(ctx context.Context, stream, shardID, first, last string) ([]shard.Record, error) {
	f := fetch{Reader: r, backoff: r.backoff, stream: stream, shard: shardID, first: first, last: last, page: firstPage}
	if f.backoff.Base == 0 {
		f.backoff = readerBackoff
	}
	records, err := f.run(ctx)
	if err != nil {
		return records, fmt.Errorf("fetch %s to %s of %s/%s: %w", first, last, stream, shardID, err)
	}
	return records, nil
}

// fetch is one Fetch under way.
type fetch struct {
	*Reader
	backoff                    retry.Backoff
	stream, shard, first, last string

	iterator *string
	page     int32
	got      []shard.Record
	bytes    int
	lost     *shard.LostError
}

func (f *fetch) run(ctx context.Context) ([]shard.Record, error) {
	if shard.Compare(f.first, f.last) > 0 {
		return nil, errors.New("the range ends before it begins")
	}
	empty := 0
	for {
		if f.iterator == nil {
			if err := f.position(ctx); err != nil {
				return nil, err
			}
		}
		out, err := f.read(ctx)
		if expired, ok := errors.AsType[*types.ExpiredIteratorException](err); ok {
			if f.backoff.Wait(ctx, 1) != nil {
				return nil, expired
			}
			f.iterator = nil
			continue
		}
		if err != nil {
			return nil, err
		}
		done, err := f.take(out.Records)
		if err != nil {
			return nil, err
		}
		if done {
			return f.end()
		}
		f.iterator = out.NextShardIterator
		if f.iterator == nil {
			return f.short("the shard was closed before")
		}
		if len(out.Records) > 0 {
			empty, f.page = 0, min(f.page*pageGrowth, lastPage)
			continue
		}
		if empty++; empty%emptyPages == 0 {
			if sdk.ToInt64(out.MillisBehindLatest) == 0 {
				return f.short("the shard ends before")
			}
			if len(f.got) == 0 {
				if done, err := f.horizon(ctx); err != nil {
					return nil, err
				} else if done {
					return f.end()
				}
			}
		}
		if err := f.backoff.Wait(ctx, 1); err != nil {
			return nil, err
		}
	}
}

// call makes a call until it succeeds.
func (f *fetch) call(ctx context.Context, do func(context.Context) error) error {
	return retry.Call{Backoff: f.backoff, Timeout: cmp.Or(f.Timeout, defaultTimeout)}.Do(ctx, do)
}

// position gets an iterator that goes on where the fetch is.
func (f *fetch) position(ctx context.Context) error {
	if n := len(f.got); n > 0 {
		return f.iterate(ctx, types.ShardIteratorTypeAfterSequenceNumber, &f.got[n-1].Sequence)
	}
	return f.iterate(ctx, types.ShardIteratorTypeAtSequenceNumber, &f.first)
}

func (f *fetch) iterate(ctx context.Context, kind types.ShardIteratorType, sequence *string) error {
	in := &kinesis.GetShardIteratorInput{ShardId: &f.shard, ShardIteratorType: kind, StartingSequenceNumber: sequence}
	// By its name, of an ARN too: it is of the account whose function this is, and
	// not everything that speaks Kinesis takes ARNs.
	_, name, found := strings.Cut(f.stream, ":stream/")
	if !found {
		name = f.stream
	}
	in.StreamName = &name
	return f.call(ctx, func(ctx context.Context) error {
		out, err := f.Client.GetShardIterator(ctx, in, once)
		if err == nil {
			f.iterator = out.ShardIterator
		}
		return err
	})
}

func (f *fetch) read(ctx context.Context) (out *kinesis.GetRecordsOutput, err error) {
	in := &kinesis.GetRecordsInput{ShardIterator: f.iterator, Limit: &f.page}
	err = f.call(ctx, func(ctx context.Context) (err error) {
		out, err = f.Client.GetRecords(ctx, in, once)
		return err
	})
	return out, err
}

// take keeps the records of the range; done says that it is complete.
func (f *fetch) take(records []types.Record) (done bool, err error) {
	for i := range records {
		r := &records[i]
		sequence := sdk.ToString(r.SequenceNumber)
		if len(f.got) == 0 && f.lost == nil && shard.Compare(sequence, f.first) > 0 {
			f.lose(sequence)
		}
		at := shard.Compare(sequence, f.last)
		if at > 0 {
			return true, nil
		}
		if f.bytes += len(r.Data); f.bytes > cmp.Or(f.MaxBytes, defaultFetchBytes) {
			return false, fmt.Errorf("%w: %d bytes up to %s, at most %d", ErrTooMuch, f.bytes, sequence, cmp.Or(f.MaxBytes, defaultFetchBytes))
		}
		f.got = append(f.got, shard.Record{
			PartitionKey: sdk.ToString(r.PartitionKey), Sequence: sequence,
			Data: r.Data, Arrived: sdk.ToTime(r.ApproximateArrivalTimestamp),
		})
		if at == 0 {
			return true, nil
		}
	}
	return false, nil
}

// lose notes that the range begins with what is no longer there, found being
// the first that is.
func (f *fetch) lose(found string) {
	f.lost = &shard.LostError{Stream: f.stream, Shard: f.shard, First: f.first, Last: f.last}
	if shard.Compare(found, f.last) <= 0 {
		f.lost.Found = found
	}
}

func (f *fetch) end() ([]shard.Record, error) {
	if f.lost != nil {
		return f.got, f.lost
	}
	return f.got, nil
}

// short is the end of a shard that comes before the range's.
func (f *fetch) short(why string) ([]shard.Record, error) {
	if len(f.got) > 0 {
		return nil, fmt.Errorf("%s: after %d records, at %s", why, len(f.got), f.got[len(f.got)-1].Sequence)
	}
	f.lose(f.last + "0")
	return f.end()
}

// horizon looks where the shard begins now. When that is behind the range's
// begin the fetch goes on there; done says that there is no more of it.
func (f *fetch) horizon(ctx context.Context) (done bool, err error) {
	where := f.iterator
	if err := f.iterate(ctx, types.ShardIteratorTypeTrimHorizon, nil); err != nil {
		return false, err
	}
	f.page = 1
	out, err := f.read(ctx)
	f.page = firstPage
	if err != nil {
		return false, err
	}
	if len(out.Records) == 0 || shard.Compare(sdk.ToString(out.Records[0].SequenceNumber), f.first) <= 0 {
		f.iterator = where
		return false, nil
	}
	f.iterator = out.NextShardIterator
	return f.take(out.Records)
}
