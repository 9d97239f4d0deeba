package pubsub

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pulled starts Google's fake with a topic and a subscription of so many
// messages, whose data is their number, and a puller of it.
func pulled(t *testing.T, n int) (*pstest.Server, *Puller) {
	t.Helper()
	s := pstest.NewServer()
	t.Cleanup(func() { _ = s.Close() })
	t.Setenv("PUBSUB_EMULATOR_HOST", s.Addr)
	c := connect(t)
	name, subscription, _ := createStream(t, c)
	for i := range n {
		s.Publish(name, []byte{byte(i)}, map[string]string{"origin": "gcp"})
	}
	return s, &Puller{Client: c, Subscription: subscription, Log: slog.New(slog.DiscardHandler)}
}

// run runs a puller until end is called, which returns its error.
func run(t *testing.T, p *Puller) (end func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in a minute", what)
		}
	}
}

// acknowledged counts the messages that were.
func acknowledged(s *pstest.Server) (n int) {
	for _, m := range s.Messages() {
		if m.Acks > 0 {
			n++
		}
	}
	return n
}

func TestPuller(t *testing.T) {
	s, p := pulled(t, 20)
	var mu sync.Mutex
	attempts := map[byte][]int{}
	going, atOnce := 0, 0
	var log bytes.Buffer
	p.Log = slog.New(slog.NewTextHandler(&log, nil))
	p.Outstanding = 3
	p.Deliver = func(ctx context.Context, d *Delivery) error {
		if _, bounded := ctx.Deadline(); d.ID == "" || d.Attributes["origin"] != "gcp" || d.Published.IsZero() || !bounded {
			t.Errorf("delivered %+v", d)
		}
		mu.Lock()
		going++
		atOnce = max(atOnce, going)
		attempts[d.Data[0]] = append(attempts[d.Data[0]], d.Attempt)
		again := d.Data[0] == 7 && len(attempts[7]) < 3
		mu.Unlock()
		time.Sleep(5 * time.Millisecond) // so that others would get in between
		mu.Lock()
		going--
		mu.Unlock()
		if again {
			return errors.New("not yet")
		}
		return nil
	}
	end := run(t, p)
	within(t, "acknowledged", func() bool { return acknowledged(s) == 20 })
	if err := end(); err != nil {
		t.Error(err)
	}
	if len(attempts) != 20 || len(attempts[7]) != 3 || attempts[7][0] != 1 || attempts[7][2] != 3 {
		t.Errorf("attempts %v", attempts)
	}
	if atOnce > 3 {
		t.Errorf("%d deliveries at once", atOnce)
	}
	if text := log.String(); strings.Count(text, "not yet") != 2 || !strings.Contains(text, p.Subscription) {
		t.Errorf("logged %q", text)
	}
}

// TestPullerFinishes: what is being delivered when it is told to end, and nothing more.
func TestPullerFinishes(t *testing.T) {
	s, p := pulled(t, 10)
	var mu sync.Mutex
	delivered := 0
	release := make(chan struct{})
	p.Outstanding = 2
	p.Deliver = func(ctx context.Context, _ *Delivery) error {
		mu.Lock()
		delivered++
		mu.Unlock()
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	within(t, "delivered", func() bool { mu.Lock(); defer mu.Unlock(); return delivered == 2 })
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("ended while it delivers: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := acknowledged(s); delivered != 2 || n != 2 {
		t.Errorf("%d delivered, %d acknowledged", delivered, n)
	}
}

func TestPullerBoundsADelivery(t *testing.T) {
	s, p := pulled(t, 1)
	p.Timeout = 50 * time.Millisecond
	late := 0
	p.Deliver = func(ctx context.Context, _ *Delivery) error {
		if late++; late > 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	end := run(t, p)
	within(t, "acknowledged", func() bool { return acknowledged(s) == 1 })
	if err := end(); err != nil || late != 2 {
		t.Errorf("%d deliveries, %v", late, err)
	}
}

func TestPullerOfNothing(t *testing.T) {
	_, p := pulled(t, 0)
	p.Subscription += "-not"
	p.Deliver = func(context.Context, *Delivery) error { return nil }
	if err := p.Run(t.Context()); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), p.Subscription) {
		t.Errorf("got %v", err)
	}
}
