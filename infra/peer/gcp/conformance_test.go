package gcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/aws/aws-sdk-go-v2/aws"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hitolayer/hito/infra/emulators"
	gcppubsub "github.com/hitolayer/hito/infra/gcp/pubsub"
	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/streamtest"
)

// deliveries is the dead-letter policy's least.
const deliveries = 5

// TestStreamConformance: what is published here is, on Google Cloud, what package
// stream says.
func TestStreamConformance(t *testing.T) {
	features := streamtest.Features{
		CountsAttempts: true,
		MaxAttempts:    deliveries + 3, // from the dead letters, and some that Pub/Sub miscounts
		MaxRecordBytes: 6_900_000,
		Patience:       time.Minute,
	}
	host := emulators.PubSub(t)
	t.Setenv("PUBSUB_EMULATOR_HOST", host)
	c, err := gcppubsub.NewClient(t.Context(), "project")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	g := google()
	tokens := httptest.NewServer(g)
	t.Cleanup(tokens.Close)
	for name, change := range map[string]func(*Publisher){
		"Plain":         func(*Publisher) {},
		"SmallMessages": func(p *Publisher) { p.PackBytes = 1 },
		"BadWire":       func(p *Publisher) { p.Transport = &badWire{rnd: rand.New(rand.NewPCG(9, 10))} },
	} {
		t.Run(name, func(t *testing.T) {
			streamtest.Run(t, func(t *testing.T) streamtest.Stream {
				u := &underTest{client: c}
				topic := u.create(t)
				env := map[string]string{"PUBSUB_EMULATOR_HOST": host, "GOOGLE_STS_EMULATOR_HOST": tokens.URL}
				p, err := NewPublisher(func(name string) (string, bool) { value, ok := env[name]; return value, ok },
					aws.Config{Region: region, Credentials: own()}, who.String(), topic, "aws")
				if err != nil {
					t.Fatal(err)
				}
				p.Timeout = 2 * time.Second // more than an emulator needs on a busy machine
				change(p)
				u.Publisher = p
				return u
			}, features)
		})
	}
	if g.Exchanges() == 0 || g.Exchanges() != g.Impersonations() {
		t.Errorf("%d exchanges", g.Exchanges())
	}
}

// badWire has requests that publish fail: before they have an effect, after it, and
// with their answer lost or cut short.
type badWire struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func (b *badWire) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	strikes, kind := b.rnd.Float64() < 0.2, b.rnd.IntN(4)
	b.mu.Unlock()
	if strikes && kind == 0 {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Request: r}, nil
	}
	if strikes && kind == 1 {
		return nil, io.ErrUnexpectedEOF
	}
	resp, err := wire().RoundTrip(r)
	if err != nil || !strikes {
		return resp, err
	}
	if kind == 2 {
		resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, 10), resp.Body}
	return resp, nil
}

var streams atomic.Int64

type underTest struct {
	*Publisher
	client             *pubsub.Client
	subscription, dead string

	mu      sync.Mutex
	entries []quarantine.Entry
}

// create makes a topic of its own for a test, a subscription, and one of what it
// gives up.
func (u *underTest) create(t *testing.T) (topic string) {
	t.Helper()
	n := streams.Add(1)
	topic = fmt.Sprintf("projects/project/topics/peer-%d", n)
	for _, name := range []string{topic, topic + "-dead"} {
		if _, err := u.client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	u.subscription = fmt.Sprintf("projects/project/subscriptions/peer-%d", n)
	u.dead = u.subscription + "-dead"
	soon := &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(0), MaximumBackoff: durationpb.New(50 * time.Millisecond)}
	for _, s := range []*pubsubpb.Subscription{
		{Name: u.subscription, Topic: topic, RetryPolicy: soon, DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topic + "-dead", MaxDeliveryAttempts: deliveries}},
		{Name: u.dead, Topic: topic + "-dead", RetryPolicy: soon},
	} {
		if _, err := u.client.SubscriptionAdminClient.CreateSubscription(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return topic
}

func (u *underTest) Consume(t *testing.T, h stream.Handler) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var pullers sync.WaitGroup
	for subscription, final := range map[string]bool{u.subscription: false, u.dead: true} {
		p := &gcppubsub.Puller{
			Client: u.client, Subscription: subscription, Log: slog.New(slog.DiscardHandler),
			Deliver: func(ctx context.Context, d *gcppubsub.Delivery) error { return u.deliver(ctx, h, d, final) },
		}
		pullers.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		pullers.Wait()
	})
}

// deliver calls a handler as a function does, in small: what fails for good goes
// to quarantine, and of dead letters all that fails.
func (u *underTest) deliver(ctx context.Context, h stream.Handler, d *gcppubsub.Delivery, final bool) error {
	records, err := message.Open(d.Data, d.Attributes, d.ID)
	if err != nil {
		return err
	}
	for i := range records {
		records[i].Attempt = d.Attempt
	}
	err = stream.Call(ctx, h, records)
	failures, ok := err.(stream.Failures)
	if err != nil && !ok {
		for i := range records {
			failures = append(failures, stream.Failure{Index: i, Err: err})
		}
	}
	var again error
	for _, f := range failures {
		if !final && !stream.IsPermanent(f.Err) {
			again = errors.New("some of it comes again")
			continue
		}
		u.put(quarantine.Of(quarantine.Score, &records[f.Index], f.Err))
	}
	return again
}

func (u *underTest) put(e quarantine.Entry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.ContainsFunc(u.entries, func(there quarantine.Entry) bool { return there.ID == e.ID }) {
		e.Body = bytes.Clone(e.Body)
		u.entries = append(u.entries, e)
	}
}

func (u *underTest) Quarantined(*testing.T) []quarantine.Entry {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.entries)
}

// TestNoTopic: what the emulator says of a topic that is not there is told.
func TestNoTopic(t *testing.T) {
	const nowhere = "projects/project/topics/nowhere"
	p := &Publisher{Topic: nowhere, Origin: "aws", URL: "http://" + emulators.PubSub(t)}
	err := p.Publish(t.Context(), some(3, 10))
	failures, ok := err.(stream.Failures)
	if !ok || len(failures) != 3 || statusOf(err) != http.StatusNotFound || stream.IsPermanent(err) || !strings.Contains(err.Error(), nowhere) {
		t.Errorf("got %v", err)
	}
}
