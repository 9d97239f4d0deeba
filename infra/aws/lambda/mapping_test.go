package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
	"github.com/hitolayer/hito/shared/stream/streamtest"
)

const testARN = "arn:aws:kinesis:us-east-2:123456789012:stream/raw"

// kinesisEvent is the event that delivers records of a shard.
func kinesisEvent(t testing.TB, shardID string, records []shard.Record) []byte {
	t.Helper()
	type kinesis struct {
		Version   string          `json:"kinesisSchemaVersion"`
		Partition string          `json:"partitionKey"`
		Sequence  string          `json:"sequenceNumber"`
		Data      []byte          `json:"data"`
		Arrived   json.RawMessage `json:"approximateArrivalTimestamp"`
	}
	type member struct {
		Kinesis  kinesis `json:"kinesis"`
		Source   string  `json:"eventSource"`
		Version  string  `json:"eventVersion"`
		ID       string  `json:"eventID"`
		Name     string  `json:"eventName"`
		Identity string  `json:"invokeIdentityArn"`
		Region   string  `json:"awsRegion"`
		ARN      string  `json:"eventSourceARN"`
	}
	event := struct{ Records []member }{}
	for _, r := range records {
		event.Records = append(event.Records, member{
			kinesis{"1.0", r.PartitionKey, r.Sequence, r.Data, json.RawMessage(fmt.Sprintf("%d.%03d", r.Arrived.Unix(), r.Arrived.UnixMilli()%1000))},
			"aws:kinesis", "1.0", shardID + ":" + r.Sequence, "aws:kinesis:record",
			"arn:aws:iam::123456789012:role/lambda-role", "us-east-2", testARN,
		})
	}
	return encode(t, event)
}

// sqsEvent is the event that delivers one message.
func sqsEvent(t testing.TB, id, body string, receives int) []byte {
	t.Helper()
	return encode(t, map[string]any{"Records": []any{map[string]any{
		"messageId": id, "receiptHandle": "AQEB", "body": body,
		"attributes":        map[string]string{"ApproximateReceiveCount": strconv.Itoa(receives), "SenderId": "x"},
		"messageAttributes": map[string]any{}, "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:q", "awsRegion": "us-east-2",
	}}})
}

