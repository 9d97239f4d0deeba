package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Why a batch was given up: the condition in a destination's message.
const (
	RetryAttemptsExhausted = "RetryAttemptsExhausted"
	RecordAgeExceeded      = "RecordAgeExceeded"
)

// A Discarded is the message about a batch that was given up
// (docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html).
// With several lanes the range also spans records of other lanes: batchSize is
// how many of it were in the batch.
type Discarded struct {
	RequestContext   RequestContext   `json:"requestContext"`
	ResponseContext  *ResponseContext `json:"responseContext,omitempty"` // nil: never invoked
	Version          string           `json:"version"`
	Timestamp        string           `json:"timestamp"`
	KinesisBatchInfo KinesisBatchInfo `json:"KinesisBatchInfo"`
}

// A RequestContext says what was tried.
type RequestContext struct {
	RequestID              string `json:"requestId"`
	FunctionARN            string `json:"functionArn"`
	Condition              string `json:"condition"`
	ApproximateInvokeCount int    `json:"approximateInvokeCount"`
}

// A ResponseContext says what the function answered last.
type ResponseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"` // "": it reported a failure of its own
}

// A KinesisBatchInfo says where the records are.
type KinesisBatchInfo struct {
	ShardID                         string `json:"shardId"`
	StartSequenceNumber             string `json:"startSequenceNumber"`
	EndSequenceNumber               string `json:"endSequenceNumber"`
	ApproximateArrivalOfFirstRecord string `json:"approximateArrivalOfFirstRecord"`
	ApproximateArrivalOfLastRecord  string `json:"approximateArrivalOfLastRecord"`
	BatchSize                       int    `json:"batchSize"`
	StreamARN                       string `json:"streamArn"`
}

// milliseconds is how the message writes times, in UTC.
const milliseconds = "2006-01-02T15:04:05.000Z"

// discard gives records up. It goes on until the destination has the message
// or ctx ends, so that a fault of the destination loses nothing in a test.
func (l *lane) discard(ctx context.Context, records []*record, condition string, tried attempts) {
	m := l.mapping
	if m.OnFailure != nil {
		message, err := json.Marshal(l.discarded(records, condition, tried))
		if err != nil {
			panic(err) // texts and numbers always encode
		}
		for failures := 1; ; failures++ {
			if err = m.OnFailure.Send(ctx, message); err == nil {
				break
			}
			if ctx.Err() != nil {
				return // it is delivered again
			}
			m.log().Warn("send to the on-failure destination", "stream", m.SourceARN, "shard", l.shard, "error", err)
			wait(ctx, backoff(m.Scale, failures))
		}
	}
	l.at.done(records)
	m.count(func(s *StreamStats) { s.Discarded += len(records) })
}

func (l *lane) discarded(records []*record, condition string, tried attempts) Discarded {
	first, last := records[0], records[len(records)-1]
	d := Discarded{
		RequestContext: RequestContext{newID(), l.mapping.FunctionARN, condition, tried.invocations},
		Version:        "1.0", Timestamp: time.Now().UTC().Format(milliseconds),
		KinesisBatchInfo: KinesisBatchInfo{
			ShardID: l.shard, StartSequenceNumber: first.sequence, EndSequenceNumber: last.sequence,
			ApproximateArrivalOfFirstRecord: first.arrived.UTC().Format(milliseconds),
			ApproximateArrivalOfLastRecord:  last.arrived.UTC().Format(milliseconds),
			BatchSize:                       len(records), StreamARN: l.mapping.SourceARN,
		},
	}
	if tried.invocations > 0 {
		d.ResponseContext = &ResponseContext{StatusCode: 200, ExecutedVersion: "$LATEST"}
	}
	if e, ok := errors.AsType[*FunctionError](tried.last); ok {
		d.RequestContext.RequestID, d.ResponseContext.FunctionError = e.RequestID, "Unhandled"
	}
	return d
}

// Sender is how a message gets into a queue; *sqs.Client has it.
type Sender interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// A QueueDestination is an SQS queue that takes what mappings give up.
type QueueDestination struct {
	Client Sender
	Queue  string // URL
}

// Send sends the message.
func (q QueueDestination) Send(ctx context.Context, message []byte) error {
	body := string(message)
	if _, err := q.Client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.Queue, MessageBody: &body}); err != nil {
		return fmt.Errorf("send to %s: %w", q.Queue, err)
	}
	return nil
}
