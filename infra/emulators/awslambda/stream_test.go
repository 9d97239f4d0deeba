package awslambda

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var errFailed = &FunctionError{Type: "errorString", RequestID: "request", Payload: []byte(`{}`)}

// poisoned fails a batch that has a record of this data.
func poisoned(data string) func([]handled) ([]byte, error) {
	return func(batch []handled) ([]byte, error) {
		if slices.ContainsFunc(batch, func(h handled) bool { return h.data == data }) {
			return nil, errFailed
		}
		return nil, nil
	}
}

// reports answers which record failed.
func reports(data string) func([]handled) ([]byte, error) {
	return func(batch []handled) ([]byte, error) {
		for _, h := range batch {
			if h.data == data {
				return fmt.Appendf(nil, `{"batchItemFailures":[{"itemIdentifier":%q}]}`, h.sequence), nil
			}
		}
		return []byte(`{"batchItemFailures":[]}`), nil
	}
}

func TestStreamEvent(t *testing.T) {
	s := newStream("shardId-000000000000")
	s.putAt("shardId-000000000000", "017", "\x00hello", time.Date(2026, 11, 25, 12, 0, 0, 45_600_000, time.UTC))
	f := &recorder{}
	m := &StreamMapping{Function: f, Client: s, SourceARN: streamARN, Role: "arn:aws:iam::123456789012:role/enrich", Scale: 0.001}
	run(t, m)
	settled(t, m, 1)
	want := `{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"017","sequenceNumber":"1","data":"AGhlbGxv","approximateArrivalTimestamp":1795608000.045},` +
		`"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000000:1","eventName":"aws:kinesis:record",` +
		`"invokeIdentityArn":"arn:aws:iam::123456789012:role/enrich","awsRegion":"eu-west-3","eventSourceARN":"arn:aws:kinesis:eu-west-3:123456789012:stream/raw"}]}`
	if string(f.raw) != want {
		t.Errorf("the event is\n%s, want\n%s", f.raw, want)
	}
	if at := m.Checkpoint("shardId-000000000000"); at != "1" {
		t.Errorf("the checkpoint is %s", at)
	}
}

// TestDelivery: which invocations follow from what the function answers. The
// stream has a to f in one shard.
func TestDelivery(t *testing.T) {
	for _, test := range []struct {
		name     string
		set      func(*StreamMapping)
		answer   func([]handled) ([]byte, error)
		batches  string
		messages string // start-end/batchSize/invocations
	}{
		{name: "all done", batches: "a b c d|e f"},
		{name: "error, for ever until it works", answer: failTimes(3), batches: "a b c d|a b c d|a b c d|a b c d|e f"},
		{
			name: "error, given up", set: func(m *StreamMapping) { m.MaximumRetryAttempts = new(2) }, answer: poisoned("c"),
			batches: "a b c d|a b c d|a b c d|e f", messages: "1-4/4/3 RetryAttemptsExhausted Unhandled",
		},
		{
			name: "no retries", set: func(m *StreamMapping) { m.MaximumRetryAttempts = new(0) }, answer: poisoned("c"),
			batches: "a b c d|e f", messages: "1-4/4/1 RetryAttemptsExhausted Unhandled",
		},
		{
			name:    "bisected to the poison",
			set:     func(m *StreamMapping) { m.MaximumRetryAttempts = new(1); m.BisectBatchOnFunctionError = true },
			answer:  poisoned("c"),
			batches: "a b c d|a b|c d|c|c|d|e f", messages: "3-3/1/4 RetryAttemptsExhausted Unhandled",
		},
		{
			name: "reports not asked for", answer: reports("c"), batches: "a b c d|e f",
		},
		{
			name:    "reported, given up",
			set:     func(m *StreamMapping) { m.ReportBatchItemFailures = true; m.MaximumRetryAttempts = new(1) },
			answer:  reports("c"),
			batches: "a b c d|c d|c d|e f", messages: "3-4/2/2 RetryAttemptsExhausted ",
		},
		{
			name: "reported, cut there and not in half",
			set: func(m *StreamMapping) {
				m.ReportBatchItemFailures, m.BisectBatchOnFunctionError, m.MaximumRetryAttempts = true, true, new(1)
			},
			answer:  reports("d"),
			batches: "a b c d|d|d|e f", messages: "4-4/1/2 RetryAttemptsExhausted ",
		},
		{
			name: "reported first, bisected",
			set: func(m *StreamMapping) {
				m.ReportBatchItemFailures, m.BisectBatchOnFunctionError, m.MaximumRetryAttempts = true, true, new(0)
			},
			answer:  reports("a"),
			batches: "a b c d|a b|a|b|c d|e f", messages: "1-1/1/3 RetryAttemptsExhausted ",
		},
		{
			name:    "several reported: the lowest number counts",
			set:     func(m *StreamMapping) { m.ReportBatchItemFailures = true },
			answer:  once(`{"batchItemFailures":[{"itemIdentifier":"4"},{"itemIdentifier":"2"},{"itemIdentifier":"3"}]}`),
			batches: "a b c d|b c d|e f",
		},
		{
			name:    "an unknown number fails the whole batch",
			set:     func(m *StreamMapping) { m.ReportBatchItemFailures = true },
			answer:  once(`{"batchItemFailures":[{"itemIdentifier":"77"}]}`),
			batches: "a b c d|a b c d|e f",
		},
		{
			name:    "a malformed answer fails the whole batch",
			set:     func(m *StreamMapping) { m.ReportBatchItemFailures = true },
			answer:  once(`{"batchItemFailures":[{"item":"3"}]}`),
			batches: "a b c d|a b c d|e f",
		},
		{
			name: "delivered again", set: func(m *StreamMapping) {
				m.Redeliver = func(b Batch) bool { return b.First == "1" && m.Stats().Redelivered < 2 }
			},
			batches: "a b c d|a b c d|a b c d|e f",
		},
		{
			name: "throttling is no attempt", set: func(m *StreamMapping) { m.MaximumRetryAttempts = new(0) },
			answer: func() func([]handled) ([]byte, error) {
				n := 0
				return func([]handled) ([]byte, error) {
					if n++; n < 4 {
						return nil, ErrThrottled
					}
					return nil, nil
				}
			}(),
			batches: "a b c d|a b c d|a b c d|a b c d|e f",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStream("s")
			for data := range strings.FieldsSeq("a b c d e f") {
				s.put("s", "key", data)
			}
			f, dead := &recorder{answer: test.answer}, &letters{fail: 1}
			m := &StreamMapping{
				Function: f, FunctionARN: "arn:aws:lambda:eu-west-3:123456789012:function:enrich", Client: s, SourceARN: streamARN,
				BatchSize: 4, OnFailure: dead, Scale: 0.0001,
			}
			if test.set != nil {
				test.set(m)
			}
			run(t, m)
			settled(t, m, 6)
			if got := f.batches(); got != test.batches {
				t.Errorf("invoked with %s, want %s", got, test.batches)
			}
			var messages []string
			for _, d := range dead.all() {
				info := d.KinesisBatchInfo
				messages = append(messages, fmt.Sprintf("%s-%s/%d/%d %s %s", info.StartSequenceNumber, info.EndSequenceNumber, info.BatchSize,
					d.RequestContext.ApproximateInvokeCount, d.RequestContext.Condition, d.ResponseContext.FunctionError))
				if info.ShardID != "s" || info.StreamARN != streamARN || info.ApproximateArrivalOfFirstRecord == "" || d.RequestContext.FunctionARN != m.FunctionARN {
					t.Errorf("a message is %+v", d)
				}
			}
			if got := strings.Join(messages, ", "); got != test.messages {
				t.Errorf("messages are %q, want %q", got, test.messages)
			}
			if at := m.Checkpoint("s"); at != "6" {
				t.Errorf("the checkpoint is %s", at)
			}
		})
	}
}

