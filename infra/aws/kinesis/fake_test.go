package kinesis

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"os"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// TestMain makes the coders outside of any synctest bubble: they are shared.
func TestMain(m *testing.M) {
	packed, err := pack.Append(nil, []stream.Record{{Data: make([]byte, 4096)}})
	if err != nil {
		panic(err)
	}
	if _, err := pack.Open(packed); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// fake is Kinesis in memory, as strict as the real one about what it is asked.
type fake struct {
	recordBytes int // most of a record, 1 MiB when 0
	// call decides about a call, entry about an entry of it: nil takes it. With
	// after, a call that fails took its entries all the same.
	call  func(n int) (err error, after bool)
	entry func(n int, e *types.PutRecordsRequestEntry) error
	// hold is closed when calls may go on, nil for at once.
	hold chan struct{}

	mu            sync.Mutex
	calls         int
	going, atOnce int // calls now, and the most there were
	largest, most int // bytes and entries of calls
	taken         []types.PutRecordsRequestEntry
	refusedAsk    error // what the real one would not have been asked
}

func throttled() error {
	return &types.ProvisionedThroughputExceededException{Message: sdk.String("Rate exceeded for shard shardId-000000000000")}
}

func broken() error { return &types.InternalFailureException{Message: sdk.String("try again")} }

func absent() error {
	return &types.ResourceNotFoundException{Message: sdk.String("Stream raw under account 123456789012 not found.")}
}

func (f *fake) PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, options ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	f.mu.Lock()
	n := f.calls
	f.calls++
	f.going++
	f.atOnce = max(f.atOnce, f.going)
	f.check(in, options)
	f.mu.Unlock()
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.going--
	if err := ctx.Err(); err != nil {
		return nil, &sdk.RequestCanceledError{Err: err}
	}
	var err error
	after := true
	if f.call != nil {
		err, after = f.call(n)
	}
	if err != nil && !after {
		return nil, err
	}
	out := &kinesis.PutRecordsOutput{FailedRecordCount: new(int32)}
	for _, e := range in.Records {
		if f.entry != nil {
			if err := f.entry(n, &e); err != nil {
				code := "InternalFailure"
				if api, ok := err.(smithy.APIError); ok {
					code = api.ErrorCode()
				}
				out.Records = append(out.Records, types.PutRecordsResultEntry{ErrorCode: &code, ErrorMessage: sdk.String(err.Error())})
				*out.FailedRecordCount++
				continue
			}
		}
		e.Data = bytes.Clone(e.Data) // the caller's memory is its own again
		f.taken = append(f.taken, e)
		out.Records = append(out.Records, types.PutRecordsResultEntry{SequenceNumber: sdk.String(fmt.Sprint(len(f.taken))), ShardId: sdk.String("shardId-000000000000")})
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// check notes what of a call the real one would refuse.
func (f *fake) check(in *kinesis.PutRecordsInput, options []func(*kinesis.Options)) {
	most := f.recordBytes
	if most == 0 {
		most = 1 << 20
	}
	wrong := func(format string, args ...any) { f.refusedAsk = fmt.Errorf(format, args...) }
	if (in.StreamName == nil) == (in.StreamARN == nil) {
		wrong("stream name %v, ARN %v", in.StreamName, in.StreamARN)
	}
	var o kinesis.Options
	for _, set := range options {
		set(&o)
	}
	if o.Retryer == nil || o.Retryer.MaxAttempts() != 1 {
		wrong("the SDK tries again by itself")
	}
	if n := len(in.Records); n == 0 || n > 500 {
		wrong("%d entries", n)
	}
	size := 0
	for _, e := range in.Records {
		entry := len(e.Data) + len(*e.PartitionKey)
		size += entry
		if len(e.Data) == 0 || entry > most {
			wrong("an entry of %d bytes", entry)
		}
		var partition int64
		if _, err := fmt.Sscanf(*e.PartitionKey, "%03d", &partition); err != nil || len(*e.PartitionKey) != 3 {
			wrong("partition key %q", *e.PartitionKey)
		}
		hash, ok := new(big.Int).SetString(*e.ExplicitHashKey, 10)
		if !ok || new(big.Int).Rsh(hash, 120).Int64() != partition {
			wrong("hash key %s for partition %d", *e.ExplicitHashKey, partition)
		}
	}
	if size > 5<<20 && len(in.Records) > 1 {
		wrong("a call of %d bytes", size)
	}
	f.largest, f.most = max(f.largest, size), max(f.most, len(in.Records))
}

// records returns what was taken.
func (f *fake) records(t testing.TB) []stream.Record {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refusedAsk != nil {
		t.Fatalf("Kinesis was asked what it does not do: %v", f.refusedAsk)
	}
	var all []stream.Record
	for _, e := range f.taken {
		records, err := pack.Open(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, records...)
	}
	return all
}

// shardOf returns the shard, of so many with equal parts of the hash keys.
func shardOf(t testing.TB, hash string, shards int) int {
	n, ok := new(big.Int).SetString(hash, 10)
	if !ok {
		t.Fatalf("hash key %q", hash)
	}
	n.Mul(n, big.NewInt(int64(shards)))
	return int(n.Rsh(n, 128).Int64())
}
