package awslambda

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const queueARN = "arn:aws:sqs:eu-west-3:123456789012:actions"

// fakeQueue is an SQS queue in memory.
type fakeQueue struct {
	mu       sync.Mutex
	messages []*fakeMessage
	deleted  []string
	fail     int // how many deletes fail
}

type fakeMessage struct {
	id, body string
	received int
	hidden   bool
	seconds  int32 // until it is visible again, as asked
}

func (q *fakeQueue) put(bodies ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, body := range bodies {
		q.messages = append(q.messages, &fakeMessage{id: "m" + strconv.Itoa(len(q.messages)+len(q.deleted)), body: body})
	}
}

func (q *fakeQueue) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := &sqs.ReceiveMessageOutput{}
	for _, m := range q.messages {
		if m.hidden || len(out.Messages) == int(in.MaxNumberOfMessages) {
			continue
		}
		m.hidden = true
		m.received++
		sum := md5.Sum([]byte(m.body))
		out.Messages = append(out.Messages, types.Message{
			MessageId: &m.id, ReceiptHandle: aws.String("handle " + m.id), Body: &m.body, MD5OfBody: aws.String(hex.EncodeToString(sum[:])),
			Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received), "SentTimestamp": "1545082649183"},
			MessageAttributes: map[string]types.MessageAttributeValue{
				"text": {DataType: aws.String("String"), StringValue: aws.String("1")},
			},
		})
	}
	return out, nil
}

func (q *fakeQueue) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail > 0 {
		q.fail--
		return nil, errors.New("refused")
	}
	for _, e := range in.Entries {
		q.messages = slices.DeleteFunc(q.messages, func(m *fakeMessage) bool {
			if "handle "+m.id != *e.ReceiptHandle {
				return false
			}
			q.deleted = append(q.deleted, m.body)
			return true
		})
	}
	return &sqs.DeleteMessageBatchOutput{}, nil
}

func (q *fakeQueue) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range in.Entries {
		for _, m := range q.messages {
			if "handle "+m.id == *e.ReceiptHandle {
				m.hidden, m.seconds = false, e.VisibilityTimeout
			}
		}
	}
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

// queueEvent is what a function reads of an event.
type queueEvent struct {
	Records []struct {
		MessageID  string
		Body       string
		Attributes map[string]string
	}
}

// invokerFunc is a function in this process.
type invokerFunc func(ctx context.Context, payload []byte) ([]byte, error)

func (f invokerFunc) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return f(ctx, payload)
}

func runQueue(t *testing.T, m *QueueMapping) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestQueueEvent(t *testing.T) {
	q := &fakeQueue{}
	q.put(`{"a":1}`)
	events := make(chan []byte, 1)
	m := &QueueMapping{Client: q, SourceARN: queueARN, Scale: 0.001, Function: invokerFunc(func(_ context.Context, payload []byte) ([]byte, error) {
		events <- payload
		return nil, nil
	})}
	runQueue(t, m)
	want := `{"Records":[{"messageId":"m0","receiptHandle":"handle m0","body":"{\"a\":1}","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1545082649183"},` +
		`"messageAttributes":{"text":{"stringValue":"1","stringListValues":[],"binaryListValues":[],"dataType":"String"}},` +
		`"md5OfBody":"bb6cb5c68df4652941caf652a366f2d8","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-3:123456789012:actions","awsRegion":"eu-west-3"}]}`
	if got := <-events; string(got) != want {
		t.Errorf("the event is\n%s, want\n%s", got, want)
	}
	eventually(t, func() error { return equal("deleted", m.Stats().Deleted, 1) })
}

