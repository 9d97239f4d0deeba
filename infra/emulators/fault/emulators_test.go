package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kin "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/infra/emulators"
)

// A caller who sends again what failed must find each record in the stream: once,
// where nothing failed after its effect.
func TestBeforeKinesis(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := &Proxy{Endpoint: emulators.Kinesalite(t), Random: rand.New(rand.NewPCG(3, 3))}
	client := kinesis.NewFromConfig(config(Serve(t, p), "beacon"))
	if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: new("raw"), ShardCount: new(int32(1))}); err != nil {
		t.Fatal(err)
	}
	if err := kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 20*time.Millisecond
	}).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: new("raw")}, time.Minute); err != nil {
		t.Fatal(err)
	}
	p.SetRules(
		Rule{Kind: Partial, Probability: 0.7},
		Rule{Kind: Throttle, Action: "kinesis:PutRecords", Probability: 0.2},
		Rule{Kind: DropBefore, Action: "kinesis:Get*", Probability: 0.2})
	const records = 200
	for chunk := range 10 {
		in := &kinesis.PutRecordsInput{StreamName: new("raw")}
		for i := range records / 10 {
			in.Records = append(in.Records, kin.PutRecordsRequestEntry{PartitionKey: new("000"), Data: fmt.Append(nil, chunk, i)})
		}
		for len(in.Records) > 0 {
			out := retried(ctx, t, func() (*kinesis.PutRecordsOutput, error) { return client.PutRecords(ctx, in) })
			var left []kin.PutRecordsRequestEntry
			for i, r := range out.Records {
				if r.ErrorCode != nil {
					left = append(left, in.Records[i])
				}
			}
			in.Records = left
		}
	}
	it := retried(ctx, t, func() (*kinesis.GetShardIteratorOutput, error) {
		return client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: new("raw"), ShardId: new("shardId-000000000000"), ShardIteratorType: kin.ShardIteratorTypeTrimHorizon})
	})
	got := retried(ctx, t, func() (*kinesis.GetRecordsOutput, error) {
		return client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	})
	seen := map[string]int{}
	for _, r := range got.Records {
		seen[string(r.Data)]++
	}
	if len(got.Records) != records || len(seen) != records {
		t.Errorf("%d records, %d different ones, want %d", len(got.Records), len(seen), records)
	}
	faults := map[Kind]int{}
	for _, c := range p.Calls() {
		faults[c.Fault]++
		if c.Identity != "beacon" || len(c.Needs) != 1 || c.Needs[0].Resource != "raw" {
			t.Errorf("recorded %+v", c)
		}
	}
	if faults[Partial] == 0 || faults[Throttle] == 0 {
		t.Errorf("faults: %v", faults)
	}
}

// retried calls until it is answered.
func retried[T any](ctx context.Context, t *testing.T, call func() (T, error)) T {
	t.Helper()
	for {
		out, err := call()
		if err == nil {
			return out
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// A caller who asks again for what was not processed must get every item, and the
// proxy must keep the checksum right, which the SDK looks at.
func TestBeforeDynamoDB(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := &Proxy{Endpoint: emulators.SharedDynamoDB(t), Random: rand.New(rand.NewPCG(5, 5))}
	client := dynamodb.NewFromConfig(config(Serve(t, p), "score"))
	table := fmt.Sprint("before", rand.Uint64())
	if _, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: ddb.BillingModePayPerRequest,
		AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: new("pk"), AttributeType: ddb.ScalarAttributeTypeS}},
		KeySchema:            []ddb.KeySchemaElement{{AttributeName: new("pk"), KeyType: ddb.KeyTypeHash}},
	}); err != nil {
		t.Fatal(err)
	}
	p.SetRules(Rule{Kind: Partial, Probability: 0.7}, Rule{Kind: Conflict, Probability: 0.5})
	const items = 20
	writes := map[string][]ddb.WriteRequest{}
	reads := ddb.KeysAndAttributes{ConsistentRead: new(true)}
	for i := range items {
		writes[table] = append(writes[table], ddb.WriteRequest{PutRequest: &ddb.PutRequest{Item: key(fmt.Sprint(i))}})
		reads.Keys = append(reads.Keys, key(fmt.Sprint(i)))
	}
	for len(writes) > 0 {
		out, err := client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: writes})
		if isType(err, &ddb.ProvisionedThroughputExceededException{}) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		writes = out.UnprocessedItems
	}
	seen := map[string]int{}
	for keys := map[string]ddb.KeysAndAttributes{table: reads}; len(keys) > 0; {
		out, err := client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: keys})
		if isType(err, &ddb.ProvisionedThroughputExceededException{}) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		for _, item := range out.Responses[table] {
			seen[item["pk"].(*ddb.AttributeValueMemberS).Value]++
		}
		keys = out.UnprocessedKeys
	}
	if len(seen) != items {
		t.Errorf("got %v, want %d items", seen, items)
	}
	for {
		_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []ddb.TransactWriteItem{
			{Put: &ddb.Put{TableName: &table, Item: key("once"), ConditionExpression: new("attribute_not_exists(pk)")}},
		}})
		if err == nil {
			break
		}
		if !isType(err, &ddb.TransactionCanceledException{}) {
			t.Fatal(err)
		}
	}
	faults := map[Kind]int{}
	for _, c := range p.Calls() {
		faults[c.Fault]++
	}
	if faults[Partial] == 0 {
		t.Errorf("faults: %v", faults)
	}
}
