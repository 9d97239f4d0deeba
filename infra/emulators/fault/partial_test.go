package fault

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kin "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// numbered answers PutRecords with a sequence number per record: its data.
func numbered(body []byte) string {
	var in struct{ Records []struct{ Data []byte } }
	_ = json.Unmarshal(body, &in)
	type record struct{ SequenceNumber, ShardId string }
	var out struct {
		FailedRecordCount int
		Records           []record
	}
	for _, r := range in.Records {
		out.Records = append(out.Records, record{string(r.Data), "shardId-000000000000"})
	}
	answer, _ := json.Marshal(out)
	return string(answer)
}

func putTen() *kinesis.PutRecordsInput {
	in := &kinesis.PutRecordsInput{StreamName: new("raw")}
	for i := range 10 {
		in.Records = append(in.Records, kin.PutRecordsRequestEntry{PartitionKey: new("000"), Data: fmt.Append(nil, i)})
	}
	return in
}

func TestPartialPutRecords(t *testing.T) {
	e := &endpoint{reply: numbered}
	_, client := before(t, e, "beacon", Rule{Kind: Partial, Nth: []int{1}}, Rule{Kind: Partial, Nth: []int{2}, Share: 1})
	out, err := kinesis.NewFromConfig(client).PutRecords(t.Context(), putTen())
	if err != nil {
		t.Fatal(err)
	}
	passed := e.got()[0]
	codes := map[string]int{}
	failed := 0
	for i, r := range out.Records {
		data := fmt.Sprintf("%q", fmt.Append(nil, i))
		base64, _ := json.Marshal(fmt.Append(nil, i))
		if code := aws.ToString(r.ErrorCode); code != "" {
			failed++
			codes[code]++
			if strings.Contains(passed, string(base64)) || r.SequenceNumber != nil || aws.ToString(r.ErrorMessage) == "" {
				t.Errorf("record %d failed and was passed on, or has a sequence number: %+v", i, r)
			}
		} else if aws.ToString(r.SequenceNumber) != fmt.Sprint(i) || !strings.Contains(passed, string(base64)) {
			t.Errorf("record %s has the answer of another: %+v", data, r)
		}
	}
	if len(out.Records) != 10 || failed == 0 || failed == 10 || int(*out.FailedRecordCount) != failed {
		t.Errorf("%d of %d records failed, and %d are said to have", failed, len(out.Records), *out.FailedRecordCount)
	}
	if codes["ProvisionedThroughputExceededException"] == 0 || codes["InternalFailure"] == 0 {
		t.Errorf("codes: %v", codes)
	}
	// All of them: nothing reaches the stream.
	out, err = kinesis.NewFromConfig(client).PutRecords(t.Context(), putTen())
	if err != nil || *out.FailedRecordCount != 10 || len(e.got()) != 1 {
		t.Errorf("%+v, %v, and %d calls passed on", out, err, len(e.got()))
	}
	// A batch goes through when no rule strikes.
	out, err = kinesis.NewFromConfig(client).PutRecords(t.Context(), putTen())
	if err != nil || *out.FailedRecordCount != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestPartialBatchGetItem(t *testing.T) {
	// The endpoint leaves a key over too.
	e := &endpoint{answer: `{"Responses":{"hito":[]},"UnprocessedKeys":{"hito":{"ConsistentRead":true,"Keys":[{"pk":{"S":"theirs"}}]}}}`}
	_, client := before(t, e, "score", Rule{Kind: Partial, Nth: []int{1}})
	in := &dynamodb.BatchGetItemInput{RequestItems: map[string]ddb.KeysAndAttributes{}}
	for _, table := range []string{"hito", "other"} {
		of := ddb.KeysAndAttributes{ConsistentRead: new(true)}
		for i := range 10 {
			of.Keys = append(of.Keys, key(fmt.Sprint(table, i)))
		}
		in.RequestItems[table] = of
	}
	out, err := dynamodb.NewFromConfig(client).BatchGetItem(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	left := []string{}
	for table, of := range out.UnprocessedKeys {
		if !aws.ToBool(of.ConsistentRead) {
			t.Errorf("%s's keys are given back without how to read them", table)
		}
		for _, k := range of.Keys {
			left = append(left, k["pk"].(*ddb.AttributeValueMemberS).Value)
		}
	}
	if !slices.Contains(left, "theirs") || len(left) < 2 {
		t.Errorf("left over: %v", left)
	}
	for table := range in.RequestItems {
		for i := range 10 {
			name := fmt.Sprint(table, i)
			if passed := strings.Contains(e.got()[0], `"`+name+`"`); passed == slices.Contains(left, name) {
				t.Errorf("%s was passed on: %t, and left over: %t", name, passed, !passed)
			}
		}
	}
}

func TestPartialBatchWriteItem(t *testing.T) {
	e := &endpoint{answer: `{"UnprocessedItems":{}}`}
	_, client := before(t, e, "score", Rule{Kind: Partial, Nth: []int{1}}, Rule{Kind: Partial, Nth: []int{2}, Share: 1})
	in := &dynamodb.BatchWriteItemInput{RequestItems: map[string][]ddb.WriteRequest{}}
	for i := range 10 {
		in.RequestItems["hito"] = append(in.RequestItems["hito"], ddb.WriteRequest{PutRequest: &ddb.PutRequest{Item: key(fmt.Sprint("hito", i))}})
	}
	out, err := dynamodb.NewFromConfig(client).BatchWriteItem(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	left := out.UnprocessedItems["hito"]
	if len(left) == 0 || len(left) == 10 {
		t.Fatalf("%d items left over", len(left))
	}
	for _, item := range left {
		if name := item.PutRequest.Item["pk"].(*ddb.AttributeValueMemberS).Value; strings.Contains(e.got()[0], `"`+name+`"`) {
			t.Errorf("%s was written, and left over", name)
		}
	}
	// AWS throttles a batch of which it can write nothing.
	_, err = dynamodb.NewFromConfig(client).BatchWriteItem(t.Context(), in)
	if !isType(err, &ddb.ProvisionedThroughputExceededException{}) || len(e.got()) != 1 {
		t.Errorf("got %v, and %d calls passed on", err, len(e.got()))
	}
}

func TestPartialSendMessageBatch(t *testing.T) {
	e := &endpoint{reply: func(body []byte) string {
		var in struct {
			Entries []struct{ Id, MessageBody string }
		}
		_ = json.Unmarshal(body, &in)
		var sent []string
		for _, entry := range in.Entries {
			sent = append(sent, fmt.Sprintf(`{"Id":%q,"MessageId":"m","MD5OfMessageBody":"900150983cd24fb0d6963f7d28e17f72"}`, entry.Id)) // of abc
		}
		return `{"Successful":[` + strings.Join(sent, ",") + `]}`
	}}
	_, client := before(t, e, "score", every(Partial))
	in := &sqs.SendMessageBatchInput{QueueUrl: new("https://sqs.eu-west-1.amazonaws.com/123456789012/actions")}
	for i := range 10 {
		in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{Id: new(fmt.Sprint("id", i)), MessageBody: new("abc")})
	}
	out, err := sqs.NewFromConfig(client).SendMessageBatch(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, entry := range out.Successful {
		ids[*entry.Id] = true
	}
	for _, entry := range out.Failed {
		if ids[*entry.Id] || entry.SenderFault || strings.Contains(e.got()[0], `"`+*entry.Id+`"`) {
			t.Errorf("%s failed, and did not", *entry.Id)
		}
		ids[*entry.Id] = true
	}
	if len(ids) != 10 || len(out.Failed) == 0 || len(out.Successful) == 0 {
		t.Errorf("%d failed, %d sent", len(out.Failed), len(out.Successful))
	}
}
