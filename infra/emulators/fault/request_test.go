package fault

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kin "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestCallsTellWhoNeedsWhat(t *testing.T) {
	p, client := before(t, &endpoint{answer: `{"ShardIterator":"one","NextShardIterator":"two"}`}, "score")
	ctx := t.Context()
	streams := kinesis.NewFromConfig(client)
	queue := new("https://sqs.eu-west-1.amazonaws.com/123456789012/actions")
	for _, err := range []error{
		getItem(ctx, client), transact(ctx, client), receive(ctx, client), getSecret(ctx, client),
		second(dynamodb.NewFromConfig(client).Query(ctx, &dynamodb.QueryInput{TableName: new("arn:aws:dynamodb:eu-west-1:123456789012:table/hito"), IndexName: new("quarantine"), KeyConditionExpression: new("q = :q")})),
		second(dynamodb.NewFromConfig(client).BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]ddb.KeysAndAttributes{"hito": {Keys: []map[string]ddb.AttributeValue{key("a"), key("b")}}}})),
		second(streams.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamARN: new("arn:aws:kinesis:eu-west-1:123456789012:stream/raw"), ShardId: new("shardId-000000000000"), ShardIteratorType: kin.ShardIteratorTypeTrimHorizon})),
		second(streams.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: new("one")})),
		second(streams.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: new("two")})),
		second(sqs.NewFromConfig(client).DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: queue, Entries: []sqstypes.DeleteMessageBatchRequestEntry{{Id: new("1"), ReceiptHandle: new("r")}}})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	objects := s3.NewFromConfig(client, func(o *s3.Options) { o.UsePathStyle = true })
	for _, err := range []error{
		getObject(ctx, client),
		second(objects.PutObject(ctx, &s3.PutObjectInput{Bucket: new("bucket"), Key: new("lastgood/shop.yaml"), Body: strings.NewReader("x")})),
		second(objects.HeadObject(ctx, &s3.HeadObjectInput{Bucket: new("bucket"), Key: new("projects/keys.yaml")})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, _ = objects.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: new("bucket")}) // is answered with no XML

	var got []string
	for _, c := range p.Calls() {
		if c.Identity != "score" || c.Status != 200 {
			t.Errorf("recorded %+v", c)
		}
		for _, need := range c.Needs {
			got = append(got, c.Action+": "+need.Action+" "+need.Resource)
		}
	}
	want := []string{
		"GetItem: dynamodb:GetItem hito",
		"TransactWriteItems: dynamodb:ConditionCheckItem other", "TransactWriteItems: dynamodb:PutItem hito", "TransactWriteItems: dynamodb:UpdateItem hito",
		"ReceiveMessage: sqs:ReceiveMessage actions",
		"GetSecretValue: secretsmanager:GetSecretValue hito-keys",
		"Query: dynamodb:Query hito/index/quarantine",
		"BatchGetItem: dynamodb:BatchGetItem hito",
		"GetShardIterator: kinesis:GetShardIterator raw", "GetRecords: kinesis:GetRecords raw", "GetRecords: kinesis:GetRecords raw",
		"DeleteMessageBatch: sqs:DeleteMessage actions",
		"GetObject: s3:GetObject bucket/projects/keys.yaml", "PutObject: s3:PutObject bucket/lastgood/shop.yaml", "HeadObject: s3:GetObject bucket/projects/keys.yaml",
		"ListObjectsV2: s3:ListBucket bucket",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func second[T any](_ T, err error) error { return err }

func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/kinesis/aws4_request, SignedHeaders=host", "Kinesis_20131202.PutRecords", "POST", "/", []byte(`{"Records":[{"Data":"eA=="},{}],"StreamName":"raw"}`))
	f.Add("AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/dynamodb/aws4_request", "DynamoDB_20120810.BatchGetItem", "POST", "/", []byte(`{"RequestItems":{"hito":{"Keys":[{},{}],"ConsistentRead":true}}}`))
	f.Add("AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/dynamodb/aws4_request", "DynamoDB_20120810.BatchWriteItem", "POST", "/", []byte(`{"RequestItems":{"hito":[{"PutRequest":{}}],"b":[{}]}}`))
	f.Add("AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/sqs/aws4_request", "AmazonSQS.SendMessageBatch", "POST", "/", []byte(`{"Entries":[{"Id":"1"},{"Id":"2"}],"entries":[]}`))
	f.Add("AWS4-ECDSA-P256-SHA256 Credential=AK/20260101/s3/aws4_request", "", "GET", "/bucket/key?x", []byte(nil))
	f.Add("", "", "POST", "/", []byte("Action=GetCallerIdentity"))
	f.Fuzz(func(t *testing.T, authorization, target, method, path string, body []byte) {
		r, err := http.NewRequest(method, "http://127.0.0.1/"+strings.TrimPrefix(path, "/"), nil)
		if err != nil {
			t.Skip()
		}
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Target", target)
		c := parse(r, body, streamOf{new(sync.Map)})
		if !slices.IsSorted(c.Resources) || c.Entries < 0 {
			t.Errorf("parsed %+v", c.Call)
		}
		b := c.batch()
		if b == nil {
			return
		}
		withhold := make([]bool, c.Entries)
		withhold[c.Entries/2] = true
		rest, err := b.split(body, withhold)
		if err != nil {
			return
		}
		if left := parse(r, rest, streamOf{new(sync.Map)}); left.Entries != c.Entries-1 {
			t.Errorf("%d entries pass of %d: %s", left.Entries, c.Entries, rest)
		}
		if whole, err := b.join([]byte(`{}`)); err == nil && !json.Valid(whole) {
			t.Errorf("joined %s", whole)
		}
	})
}
