package awslambda

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// A record is one of a stream, encoded once as events have it.
type record struct {
	sequence string
	key      string
	arrived  time.Time
	encoded  []byte
	position *position
}

// kinesisRecord is a record in an event
// (docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html).
type kinesisRecord struct {
	Kinesis           kinesisData `json:"kinesis"`
	EventSource       string      `json:"eventSource"`
	EventVersion      string      `json:"eventVersion"`
	EventID           string      `json:"eventID"`
	EventName         string      `json:"eventName"`
	InvokeIdentityARN string      `json:"invokeIdentityArn"`
	AWSRegion         string      `json:"awsRegion"`
	EventSourceARN    string      `json:"eventSourceARN"`
}

type kinesisData struct {
	SchemaVersion               string      `json:"kinesisSchemaVersion"`
	PartitionKey                string      `json:"partitionKey"`
	SequenceNumber              string      `json:"sequenceNumber"`
	Data                        []byte      `json:"data"`
	ApproximateArrivalTimestamp json.Number `json:"approximateArrivalTimestamp"` // seconds, three decimals
}

// read encodes what the stream returned.
func (m *StreamMapping) read(shard string, r types.Record) (*record, error) {
	out := &record{sequence: *r.SequenceNumber, key: *r.PartitionKey}
	if r.ApproximateArrivalTimestamp != nil {
		out.arrived = *r.ApproximateArrivalTimestamp
	}
	ms := out.arrived.UnixMilli()
	data := r.Data
	if data == nil {
		data = []byte{} // "data":"", as Lambda has it
	}
	encoded, err := json.Marshal(kinesisRecord{
		Kinesis: kinesisData{
			SchemaVersion: "1.0", PartitionKey: out.key, SequenceNumber: out.sequence, Data: data,
			ApproximateArrivalTimestamp: json.Number(fmt.Sprintf("%d.%03d", ms/1000, ms%1000)),
		},
		EventSource: "aws:kinesis", EventVersion: "1.0", EventID: shard + ":" + out.sequence, EventName: "aws:kinesis:record",
		InvokeIdentityARN: m.Role, AWSRegion: part(m.SourceARN, 3), EventSourceARN: m.SourceARN,
	})
	if err != nil {
		return nil, fmt.Errorf("encode record %s: %w", out.sequence, err)
	}
	out.encoded = encoded
	return out, nil
}

// Around the records of an event.
const eventHead, eventTail = `{"Records":[`, `]}`

// event joins records.
func event(records []*record) []byte {
	n := len(eventHead) + len(eventTail) + len(records)
	for _, r := range records {
		n += len(r.encoded)
	}
	b := append(make([]byte, 0, n), eventHead...)
	for i, r := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.encoded...)
	}
	return append(b, eventTail...)
}

// fit returns how many of the records make one event of at most batch records
// and MaxPayload bytes, and whether more could not be added. One record alone
// always fits: Kinesis' are at most 1 MiB by default.
func fit(records []*record, batch int) (n int, full bool) {
	size := len(eventHead) + len(eventTail)
	for n < len(records) {
		size += len(records[n].encoded) + 1
		if n == batch || n > 0 && size > MaxPayload {
			return n, true
		}
		n++
	}
	return n, n == batch
}