// TestQueueFailures: what fails comes again, with its count, and nothing else does.
func TestQueueFailures(t *testing.T) {
	for _, test := range []struct {
		name    string
		reports bool
		answer  func(ids []string) ([]byte, error)
		again   bool // all of the batch, not only the bad message
	}{
		{name: "error", answer: func([]string) ([]byte, error) { return nil, errFailed }, again: true},
		{name: "throttled", answer: func([]string) ([]byte, error) { return nil, ErrThrottled }, again: true},
		{
			name: "partial", reports: true,
			answer: func(ids []string) ([]byte, error) {
				return fmt.Appendf(nil, `{"batchItemFailures":[{"itemIdentifier":%q}]}`, ids[1]), nil
			},
		},
		{
			name: "unknown", reports: true, again: true,
			answer: func([]string) ([]byte, error) {
				return []byte(`{"batchItemFailures":[{"itemIdentifier":"x"}]}`), nil
			},
		},
		{
			name: "malformed", reports: true, again: true,
			answer: func([]string) ([]byte, error) { return []byte(`{"batchItemFailures":[{"id":"m1"}]}`), nil },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := &fakeQueue{}
			q.put("a", "bad", "c")
			var mu sync.Mutex
			counts := map[string][]string{}
			m := &QueueMapping{
				Client: q, SourceARN: queueARN, MaximumConcurrency: 2, ReportBatchItemFailures: test.reports, Scale: 0.01, VisibilityTimeout: 5 * time.Minute,
				Function: invokerFunc(func(_ context.Context, payload []byte) ([]byte, error) {
					var e queueEvent
					if err := json.Unmarshal(payload, &e); err != nil {
						return nil, err
					}
					mu.Lock()
					defer mu.Unlock()
					var ids []string
					bad := false
					for _, r := range e.Records {
						counts[r.Body] = append(counts[r.Body], r.Attributes["ApproximateReceiveCount"])
						ids = append(ids, r.MessageID)
						bad = bad || r.Body == "bad" && r.Attributes["ApproximateReceiveCount"] == "1"
					}
					if bad {
						return test.answer(ids)
					}
					return nil, nil
				}),
			}
			runQueue(t, m)
			eventually(t, func() error {
				q.mu.Lock()
				defer q.mu.Unlock()
				return equal("deleted", strings.Join(slices.Sorted(slices.Values(q.deleted)), " "), "a bad c")
			})
			mu.Lock()
			defer mu.Unlock()
			if len(counts["bad"]) < 2 || counts["bad"][1] != "2" || (len(counts["a"]) > 1) != test.again {
				t.Errorf("received %v", counts)
			}
		})
	}
}

// TestQueueDelete: what cannot be deleted is delivered again when its timeout has passed.
func TestQueueDelete(t *testing.T) {
	q := &fakeQueue{fail: 1}
	q.put("a")
	m := &QueueMapping{Client: q, SourceARN: queueARN, Scale: 0.01, Function: &recorder{}}
	runQueue(t, m)
	eventually(t, func() error { return equal("batches", m.Stats().Batches, 1) })
	eventually(t, func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, message := range q.messages {
			message.hidden = message.hidden && q.fail > 0
		}
		return equal("deleted", strings.Join(q.deleted, " "), "a")
	})
	if s := m.Stats(); s.Batches != 2 || s.Deleted != 1 {
		t.Errorf("stats are %+v", s)
	}
}

// TestQueueBatches: up to the batch's size within the window, and 6 MiB.
func TestQueueBatches(t *testing.T) {
	q := &fakeQueue{}
	for i := range 25 {
		q.put(strconv.Itoa(i))
	}
	sizes := make(chan int, 100)
	m := &QueueMapping{
		Client: q, SourceARN: queueARN, BatchSize: 20, MaximumBatchingWindow: 30 * time.Second, Scale: 0.01,
		Function: invokerFunc(func(_ context.Context, payload []byte) ([]byte, error) {
			var e queueEvent
			if err := json.Unmarshal(payload, &e); err != nil {
				return nil, err
			}
			sizes <- len(e.Records)
			return nil, nil
		}),
	}
	runQueue(t, m)
	total := 0
	for total < 25 {
		n := <-sizes
		if n > 20 {
			t.Errorf("a batch of %d", n)
		}
		total += n
	}
	large := make([]types.Message, 8)
	for i := range large {
		large[i] = types.Message{Body: aws.String(strings.Repeat("x", 1<<20))}
	}
	if n := m.fit(large); n != 5 {
		t.Errorf("%d messages of 1 MiB in a batch", n)
	}
}

func TestQueueSettings(t *testing.T) {
	for name, m := range map[string]*QueueMapping{
		"fifo":        {Queue: "http://127.0.0.1/1/q.fifo"},
		"batch":       {BatchSize: 10_001},
		"no window":   {BatchSize: 11},
		"window":      {MaximumBatchingWindow: 301 * time.Second},
		"concurrency": {MaximumConcurrency: 1},
	} {
		if err := m.Run(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
