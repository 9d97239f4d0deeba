// Package sqs carries streams of actions over Amazon SQS: a Publisher that packs
// records into messages. What a message's body says is package message's.
package sqs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/aws/batch"
	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/infra/aws/sqs/message"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// ErrThrottled is in the chain of an error (errors.Is) when the queue, or the
// account, took no more just then: the same records may do later.
var ErrThrottled = retry.ErrThrottled

// API is what a Publisher needs of *sqs.Client.
type API interface {
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
}

// What SendMessageBatch takes. The API's reference says 1 MiB a call, and a
// message; 256 KiB was the bound before, and is what a queue may still be set to.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
const (
	maxEntries   = 10
	maxCallBytes = 256 << 10
)

const (
	// defaultPackBytes is before compression: some dozens of transitions. A message
	// whose consumer fails comes again whole, so that more would repeat more.
	defaultPackBytes = 16 << 10
	defaultParallel  = 4
	defaultTimeout   = 5 * time.Second
)

// Publisher sends records to a queue, several in a message.
// Client and Queue must be set.
type Publisher struct {
	Client API
	// Queue is the queue's URL.
	Queue string
	// MaxMessageBytes bounds a message's body, 256 KiB when 0. A queue may take up to 1 MiB.
	MaxMessageBytes int
	// PackBytes is where a message of several records ends, before compression
	// and base64: 16 KiB when 0.
	PackBytes int
	// Parallel is how many calls to SQS a Publish makes at the same time: 4 when 0.
	Parallel int
	// Timeout bounds one call to SQS: 5 s when 0.
	Timeout time.Duration
	// Patience bounds a Publish, with all its attempts: 0 leaves that to its ctx.
	Patience time.Duration

	backoff retry.Backoff
}

var _ stream.Publisher = (*Publisher)(nil)

// once keeps the SDK from trying again itself: it cannot try again only the
// messages that a call did not take, and its attempts would multiply with ours.
func once(o *sqs.Options) { o.Retryer = sdk.NopRetryer{} }

// Publish implements stream.Publisher. What fails on the way is tried again
// until ctx or Patience ends, or would before the next attempt; what SQS says to
// be the sender's fault is not. A record that is too large for a message fails
// permanently (stream.IsPermanent).
func (p *Publisher) Publish(ctx context.Context, records []stream.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publish %d records on queue %s: %w", len(records), p.Queue, err)
	}
	if p.Patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Patience)
		defer cancel()
	}
	messages, failures := p.pack(records)
	most := cmp.Or(p.MaxMessageBytes, maxCallBytes)
	sender := batch.Sender[body]{
		Call: p.send, Size: func(m *body) int { return len(m.text) },
		MaxMessages: maxEntries, MaxBytes: max(maxCallBytes, most), Parallel: cmp.Or(p.Parallel, defaultParallel),
		Retry: retry.Call{Backoff: p.backoff, Timeout: cmp.Or(p.Timeout, defaultTimeout)},
	}
	for i, err := range sender.Send(ctx, messages) {
		if err == nil {
			continue
		}
		err = fmt.Errorf("send to queue %s: %w", p.Queue, err)
		for at := messages[i].from; at < messages[i].to; at++ {
			failures = append(failures, stream.Failure{Index: at, Err: err})
		}
	}
	slices.SortFunc(failures, func(a, b stream.Failure) int { return a.Index - b.Index })
	return failures.OrNil()
}

// body is one message: which records it carries, and its text.
type body struct {
	from, to int
	text     string
}

// overhead is what a pack takes at most besides what pack.Size counts.
const overhead = 64

var errTooLarge = errors.New("too large for a message")

// pack makes messages of records, and names those that no message can carry.
func (p *Publisher) pack(records []stream.Record) (messages []body, failures stream.Failures) {
	most := cmp.Or(p.MaxMessageBytes, maxCallBytes)
	target := min(cmp.Or(p.PackBytes, defaultPackBytes), most/4*3-overhead, pack.MaxRaw-overhead) // base64 makes 4 bytes of 3
	var text []byte
	for from := 0; from < len(records); {
		to, size := from+1, pack.Size(&records[from])
		for to < len(records) {
			if size += pack.Size(&records[to]); size > target {
				break
			}
			to++
		}
		var err error
		text, err = message.Append(text[:0], records[from:to])
		if err == nil && len(text) > most {
			err = fmt.Errorf("%w: %d bytes of data take %d bytes packed, at most %d may be", errTooLarge, len(records[from].Data), len(text), most)
		}
		if err != nil {
			err = stream.Permanent(fmt.Errorf("send to queue %s: %w", p.Queue, err))
			for at := from; at < to; at++ {
				failures = append(failures, stream.Failure{Index: at, Err: err})
			}
		} else {
			messages = append(messages, body{from, to, string(text)})
		}
		from = to
	}
	return messages, failures
}

// ids name a call's messages.
var ids = func() (ids [maxEntries]string) {
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	return ids
}()

var errShortAnswer = errors.New("the answer does not say what became of every message")

// send makes one call.
func (p *Publisher) send(ctx context.Context, messages []body) ([]batch.Refusal, error) {
	in := &sqs.SendMessageBatchInput{QueueUrl: &p.Queue, Entries: make([]types.SendMessageBatchRequestEntry, len(messages))}
	for i := range messages {
		in.Entries[i] = types.SendMessageBatchRequestEntry{Id: &ids[i], MessageBody: &messages[i].text}
	}
	out, err := p.Client.SendMessageBatch(ctx, in, once)
	if err != nil {
		return nil, err
	}
	// What is neither taken nor refused was not answered for: it is sent again.
	var refusals [maxEntries]error
	for i := range messages {
		refusals[i] = &smithy.DeserializationError{Err: errShortAnswer}
	}
	for i := range out.Successful {
		if at, ok := index(out.Successful[i].Id, len(messages)); ok {
			refusals[at] = nil
		}
	}
	for i := range out.Failed {
		if at, ok := index(out.Failed[i].Id, len(messages)); ok {
			refusals[at] = refusal(&out.Failed[i])
		}
	}
	var refused []batch.Refusal
	for i, err := range refusals[:len(messages)] {
		if err != nil {
			refused = append(refused, batch.Refusal{Index: i, Err: err})
		}
	}
	return refused, nil
}

// refusal is a failed entry's error. Whose fault it is says whether to send it
// again, a throttled sender's aside (package retry knows those by their code).
func refusal(e *types.BatchResultErrorEntry) error {
	fault := smithy.FaultServer
	if e.SenderFault {
		fault = smithy.FaultClient
	}
	return &smithy.GenericAPIError{Code: sdk.ToString(e.Code), Message: sdk.ToString(e.Message), Fault: fault}
}

func index(id *string, n int) (int, bool) {
	at, err := strconv.Atoi(sdk.ToString(id))
	return at, err == nil && at >= 0 && at < n
}
