package awslambda

import (
	"encoding/json"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// queueRecord is a message in an event
// (docs.aws.amazon.com/lambda/latest/dg/with-sqs.html).
type queueRecord struct {
	MessageID              string                    `json:"messageId"`
	ReceiptHandle          string                    `json:"receiptHandle"`
	Body                   string                    `json:"body"`
	Attributes             map[string]string         `json:"attributes"`
	MessageAttributes      map[string]queueAttribute `json:"messageAttributes"`
	MD5OfMessageAttributes string                    `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody              string                    `json:"md5OfBody"`
	EventSource            string                    `json:"eventSource"`
	EventSourceARN         string                    `json:"eventSourceARN"`
	AWSRegion              string                    `json:"awsRegion"`
}

type queueAttribute struct {
	StringValue      *string  `json:"stringValue,omitempty"`
	BinaryValue      []byte   `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues [][]byte `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

// encode is one message as an event has it.
func (m *QueueMapping) encode(message *types.Message) []byte {
	attributes := make(map[string]queueAttribute, len(message.MessageAttributes))
	for name, a := range message.MessageAttributes {
		attributes[name] = queueAttribute{
			StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: aws.ToString(a.DataType),
			StringListValues: []string{}, BinaryListValues: [][]byte{},
		}
	}
	encoded, err := json.Marshal(queueRecord{
		MessageID: aws.ToString(message.MessageId), ReceiptHandle: aws.ToString(message.ReceiptHandle), Body: aws.ToString(message.Body),
		Attributes: message.Attributes, MessageAttributes: attributes,
		MD5OfMessageAttributes: aws.ToString(message.MD5OfMessageAttributes), MD5OfBody: aws.ToString(message.MD5OfBody),
		EventSource: "aws:sqs", EventSourceARN: m.SourceARN, AWSRegion: part(m.SourceARN, 3),
	})
	if err != nil {
		panic(err) // texts always encode
	}
	return encoded
}

// event joins messages.
func (m *QueueMapping) event(messages []types.Message) []byte {
	records := make([]*record, 0, len(messages))
	for i := range messages {
		records = append(records, &record{encoded: m.encode(&messages[i])})
	}
	return event(records)
}

// chunks are messages in what one request to SQS takes.
func chunks(messages []types.Message) iter.Seq[[]types.Message] { return slices.Chunk(messages, 10) }
