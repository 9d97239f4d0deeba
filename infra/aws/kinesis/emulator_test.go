package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// quick suits emulators.
var quick = retry.Backoff{Base: 5 * time.Millisecond, Most: 50 * time.Millisecond}

// backend is an emulator of Kinesis.
type backend struct {
	name  string
	start func(testing.TB) string
	arns  bool // takes ARNs
}

var backends = []backend{
	{"Kinesalite", emulators.Kinesalite, false},
	{"KinesisMock", emulators.KinesisMock, true},
}

func client(url string) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: patient{&http.Client{}},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// patient ends no request before its answer is there, when a test ends or a
// context: kinesalite exits when its caller hangs up.
type patient struct{ client *http.Client }

func (p patient) Do(r *http.Request) (*http.Response, error) {
	return p.client.Do(r.WithContext(context.WithoutCancel(r.Context())))
}

var streams atomic.Int64

// createStream makes a stream of its own for a test.
func createStream(t testing.TB, c *kinesis.Client, shards int) (name, arn string) {
	t.Helper()
	name = fmt.Sprintf("stream-%d", streams.Add(1))
	if _, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: sdk.Int32(int32(shards))}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		out, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		if err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			return name, *out.StreamDescriptionSummary.StreamARN
		}
		if time.Now().After(deadline) {
			t.Fatalf("stream %s is not there: %v, %v", name, out, err)
		}
	}
}

// contents returns what every shard of a stream holds, in order.
func contents(t *testing.T, c *kinesis.Client, name string) map[string][]types.Record {
	t.Helper()
	shards, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &name})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]types.Record{}
	for _, s := range shards.Shards {
		it, err := c.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		all[*s.ShardId] = nil
		for iterator, empty := it.ShardIterator, 0; iterator != nil && empty < 2; {
			out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator})
			if err != nil {
				t.Fatal(err)
			}
			if iterator = out.NextShardIterator; len(out.Records) == 0 {
				empty++
			}
			all[*s.ShardId] = append(all[*s.ShardId], out.Records...)
		}
	}
	return all
}

func TestEmulators(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := client(b.start(t))
			t.Run("Published", func(t *testing.T) { b.published(t, c) })
			t.Run("Fetched", func(t *testing.T) { b.fetched(t, c) })
			t.Run("NoStream", func(t *testing.T) { b.noStream(t, c) })
		})
	}
}

// published: what Publish is given is on the shards once, each key on one.
func (b backend) published(t *testing.T, c *kinesis.Client) {
	const shards = 3
	name, arn := createStream(t, c, shards)
	p := &Publisher{Client: c, Stream: name, PackBytes: 4 << 10}
	records := some(3000, 200)
	for i := range records {
		records[i].Key = fmt.Sprint("u:", i%500)
	}
	for part := range slices.Chunk(records, 700) {
		if err := p.Publish(t.Context(), part); err != nil {
			t.Fatal(err)
		}
		if b.arns {
			p.Stream = arn
		}
	}
	var got []stream.Record
	home := map[string]string{} // of a key
	for id, on := range contents(t, c, name) {
		if len(on) == 0 {
			t.Errorf("shard %s has nothing", id)
		}
		for _, r := range on {
			packed, err := pack.Open(r.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range packed {
				if was, ok := home[r.Key]; ok && was != id {
					t.Fatalf("key %s is on %s and %s", r.Key, was, id)
				}
				home[r.Key] = id
			}
			got = append(got, packed...)
		}
	}
	sameRecords(t, got, records)
}

// fetched: every range of a shard is what Fetch returns of it.
func (b backend) fetched(t *testing.T, c *kinesis.Client) {
	name, arn := createStream(t, c, 2)
	p := &Publisher{Client: c, Stream: name, PackBytes: 1}
	if err := p.Publish(t.Context(), some(400, 50)); err != nil {
		t.Fatal(err)
	}
	asked := name
	if b.arns {
		asked = arn
	}
	r := &Reader{Client: c, backoff: quick}
	rnd := rand.New(rand.NewPCG(1, 2))
	for id, on := range contents(t, c, name) {
		for range 10 {
			from := rnd.IntN(len(on))
			to := from + rnd.IntN(len(on)-from)
			got, err := r.Fetch(t.Context(), asked, id, *on[from].SequenceNumber, *on[to].SequenceNumber)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != to-from+1 {
				t.Fatalf("%d records of %d to %d", len(got), from, to)
			}
			for i, g := range got {
				want := on[from+i]
				if g.Sequence != *want.SequenceNumber || g.PartitionKey != *want.PartitionKey || string(g.Data) != string(want.Data) || g.Arrived.IsZero() {
					t.Fatalf("record %d is %+v", from+i, g)
				}
			}
			for i := 1; i < len(got); i++ {
				if shard.Compare(got[i-1].Sequence, got[i].Sequence) >= 0 {
					t.Fatalf("%s comes before %s", got[i-1].Sequence, got[i].Sequence)
				}
			}
		}
	}
}

func (b backend) noStream(t *testing.T, c *kinesis.Client) {
	p := &Publisher{Client: c, Stream: "nowhere"}
	err := p.Publish(t.Context(), some(3, 10))
	failures, ok := errors.AsType[stream.Failures](err)
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); !ok || !missing || len(failures) != 3 || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
	if _, err := (&Reader{Client: c}).Fetch(t.Context(), "nowhere", "shardId-000000000000", at(1), at(2)); err == nil {
		t.Error("a stream that is not there was fetched")
	} else if _, lost := errors.AsType[*shard.LostError](err); lost {
		t.Errorf("a stream that is not there is taken for one that was trimmed: %v", err)
	}
}

// flaky makes calls and entries fail, before and after they take effect.
type flaky struct {
	API
	mu  sync.Mutex
	rnd *rand.Rand
}

func (f *flaky) roll(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rnd.IntN(n)
}

func (f *flaky) PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, options ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	switch f.roll(8) {
	case 0:
		return nil, throttled()
	case 1:
		return nil, broken()
	case 2:
		if _, err := f.API.PutRecords(ctx, in, options...); err != nil {
			return nil, err
		}
		return nil, &sdk.RequestCanceledError{Err: context.DeadlineExceeded} // the answer was lost
	}
	some := *in
	some.Records = nil
	var where []int
	out := &kinesis.PutRecordsOutput{FailedRecordCount: new(int32), Records: make([]types.PutRecordsResultEntry, len(in.Records))}
	for i, e := range in.Records {
		if f.roll(4) > 0 {
			some.Records = append(some.Records, e)
			where = append(where, i)
			continue
		}
		out.Records[i].ErrorCode = sdk.String([]string{"ProvisionedThroughputExceededException", "InternalFailure"}[f.roll(2)])
		*out.FailedRecordCount++
	}
	if len(where) == 0 {
		return out, nil
	}
	real, err := f.API.PutRecords(ctx, &some, options...)
	if err != nil {
		return nil, err
	}
	for i, at := range where {
		out.Records[at] = real.Records[i]
	}
	return out, nil
}