// discardedBody is what goes to the on-failure queue.
func discardedBody(t testing.TB, shardID, condition string, attempts int, records []shard.Record) string {
	t.Helper()
	return string(encode(t, map[string]any{
		"requestContext":  map[string]any{"requestId": "r", "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:f", "condition": condition, "approximateInvokeCount": attempts},
		"responseContext": map[string]any{"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
		"version":         "1.0", "timestamp": "2019-11-14T00:38:06.021Z",
		"KinesisBatchInfo": map[string]any{
			"shardId": shardID, "startSequenceNumber": records[0].Sequence, "endSequenceNumber": records[len(records)-1].Sequence,
			"approximateArrivalOfFirstRecord": "2019-11-14T00:38:04.835Z", "approximateArrivalOfLastRecord": "2019-11-14T00:38:05.580Z",
			"batchSize": len(records), "streamArn": testARN,
		},
	}))
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// reported returns what a partial batch response names.
func reported(t testing.TB, out []byte) []string {
	t.Helper()
	var a struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	ids := []string{}
	for _, f := range a.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

func packed(t testing.TB, records ...stream.Record) []byte {
	t.Helper()
	data, err := pack.Append(nil, records)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sequence returns the n-th sequence number: now and then one digit longer than
// the one before, so that numbers do not sort as text.
func sequence(n int) string {
	return "4959033827149025660855969253836157109592157598913658" + strconv.Itoa(n+5)
}

// mapping plays Kinesis and Lambda's event source mapping: shards in memory,
// retries from the position reported, and after bounded attempts the on-failure
// queue, which is bounded too.
type mapping struct {
	t       *testing.T
	stream  *Stream
	shelf   *shelf
	shards  []*shardLog
	batch   int
	retries int
	bisect  bool
	// lose reports whether an answer is lost, after its effects.
	lose func() bool
	dead []string
}

type shardLog struct {
	id      string
	mu      sync.Mutex
	records []shard.Record
	more    chan struct{} // a token when there may be more
}

func newMapping(t *testing.T, shards int) *mapping {
	m := &mapping{t: t, shelf: &shelf{}, batch: 50, retries: 3}
	for i := range shards {
		m.shards = append(m.shards, &shardLog{id: fmt.Sprintf("shardId-%012d", i), more: make(chan struct{}, 1)})
	}
	m.stream = &Stream{Group: "score", Stage: quarantine.Score, Quarantine: m.shelf, Records: m, Log: quiet}
	return m
}

// Publish puts a pack for each partition.
func (m *mapping) Publish(ctx context.Context, records []stream.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	parts := map[int][]stream.Record{}
	for _, r := range records {
		p := pack.Partition(r.Project, r.Key)
		parts[p] = append(parts[p], r)
	}
	for p, rs := range parts {
		data, err := pack.Append(nil, rs)
		if err != nil {
			return err
		}
		m.put(p%len(m.shards), fmt.Sprintf("%03d", p), data)
	}
	return nil
}

func (m *mapping) put(n int, partition string, data []byte) {
	s := m.shards[n]
	s.mu.Lock()
	s.records = append(s.records, shard.Record{PartitionKey: partition, Sequence: sequence(len(s.records)), Data: data, Arrived: time.UnixMilli(1_700_000_000_123)})
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (m *mapping) Fetch(_ context.Context, arn, shardID, first, last string) ([]shard.Record, error) {
	if arn != testARN {
		return nil, fmt.Errorf("no stream %s", arn)
	}
	var out []shard.Record
	for _, s := range m.shards {
		if s.id != shardID {
			continue
		}
		s.mu.Lock()
		for _, r := range s.records {
			if compare([]byte(r.Sequence), []byte(first)) >= 0 && compare([]byte(r.Sequence), []byte(last)) <= 0 {
				out = append(out, r)
			}
		}
		s.mu.Unlock()
	}
	return out, nil
}

func (m *mapping) Quarantined(*testing.T) []quarantine.Entry { return m.shelf.all() }

func (m *mapping) Consume(t *testing.T, h stream.Handler) {
	m.stream.Handler = h
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, s := range m.shards {
		wg.Go(func() {
			for at := 0; ctx.Err() == nil; {
				s.mu.Lock()
				records := slices.Clone(s.records[at:min(len(s.records), at+m.batch)])
				s.mu.Unlock()
				if at += len(records); len(records) > 0 {
					m.deliver(ctx, s.id, records)
					continue
				}
				select {
				case <-s.more:
				case <-ctx.Done():
				}
			}
		})
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// invoke calls the function, and reports whether its answer is lost.
func (m *mapping) invoke(ctx context.Context, payload []byte) (ids []string, lost bool) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ids = invoke(m.t, ctx, m.stream, payload)
	for i := range payload {
		payload[i] = 'X' // the memory is the next payload's
	}
	return ids, m.lose != nil && m.lose()
}

func (m *mapping) deliver(ctx context.Context, shardID string, records []shard.Record) {
	// booked: an answer is lost that told of records that are done. What was booked
	// by its position and is given up then is booked by its ID too, so this mapping
	// does not give up until it has heard that they are done.
	booked := false
	for tries := 0; len(records) > 0 && ctx.Err() == nil; {
		ids, lost := m.invoke(ctx, kinesisEvent(m.t, shardID, records))
		failed := len(records)
		if len(ids) > 0 {
			failed = slices.IndexFunc(records, func(r shard.Record) bool { return r.Sequence == ids[0] })
			if failed < 0 || len(ids) > 1 {
				m.t.Errorf("reported %q", ids)
				return
			}
		}
		if failed > 0 && !lost { // what is before is done; the rest is a batch of its own
			records, tries, booked = records[failed:], 0, false
			continue
		}
		booked = booked || failed > 0
		if tries++; tries > m.retries && !booked {
			m.discard(ctx, shardID, tries, records)
			return
		}
		if m.bisect && len(records) > 1 && !booked {
			m.deliver(ctx, shardID, records[:len(records)/2])
			records, tries = records[len(records)/2:], 0
		}
	}
}

func (m *mapping) discard(ctx context.Context, shardID string, tries int, records []shard.Record) {
	body := discardedBody(m.t, shardID, "RetryAttemptsExhausted", tries, records)
	for receives := 1; receives <= 40; receives++ {
		if ids, _ := m.invoke(ctx, sqsEvent(m.t, "message", body, receives)); len(ids) == 0 || ctx.Err() != nil {
			return // an answer that is lost here is not played
		}
	}
	m.dead = append(m.dead, body)
}

func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*mapping){
		"Plain":       func(*mapping) {},
		"Bisecting":   func(m *mapping) { m.bisect = true },
		"SmallCalls":  func(m *mapping) { m.stream.MaxRecords = 3 },
		"TinyBatches": func(m *mapping) { m.batch = 1 },
		"WithLedger":  func(m *mapping) { m.stream.Ledger = newBooks() },
	} {
		t.Run(name, func(t *testing.T) {
			streamtest.Run(t, func(t *testing.T) streamtest.Stream {
				m := newMapping(t, 2)
				change(m)
				return m
			}, streamtest.Features{KeyAffinity: true, Bisects: true, MaxAttempts: 16, MaxRecordBytes: 1 << 20})
		})
	}
}
