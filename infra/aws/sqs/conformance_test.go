package sqs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/emulators/awslambda"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/streamtest"
)

// TestStreamConformance: a queue, with a function of hito behind an event source
// mapping, is what package stream says. The function runs in this process.
// What goes on failing ends in the queue's dead-letter queue, not in quarantine.
func TestStreamConformance(t *testing.T) {
	url := emulators.Moto(t)
	c := sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: &http.Client{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	var queues atomic.Int64
	for name, p := range map[string]Publisher{"Plain": {}, "SmallMessages": {PackBytes: 200}} {
		t.Run(name, func(t *testing.T) {
			streamtest.Run(t, func(t *testing.T) streamtest.Stream {
				queue := fmt.Sprintf("queue-%d", queues.Add(1))
				out, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &queue})
				if err != nil {
					t.Fatal(err)
				}
				return &underTest{Publisher: &Publisher{Client: c, Queue: *out.QueueUrl, PackBytes: p.PackBytes}, client: c}
			}, streamtest.Features{CountsAttempts: true, MaxRecordBytes: maxCallBytes/4*3 - 200, Patience: time.Minute})
		})
	}
}

type underTest struct {
	*Publisher
	client *sqs.Client

	mu      sync.Mutex
	entries []quarantine.Entry
}

func (u *underTest) Consume(t *testing.T, h stream.Handler) {
	mapping := &awslambda.QueueMapping{
		Function: function{&lambda.Queue{Handler: h, Stage: quarantine.Score, Quarantine: u, Log: slog.New(slog.DiscardHandler), Margin: time.Second}},
		Client:   u.client, Queue: u.Queue, ReportBatchItemFailures: true, Scale: 0.01, Log: slog.New(slog.DiscardHandler),
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
type function struct{ *lambda.Queue }

func (f function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, err := f.Queue.Invoke(ctx, payload)
	if err != nil {
		return nil, &awslambda.FunctionError{Type: "error", Payload: fmt.Appendf(nil, "%q", err)}
	}
	return answer, nil
}
