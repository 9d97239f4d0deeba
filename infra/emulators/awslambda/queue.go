package awslambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// QueueAPI is how a mapping reads a queue; *sqs.Client has it.
type QueueAPI interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// A QueueMapping is an event source mapping from a standard SQS queue to a
// function. Its fields are Lambda's settings of the same names, with Lambda's
// defaults, and must not change after Run
// (docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html).
//
// What the function does is deleted. What it fails, or is not there for,
// becomes visible again after the queue's visibility timeout; how often, and
// where it goes then, is up to the queue's redrive policy.
type QueueMapping struct {
	Function  Invoker
	Client    QueueAPI
	Queue     string // URL
	SourceARN string // the queue's

	BatchSize               int           // 1 to 10,000; 0 is 10
	MaximumBatchingWindow   time.Duration // 0 to 300 s; at least 1 s if BatchSize is more than 10
	MaximumConcurrency      int           // invocations at once, 2 to 1000; 0 is 5, with which Lambda begins
	ReportBatchItemFailures bool

	// VisibilityTimeout is the queue's; 0 is SQS' 30 s.
	VisibilityTimeout time.Duration
	// Scale shortens all times for tests: the batching window, the polling
	// interval of 1 s, and how long what failed stays invisible, in whole
	// seconds. 0 is 1: as slow as Lambda.
	Scale float64
	// Log is told what goes wrong with the queue; nil is slog.Default().
	Log *slog.Logger

	mu    sync.Mutex
	stats QueueStats
}

// QueueStats are what has happened to a mapping.
type QueueStats struct {
	Batches           int // invocations that ended
	Deleted, Returned int // messages
	Throttled         int // batches returned without an invocation
}

// Stats returns what has happened so far.
func (m *QueueMapping) Stats() QueueStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

func (m *QueueMapping) count(add func(*QueueStats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add(&m.stats)
}

func (m *QueueMapping) batchSize() int { return or(m.BatchSize, 10) }

func (m *QueueMapping) log() *slog.Logger {
	if m.Log != nil {
		return m.Log
	}
	return slog.Default()
}

// validate refuses what Lambda would.
func (m *QueueMapping) validate() error {
	switch {
	case strings.HasSuffix(m.Queue, ".fifo"):
		return errors.New("FIFO queues are not emulated")
	case m.batchSize() < 1 || m.batchSize() > 10_000:
		return fmt.Errorf("BatchSize %d is not within 1 and 10000", m.BatchSize)
	case m.MaximumBatchingWindow < 0 || m.MaximumBatchingWindow > 300*time.Second:
		return fmt.Errorf("MaximumBatchingWindow %s is not within 0 and 300 s", m.MaximumBatchingWindow)
	case m.batchSize() > 10 && m.MaximumBatchingWindow < time.Second:
		return fmt.Errorf("BatchSize %d needs a MaximumBatchingWindow of at least 1 s", m.BatchSize)
	case m.MaximumConcurrency != 0 && (m.MaximumConcurrency < 2 || m.MaximumConcurrency > 1000):
		return fmt.Errorf("MaximumConcurrency %d is not within 2 and 1000", m.MaximumConcurrency)
	}
	return nil
}

// Run delivers the queue until ctx ends, and returns nil then. Errors of the
// queue are logged and survived; an error is returned only for settings that
// Lambda would refuse.
func (m *QueueMapping) Run(ctx context.Context) error {
	if err := m.validate(); err != nil {
		return fmt.Errorf("map %s: %w", m.Queue, err)
	}
	var pollers sync.WaitGroup
	for range or(m.MaximumConcurrency, 5) {
		pollers.Go(func() { m.poll(ctx) })
	}
	pollers.Wait()
	return nil
}

func (m *QueueMapping) poll(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		messages, err := m.receive(ctx)
		if err != nil && ctx.Err() == nil {
			m.log().Warn("receive", "queue", m.Queue, "error", err)
			failures++
			wait(ctx, backoff(m.Scale, failures))
		} else {
			failures = 0
		}
		if len(messages) == 0 {
			wait(ctx, scaled(m.Scale, time.Second))
			continue
		}
		for len(messages) > 0 { // one batch, unless it is larger than an event may be
			n := m.fit(messages)
			m.deliver(ctx, messages[:n])
			messages = messages[n:]
		}
	}
}

