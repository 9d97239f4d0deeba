package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/infra/emulators/awslambda"
	"github.com/hitolayer/hito/infra/emulators/fault"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/streamtest"
)

// TestStreamConformance: a stream on Kinesis, with a function of hito behind an
// event source mapping, is what package stream says. The function runs in this process.
func TestStreamConformance(t *testing.T) {
	features := streamtest.Features{
		KeyAffinity: true, Bisects: true,
		// The first delivery, that of the rest of its batch, its retries, and from
		// the redrive queue.
		MaxAttempts:    2 + retries + redeliveries,
		MaxRecordBytes: 1<<20 - 256,
		Patience:       time.Minute,
	}
	for _, b := range backends {
		for name, p := range map[string]Publisher{
			"Plain":     {},
			"Together":  {Together: true},
			"TinyPacks": {PackBytes: 1},
			"BadWire":   {},
		} {
			t.Run(b.name+"/"+name, func(t *testing.T) {
				if b.name == "KinesisMock" && (testing.Short() || name != "Plain") {
					t.Skip("slow, and the publisher is the same")
				}
				url := b.start(t)
				c := client(url)
				used := c
				if name == "BadWire" {
					used = client(fault.Serve(t, badWire(url, 0.1, fault.Throttle, fault.Internal, fault.DropBefore, fault.DropAfter, fault.Partial)))
				}
				features := features
				features.Copies = name == "BadWire"
				features.KeyAffinity = name != "Together" // that gives up keys' partitions
				streamtest.Run(t, func(t *testing.T) streamtest.Stream {
					u := &underTest{Publisher: &Publisher{Client: used, Together: p.Together, PackBytes: p.PackBytes, backoff: quick}, client: c, used: used, arns: b.arns}
					u.Stream, u.arn = createStream(t, c, 2)
					return u
				}, features)
			})
		}
	}
}

// retries and redeliveries are the mapping's MaximumRetryAttempts, and how often
// the redrive queue's message comes before it goes to the dead-letter queue.
const retries, redeliveries = 3, 3

type underTest struct {
	*Publisher
	client *kinesis.Client // for the mapping
	used   *kinesis.Client // for what is under test
	arn    string
	arns   bool

	mu      sync.Mutex
	entries []quarantine.Entry
}

func (u *underTest) Consume(t *testing.T, h stream.Handler) {
	function := &function{&lambda.Stream{
		Handler: h, Group: "score", Stage: quarantine.Score, Quarantine: u, Records: u,
		Log: slog.New(slog.DiscardHandler), Margin: time.Second,
	}}
	mapping := &awslambda.StreamMapping{
		Function: function, Client: u.client, SourceARN: u.arn,
		MaximumRetryAttempts: new(retries), BisectBatchOnFunctionError: true, ReportBatchItemFailures: true,
		OnFailure: redrive{t, function}, Scale: 0.005, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- mapping.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Fetch reads with the Reader under test.
func (u *underTest) Fetch(ctx context.Context, arn, shardID, first, last string) ([]shard.Record, error) {
	if !u.arns {
		arn = u.Stream
	}
	return (&Reader{Client: u.used, backoff: quick}).Fetch(ctx, arn, shardID, first, last)
}

func (u *underTest) Put(_ context.Context, entries []quarantine.Entry) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, e := range entries {
		if !slices.ContainsFunc(u.entries, func(there quarantine.Entry) bool { return there.ID == e.ID }) {
			e.Body = bytes.Clone(e.Body)
			u.entries = append(u.entries, e)
		}
	}
	return nil
}

func (u *underTest) Quarantined(*testing.T) []quarantine.Entry {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.entries)
}

// function runs in this process, for as long as Lambda would let it.
type function struct{ *lambda.Stream }

func (f *function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, err := f.Stream.Invoke(ctx, payload)
	if err != nil {
		return nil, &awslambda.FunctionError{Type: "error", Payload: fmt.Appendf(nil, "%q", err)}
	}
	return answer, nil
}

// redrive is the on-failure queue that triggers the function.
type redrive struct {
	t        *testing.T
	function *function
}

func (r redrive) Send(ctx context.Context, message []byte) error {
	for n := range redeliveries {
		event, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
			"messageId": "m1", "body": string(message), "eventSource": "aws:sqs",
			"attributes": map[string]string{"ApproximateReceiveCount": fmt.Sprint(n + 1)},
		}}})
		if err != nil {
			return err
		}
		answer, err := r.function.Invoke(ctx, event)
		if err != nil {
			return err
		}
		var failures struct {
			BatchItemFailures []struct{ ItemIdentifier string } `json:"batchItemFailures"`
		}
		if err := json.Unmarshal(answer, &failures); err != nil {
			return err
		}
		if len(failures.BatchItemFailures) == 0 {
			return nil
		}
	}
	if ctx.Err() == nil {
		r.t.Errorf("%s went to the dead-letter queue", message)
	}
	return errors.New("dead letter")
}
