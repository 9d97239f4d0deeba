package awslambda

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/hitolayer/hito/infra/emulators"
)

var awsConfig = aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")}

func newKinesis(t *testing.T, shards int32) (client *kinesis.Client, arn string) {
	t.Helper()
	url := emulators.Kinesalite(t)
	client = kinesis.NewFromConfig(awsConfig, func(o *kinesis.Options) { o.BaseEndpoint = &url })
	name := "events"
	if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}); err != nil {
		t.Fatal(err)
	}
	waitActive(t, client, name)
	out, err := client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return client, *out.StreamDescription.StreamARN
}

func waitActive(t *testing.T, client *kinesis.Client, name string) {
	t.Helper()
	waiter := kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 20*time.Millisecond
	})
	if err := waiter.Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}
}

// put writes records in order, for keys "000" and so on.
func put(t *testing.T, client *kinesis.Client, texts []string, key func(i int) string) {
	t.Helper()
	for i, text := range texts {
		if _, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: []byte(text), PartitionKey: aws.String(key(i))}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKinesis: the real function on an emulated stream. One poisoned record of
// 120 fails its batch in each way a function can; it alone is given up, and all
// others are done.
func TestKinesis(t *testing.T) {
	for _, how := range []string{"error", "panic", "exit", "hang", "partial"} {
		t.Run(how, func(t *testing.T) {
			client, arn := newKinesis(t, 2)
			var texts []string
			for i := range 120 {
				texts = append(texts, fmt.Sprintf("r%03d", i))
			}
			texts[57] = "poison"
			put(t, client, texts, func(i int) string { return fmt.Sprintf("%03d", i%11) })
			f := newFunction(t, func(f *Function) {
				f.Env = map[string]string{"POISON": how}
				if how == "hang" {
					f.Timeout = 400 * time.Millisecond
				}
			})
			dead := &letters{}
			m := &StreamMapping{
				Function: f, FunctionARN: f.arn(), Client: client, SourceARN: arn, BatchSize: 40, ParallelizationFactor: 2, MaximumRetryAttempts: new(1),
				BisectBatchOnFunctionError: true, ReportBatchItemFailures: true, OnFailure: dead, Scale: 0.01,
			}
			run(t, m)
			settled(t, m, 120)
			sent := dead.all()
			if len(sent) != 1 || sent[0].KinesisBatchInfo.BatchSize != 1 || m.Stats().Discarded != 1 {
				t.Fatalf("given up: %+v", sent)
			}
			info := sent[0].KinesisBatchInfo
			if got := fetchText(t, client, info); got != "poison" {
				t.Errorf("%s was given up", got)
			}
			done := map[string]bool{}
			eventually(t, func() error { // the log comes by a pipe
				clear(done)
				for _, line := range f.Log.Lines() {
					if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "done" {
						done[fields[2]] = true
					}
				}
				return equal("records done", len(done), 119)
			})
		})
	}
}

// fetchText returns the first record of what was given up, as a redrive does.
func fetchText(t *testing.T, client *kinesis.Client, info KinesisBatchInfo) string {
	t.Helper()
	it, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: aws.String("events"), ShardId: &info.ShardID, ShardIteratorType: kinesistypes.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &info.StartSequenceNumber,
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator, Limit: aws.Int32(1)})
	if err != nil || len(out.Records) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	return string(out.Records[0].Data)
}