// receive gathers a batch: up to ten messages, or as many as come within the
// batching window. It may return messages with an error.
func (m *QueueMapping) receive(ctx context.Context) ([]types.Message, error) {
	var messages []types.Message
	end := time.Now().Add(scaled(m.Scale, m.MaximumBatchingWindow))
	for {
		limit := int32(min(10, m.batchSize()-len(messages)))
		out, err := m.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &m.Queue, MaxNumberOfMessages: limit, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
			MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			return messages, fmt.Errorf("receive from %s: %w", m.Queue, err)
		}
		messages = append(messages, out.Messages...)
		left := time.Until(end)
		if len(messages) == m.batchSize() || left <= 0 {
			return messages, nil
		}
		if len(out.Messages) == 0 {
			wait(ctx, min(left, scaled(m.Scale, time.Second)))
		}
	}
}

// fit returns how many messages make an event of at most MaxPayload bytes.
func (m *QueueMapping) fit(messages []types.Message) int {
	size := len(eventHead) + len(eventTail)
	for i := range messages {
		size += len(m.encode(&messages[i])) + 1
		if i > 0 && size > MaxPayload {
			return i
		}
	}
	return len(messages)
}

// deliver has the function handle messages, and deletes those that it did.
func (m *QueueMapping) deliver(ctx context.Context, messages []types.Message) {
	failed, err := m.invoke(ctx, messages)
	if ctx.Err() != nil {
		return // they become visible again by themselves
	}
	if err != nil {
		failed = nil
		for _, message := range messages {
			failed = append(failed, *message.MessageId)
		}
		if _, ran := errors.AsType[*FunctionError](err); !ran {
			m.count(func(s *QueueStats) { s.Throttled++ })
		}
	}
	m.count(func(s *QueueStats) { s.Batches++ })
	again := make(map[string]bool, len(failed))
	for _, id := range failed {
		again[id] = true
	}
	var done, back []types.Message
	for _, message := range messages {
		if again[*message.MessageId] {
			back = append(back, message)
		} else {
			done = append(done, message)
		}
	}
	m.remove(ctx, done)
	m.giveBack(ctx, back)
}

// errBadAnswer says that a partial batch response is of no use.
var errBadAnswer = &FunctionError{Type: "InvalidResponse", Payload: []byte(`{}`)}

// invoke runs the function and returns the ids of the messages it did not do.
func (m *QueueMapping) invoke(ctx context.Context, messages []types.Message) (failed []string, err error) {
	answer, err := m.Function.Invoke(ctx, m.event(messages))
	if err != nil || !m.ReportBatchItemFailures {
		return nil, err
	}
	ids, ok := itemFailures(answer)
	if !ok {
		return nil, errBadAnswer
	}
	known := make(map[string]bool, len(messages))
	for _, message := range messages {
		known[*message.MessageId] = true
	}
	for _, id := range ids {
		if !known[id] {
			return nil, errBadAnswer // the whole batch, as documented
		}
	}
	return ids, nil
}

// remove deletes messages. One that cannot be deleted is delivered again.
func (m *QueueMapping) remove(ctx context.Context, messages []types.Message) {
	for chunk := range chunks(messages) {
		entries := make([]types.DeleteMessageBatchRequestEntry, 0, len(chunk))
		for i, message := range chunk {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: new(strconv.Itoa(i)), ReceiptHandle: message.ReceiptHandle})
		}
		out, err := m.Client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &m.Queue, Entries: entries})
		if err != nil || len(out.Failed) > 0 {
			m.log().Warn("delete", "queue", m.Queue, "messages", len(chunk), "error", err)
			continue
		}
		m.count(func(s *QueueStats) { s.Deleted += len(chunk) })
	}
}

// giveBack leaves messages to the queue: with a scale they become visible sooner.
func (m *QueueMapping) giveBack(ctx context.Context, messages []types.Message) {
	m.count(func(s *QueueStats) { s.Returned += len(messages) })
	if m.Scale == 0 || m.Scale == 1 {
		return
	}
	timeout := m.VisibilityTimeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	seconds := int32(scaled(m.Scale, timeout) / time.Second)
	for chunk := range chunks(messages) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, 0, len(chunk))
		for i, message := range chunk {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: new(strconv.Itoa(i)), ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: seconds,
			})
		}
		if _, err := m.Client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &m.Queue, Entries: entries}); err != nil {
			m.log().Warn("make visible", "queue", m.Queue, "error", err)
		}
	}
}
