package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
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
	"github.com/hitolayer/hito/infra/emulators/fault"
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
			url := b.start(t)
			c := client(url)
			t.Run("Published", func(t *testing.T) { b.published(t, c, c) })
			t.Run("Fetched", func(t *testing.T) { b.fetched(t, c, c) })
			t.Run("BadWire", func(t *testing.T) {
				if b.name != "Kinesalite" {
					t.Skip("slow, and the proxy is the same")
				}
				for _, kind := range []fault.Kind{
					fault.Throttle, fault.Internal, fault.Unavailable, fault.DropBefore, fault.DropAfter, fault.Slow, fault.Partial,
				} {
					t.Run(string(kind), func(t *testing.T) {
						p := badWire(url, 0.3, kind)
						bad := client(fault.Serve(t, p))
						b.published(t, c, bad)
						if kind != fault.Partial {
							b.fetched(t, c, bad)
						}
						if !slices.ContainsFunc(p.Calls(), func(c fault.Call) bool { return c.Fault == kind }) {
							t.Errorf("no call met the fault")
						}
					})
				}
			})
			t.Run("NoStream", func(t *testing.T) { b.noStream(t, c) })
		})
	}
}

// slowest is more than timeout, which is what tests give a call. It is more than an
// emulator needs on a busy machine.
const timeout, slowest = time.Second, 1500 * time.Millisecond

// badWire is a proxy before an emulator that has each kind of fault befall calls
// with that probability: those that Publisher and Reader make.
func badWire(url string, probability float64, kinds ...fault.Kind) *fault.Proxy {
	p := &fault.Proxy{Endpoint: url, Random: rand.New(rand.NewPCG(3, 4))}
	for _, kind := range kinds {
		for _, action := range []string{"PutRecords", "GetShardIterator", "GetRecords"} {
			p.Rules = append(p.Rules, fault.Rule{Kind: kind, Action: "kinesis:" + action, Probability: probability, Delay: slowest})
		}
	}
	return p
}

// published: what Publish is given is on the shards, each key on one: once, unless calls failed.
func (b backend) published(t *testing.T, c, used *kinesis.Client) {
	const shards = 3
	name, arn := createStream(t, c, shards)
	p := &Publisher{Client: used, Stream: name, PackBytes: 4 << 10, Timeout: timeout, backoff: quick}
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
	if used != c { // what an answer did not arrive for is there twice
		slices.SortFunc(got, func(a, b stream.Record) int { return int(a.Time - b.Time) })
		got = slices.CompactFunc(got, func(a, b stream.Record) bool { return a.Time == b.Time })
	}
	sameRecords(t, got, records)
}

// fetched: every range of a shard is what Fetch returns of it.
func (b backend) fetched(t *testing.T, c, used *kinesis.Client) {
	name, arn := createStream(t, c, 2)
	p := &Publisher{Client: c, Stream: name, PackBytes: 1}
	if err := p.Publish(t.Context(), some(400, 50)); err != nil {
		t.Fatal(err)
	}
	asked := name
	if b.arns {
		asked = arn
	}
	r := &Reader{Client: used, Timeout: timeout, backoff: quick}
	rnd := rand.New(rand.NewPCG(1, 2))
	for id, on := range contents(t, c, name) {
		for range 5 {
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
