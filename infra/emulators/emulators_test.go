package emulators

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kin "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// waitStep is how often a test looks whether something is there.
const waitStep = 50 * time.Millisecond

// config is how a client reaches an emulator.
func config(url string) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: new(url),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

func TestKinesis(t *testing.T) {
	for _, emulator := range []struct {
		name  string
		start func(testing.TB) string
	}{{"kinesalite", Kinesalite}, {"kinesis-mock", KinesisMock}} {
		t.Run(emulator.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			client := kinesis.NewFromConfig(config(emulator.start(t)))
			if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: new("raw"), ShardCount: new(int32(2))}); err != nil {
				t.Fatal(err)
			}
			if err := kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) {
				o.MinDelay, o.MaxDelay = waitStep, waitStep
			}).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: new("raw")}, startTime); err != nil {
				t.Fatal(err)
			}
			put, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: new("raw"), Records: []kin.PutRecordsRequestEntry{
				{PartitionKey: new("low"), ExplicitHashKey: new("0"), Data: []byte("first")},
				{PartitionKey: new("high"), ExplicitHashKey: new("340282366920938463463374607431768211455"), Data: []byte("second")},
			}})
			if err != nil || *put.FailedRecordCount != 0 {
				t.Fatal(put, err)
			}
			for i, want := range []string{"first", "second"} {
				it, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
					StreamName: new("raw"), ShardId: put.Records[i].ShardId, ShardIteratorType: kin.ShardIteratorTypeTrimHorizon,
				})
				if err != nil {
					t.Fatal(err)
				}
				got, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Records) != 1 || string(got.Records[0].Data) != want || *got.Records[0].SequenceNumber != *put.Records[i].SequenceNumber {
					t.Errorf("shard %s has %v, want %s", *put.Records[i].ShardId, got.Records, want)
				}
			}
		})
	}
}

func TestDynamoDB(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) string{"own": DynamoDB, "shared": SharedDynamoDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			client := dynamodb.NewFromConfig(config(start(t)), func(o *dynamodb.Options) { o.DisableValidateResponseChecksum = true })
			if _, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
				TableName: new("hito"), BillingMode: ddb.BillingModePayPerRequest,
				AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: new("pk"), AttributeType: ddb.ScalarAttributeTypeS}},
				KeySchema:            []ddb.KeySchemaElement{{AttributeName: new("pk"), KeyType: ddb.KeyTypeHash}},
			}); err != nil {
				t.Fatal(err)
			}
			key := map[string]ddb.AttributeValue{"pk": &ddb.AttributeValueMemberS{Value: "f/shop/u1"}}
			put := &dynamodb.PutItemInput{TableName: new("hito"), Item: key, ConditionExpression: new("attribute_not_exists(pk)")}
			if _, err := client.PutItem(ctx, put); err != nil {
				t.Fatal(err)
			}
			if _, err := client.PutItem(ctx, put); err == nil {
				t.Error("a condition that does not hold is not looked at")
			}
			got, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: new("hito"), Key: key})
			if err != nil || len(got.Item) != 1 {
				t.Error(got, err)
			}
		})
	}
}

func TestMoto(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	config := config(Moto(t))
	queues := sqs.NewFromConfig(config)
	if _, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: new("dead")}); err != nil {
		t.Fatal(err)
	}
	queue, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: new("actions")})
	if err != nil {
		t.Fatal(err)
	}
	// Terraform waits until it reads just what it wrote.
	const redrive = `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":3}`
	if _, err := queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: queue.QueueUrl, Attributes: map[string]string{"RedrivePolicy": redrive}}); err != nil {
		t.Fatal(err)
	}
	read, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: queue.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil || read.Attributes["RedrivePolicy"] != redrive {
		t.Errorf("the redrive policy is %q (%v), want %q", read.Attributes["RedrivePolicy"], err, redrive)
	}

	buckets := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := buckets.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: new("projects")}); err != nil {
		t.Fatal(err)
	}
	if _, err := buckets.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: new("projects")}); err != nil {
		t.Error(err)
	}

	secrets := secretsmanager.NewFromConfig(config)
	if _, err := secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: new("keys"), SecretString: new("shop: {}")}); err != nil {
		t.Fatal(err)
	}
	if secret, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: new("keys")}); err != nil || *secret.SecretString != "shop: {}" {
		t.Error(secret, err)
	}
}

// A queue must not lose a message, nor give it to two receivers, when several
// send, receive and delete at once: acceptance tests count.
func TestMotoQueueLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	client := sqs.NewFromConfig(config(Moto(t)))
	queue, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: new("actions"), Attributes: map[string]string{"VisibilityTimeout": "600"}})
	if err != nil {
		t.Fatal(err)
	}
	const senders, batches, receivers = 4, 100, 4
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for batch := range batches {
				in := &sqs.SendMessageBatchInput{QueueUrl: queue.QueueUrl}
				for i := range 10 {
					in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{Id: new(fmt.Sprint(i)), MessageBody: new(fmt.Sprint(sender, batch, i))})
				}
				if out, err := client.SendMessageBatch(ctx, in); err != nil || len(out.Failed) > 0 {
					t.Error(out, err)
				}
			}
		})
	}
	var mu sync.Mutex
	seen := map[string]int{}
	const messages = senders * batches * 10
	total := func() (all int) {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range seen {
			all += n
		}
		return all
	}
	deadline := time.Now().Add(time.Minute)
	var receiving sync.WaitGroup
	for range receivers {
		receiving.Go(func() {
			for total() < messages && time.Now().Before(deadline) {
				out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
				if err != nil {
					t.Error(err)
					return
				}
				in := &sqs.DeleteMessageBatchInput{QueueUrl: queue.QueueUrl}
				mu.Lock()
				for i, m := range out.Messages {
					seen[*m.Body]++
					in.Entries = append(in.Entries, sqstypes.DeleteMessageBatchRequestEntry{Id: new(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
				}
				mu.Unlock()
				if len(in.Entries) == 0 {
					continue
				}
				if out, err := client.DeleteMessageBatch(ctx, in); err != nil || len(out.Failed) > 0 {
					t.Error(out, err)
				}
			}
		})
	}
	sending.Wait()
	receiving.Wait()
	if len(seen) != messages || total() != messages {
		t.Errorf("%d messages came %d times, want %d once", len(seen), total(), messages)
	}
}