func failTimes(n int) func([]handled) ([]byte, error) {
	return func([]handled) ([]byte, error) {
		if n--; n >= 0 {
			return nil, errFailed
		}
		return nil, nil
	}
}

func once(answer string) func([]handled) ([]byte, error) {
	first := true
	return func([]handled) ([]byte, error) {
		if first {
			first = false
			return []byte(answer), nil
		}
		return nil, nil
	}
}

func TestStreamSettings(t *testing.T) {
	for name, m := range map[string]*StreamMapping{
		"no stream":  {},
		"batch":      {SourceARN: streamARN, BatchSize: 10_001},
		"window":     {SourceARN: streamARN, MaximumBatchingWindow: 301 * time.Second},
		"lanes":      {SourceARN: streamARN, ParallelizationFactor: 11},
		"position":   {SourceARN: streamARN, StartingPosition: "AT_TIMESTAMP"},
		"retries":    {SourceARN: streamARN, MaximumRetryAttempts: new(-1)},
		"record age": {SourceARN: streamARN, MaximumRecordAge: time.Second},
	} {
		if err := m.Run(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := streamName(streamARN + "/consumer/score:1795608000"); got != "raw" {
		t.Errorf("a consumer's stream is %s", got)
	}
	for n, want := range []time.Duration{time.Second, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		if got := backoff(0, n); got != want {
			t.Errorf("the pause after %d failures is %s, want %s", n, got, want)
		}
	}
	if got := backoff(0.5, 1000); got != 30*time.Second {
		t.Errorf("the longest pause is %s", got)
	}
}

// FuzzFit: batches partition the records, within both limits.
func FuzzFit(f *testing.F) {
	f.Add(3, []byte{1, 2, 3, 200})
	f.Fuzz(func(t *testing.T, batch int, sizes []byte) {
		batch = 1 + max(batch, -batch)%100
		var records []*record
		for _, n := range sizes {
			records = append(records, &record{encoded: make([]byte, int(n)*16<<10)})
		}
		for len(records) > 0 {
			n, full := fit(records, batch)
			if n < 1 || n > batch || n > len(records) || n > 1 && len(event(records[:n])) > MaxPayload {
				t.Fatalf("a batch of %d from %d", n, len(records))
			}
			if n < len(records) && !full {
				t.Fatalf("%d of %d, and not full", n, len(records))
			}
			records = records[n:]
		}
	})
}

// TestDiscardedForm is the message as AWS documents it.
func TestDiscardedForm(t *testing.T) {
	l := &lane{mapping: &StreamMapping{FunctionARN: "f", SourceARN: "s"}, shard: "shardId-000000000001"}
	at := time.Date(2019, 11, 14, 0, 38, 4, 835_000_000, time.UTC)
	d := l.discarded([]*record{{sequence: "1", arrived: at}, {sequence: "2", arrived: at}}, RetryAttemptsExhausted, attempts{invocations: 1, last: errFailed})
	d.Timestamp = "now"
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"requestContext":{"requestId":"request","functionArn":"f","condition":"RetryAttemptsExhausted","approximateInvokeCount":1},` +
		`"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"version":"1.0","timestamp":"now",` +
		`"KinesisBatchInfo":{"shardId":"shardId-000000000001","startSequenceNumber":"1","endSequenceNumber":"2",` +
		`"approximateArrivalOfFirstRecord":"2019-11-14T00:38:04.835Z","approximateArrivalOfLastRecord":"2019-11-14T00:38:04.835Z","batchSize":2,"streamArn":"s"}}`
	if string(got) != want {
		t.Errorf("the message is\n%s, want\n%s", got, want)
	}
}