// TestKinesisCrashes: sandboxes are killed at random, batches come again, the
// mapping is stopped and run again, and the stream is resharded: every record is
// done at least once, and each key's records are first done in order.
func TestKinesisCrashes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	client, arn := newKinesis(t, 2)
	interrupts := make(chan time.Duration, 1000)
	for range 1000 {
		d := time.Duration(-1)
		if rng.IntN(4) == 0 {
			d = time.Duration(rng.Int64N(int64(5 * time.Millisecond)))
		}
		interrupts <- d
	}
	f := newFunction(t, func(f *Function) {
		f.Interrupt = func([]byte) (time.Duration, bool) {
			select {
			case d := <-interrupts:
				return d, d >= 0
			default:
				return 0, false
			}
		}
	})
	given := &recorder{}
	deliver := invokerFunc(func(ctx context.Context, payload []byte) ([]byte, error) {
		if _, err := given.Invoke(ctx, payload); err != nil {
			return nil, err
		}
		return f.Invoke(ctx, payload)
	})
	m := &StreamMapping{
		Function: deliver, Client: client, SourceARN: arn, BatchSize: 10, ParallelizationFactor: 3, ReportBatchItemFailures: true, Scale: 0.005,
	}
	var delivered atomic.Int64
	m.Redeliver = func(Batch) bool { return delivered.Add(1)%5 == 0 }
	stop := run(t, m)
	key := func(i int) string { return "key" + strconv.Itoa(i%17) }
	var texts []string
	for i := range 300 {
		texts = append(texts, fmt.Sprintf("%04d", i))
	}
	put(t, client, texts[:100], key)
	stop()
	stop = run(t, m)
	shards, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	if err != nil {
		t.Fatal(err)
	}
	half := sequence(*shards.Shards[0].HashKeyRange.EndingHashKey)
	half.Rsh(half, 1)
	if _, err := client.SplitShard(t.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String("events"), ShardToSplit: shards.Shards[0].ShardId, NewStartingHashKey: aws.String(half.String()),
	}); err != nil {
		t.Fatal(err)
	}
	waitActive(t, client, "events")
	put(t, client, texts[100:], func(i int) string { return key(i + 100) })
	// What a stopping mapping settled twice says nothing of the others, so that
	// records are counted by what was done.
	eventually(t, func() error {
		done := map[string]bool{}
		for _, line := range f.Log.Lines() {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "done" {
				done[fields[2]] = true
			}
		}
		return equal("records done", len(done), 300)
	})
	settled(t, m, 300)
	stop()
	last := map[string]string{} // text by key
	seen := map[string]bool{}
	for _, h := range given.all() {
		if !seen[h.data] && h.data < last[h.key] {
			t.Errorf("of %s, %s comes first after %s", h.key, h.data, last[h.key])
		}
		seen[h.data], last[h.key] = true, max(last[h.key], h.data)
	}
	if f.Stats().Killed == 0 || m.Stats().Redelivered == 0 {
		t.Errorf("nothing went wrong: %+v, %+v", f.Stats(), m.Stats())
	}
	t.Logf("%+v, %+v", f.Stats(), m.Stats())
}

// TestSQS: the real function on an emulated queue. What fails comes again, as
// often as the queue's redrive policy allows, and then goes to its dead-letter
// queue.
func TestSQS(t *testing.T) {
	url := emulators.Moto(t)
	client := sqs.NewFromConfig(awsConfig, func(o *sqs.Options) { o.BaseEndpoint = &url })
	dead, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("dead")})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := json.Marshal(map[string]any{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": 3})
	if err != nil {
		t.Fatal(err)
	}
	queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{
		QueueName: aws.String("actions"), Attributes: map[string]string{"RedrivePolicy": string(policy), "VisibilityTimeout": "100"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 25 {
		text := fmt.Sprintf("m%d", i)
		if i == 7 {
			text = "poison"
		}
		if err := (QueueDestination{client, *queue.QueueUrl}).Send(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	f := newFunction(t, func(f *Function) { f.Env = map[string]string{"POISON": "partial"} })
	m := &QueueMapping{
		Function: f, Client: client, Queue: *queue.QueueUrl, SourceARN: "arn:aws:sqs:us-east-1:123456789012:actions", VisibilityTimeout: 100 * time.Second,
		ReportBatchItemFailures: true, MaximumConcurrency: 2, Scale: 0.01,
	}
	runQueue(t, m)
	var body string
	eventually(t, func() error {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: dead.QueueUrl})
		if err != nil {
			return err
		}
		if len(out.Messages) == 0 {
			return fmt.Errorf("nothing in the dead-letter queue: %+v", m.Stats())
		}
		body = *out.Messages[0].Body
		return nil
	})
	if s := m.Stats(); body != "poison" || s.Deleted != 24 || s.Returned != 3 {
		t.Errorf("%s is dead; stats are %+v", body, s)
	}
}
