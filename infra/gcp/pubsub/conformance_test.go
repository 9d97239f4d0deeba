package pubsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/streamtest"
)

// deliveries is the dead-letter policy's least.
const deliveries = 5

// TestStreamConformance: a topic with a puller on a subscription, and one on its
// dead letters, is what package stream says.
func TestStreamConformance(t *testing.T) {
	features := streamtest.Features{
		CountsAttempts: true,
		MaxAttempts:    deliveries + 3, // from the dead letters, and some that Pub/Sub miscounts
		MaxRecordBytes: 8_900_000,
		Patience:       time.Minute,
	}
	for name, c := range map[string]struct {
		host      func(testing.TB) string
		packBytes int
		faults    bool
	}{
		"Emulator":              {host: emulators.PubSub},
		"EmulatorSmallMessages": {host: emulators.PubSub, packBytes: 1},
		"EmulatorBadWire":       {host: emulators.PubSub, faults: true},
		"Pstest":                {host: inProcess},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PUBSUB_EMULATOR_HOST", c.host(t))
			client := connect(t)
			publishing := client
			if c.faults {
				publishing = connect(t, badWire(0.2))
			}
			streamtest.Run(t, func(t *testing.T) streamtest.Stream {
				u := &underTest{client: client, Publisher: &Publisher{Client: publishing, Origin: "gcp", PackBytes: c.packBytes, Timeout: timeout}}
				u.Topic, u.subscription, u.dead = createStream(t, client)
				return u
			}, features)
		})
	}
}

// inProcess starts Google's fake, and returns its host and port.
func inProcess(t testing.TB) string {
	s := pstest.NewServer()
	t.Cleanup(func() { _ = s.Close() })
	return s.Addr
}

const project = "project"

var streams atomic.Int64

// createStream makes a topic of its own for a test, a subscription, and one of
// what it gives up.
func createStream(t testing.TB, c *pubsub.Client) (name, subscription, dead string) {
	t.Helper()
	n := streams.Add(1)
	name = fmt.Sprintf("projects/%s/topics/raw-%d", project, n)
	deadTopic := name + "-dead"
	for _, topic := range []string{name, deadTopic} {
		if _, err := c.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
			t.Fatal(err)
		}
	}
	subscription = fmt.Sprintf("projects/%s/subscriptions/raw-%d", project, n)
	dead = subscription + "-dead"
	soon := &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(0), MaximumBackoff: durationpb.New(50 * time.Millisecond)}
	for _, s := range []*pubsubpb.Subscription{
		{Name: subscription, Topic: name, RetryPolicy: soon, DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: deadTopic, MaxDeliveryAttempts: deliveries}},
		{Name: dead, Topic: deadTopic, RetryPolicy: soon},
	} {
		if _, err := c.SubscriptionAdminClient.CreateSubscription(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return name, subscription, dead
}

type underTest struct {
	*Publisher
	client             *pubsub.Client
	subscription, dead string

	mu      sync.Mutex
	entries []quarantine.Entry
}

func (u *underTest) Consume(t *testing.T, h stream.Handler) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var pullers sync.WaitGroup
	for subscription, final := range map[string]bool{u.subscription: false, u.dead: true} {
		p := &Puller{
			Client: u.client, Subscription: subscription, Log: slog.New(slog.DiscardHandler),
			Deliver: func(ctx context.Context, d *Delivery) error { return u.deliver(ctx, h, d, final) },
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
func (u *underTest) deliver(ctx context.Context, h stream.Handler, d *Delivery, final bool) error {
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
