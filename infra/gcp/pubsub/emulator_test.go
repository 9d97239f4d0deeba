package pubsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/infra/gcp/pubsub/publish"
	"github.com/hitolayer/hito/shared/stream"
)

func TestEmulator(t *testing.T) {
	host := emulators.PubSub(t)
	t.Run("Rows", func(t *testing.T) { t.Setenv("PUBSUB_EMULATOR_HOST", host); rows(t) })
	t.Run("NoTopic", func(t *testing.T) { t.Setenv("PUBSUB_EMULATOR_HOST", host); noTopic(t) })
	t.Run("CutConnections", func(t *testing.T) { cutConnections(t, host, false) })
}

// rows: what is published is there once, in as many requests as it takes.
func rows(t *testing.T) {
	c := connect(t)
	topic, subscription, _ := createStream(t, c)
	all := make([][]byte, 2500)
	for i := range all {
		all[i] = fmt.Appendf(nil, `{"n":%d}`, i)
	}
	all[1200] = fmt.Appendf(nil, `{"n":1200,"large":%q}`, strings.Repeat("x", publish.MaxBytes-100))
	r := &Rows{Client: c, Topic: topic}
	if err := r.Publish(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	var mu sync.Mutex
	end := run(t, &Puller{Client: c, Subscription: subscription, Log: slog.New(slog.DiscardHandler), Deliver: func(_ context.Context, d *Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		got[string(d.Data)]++
		return nil
	}})
	within(t, "all rows", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == len(all) })
	if err := end(); err != nil {
		t.Error(err)
	}
	for _, row := range all {
		if got[string(row)] == 0 {
			t.Errorf("row %.20s is lost", row)
		}
	}
}

func noTopic(t *testing.T) {
	c := connect(t)
	const nowhere = "projects/" + project + "/topics/nowhere"
	p := &Publisher{Client: c, Topic: nowhere, Origin: "gcp"}
	err := p.Publish(t.Context(), some(3, 10))
	if failures, ok := err.(stream.Failures); !ok || len(failures) != 3 || status.Code(failures[0].Err) != codes.NotFound || !strings.Contains(err.Error(), nowhere) {
		t.Errorf("got %v", err)
	}
	r := &Rows{Client: c, Topic: nowhere}
	if err := r.Publish(t.Context(), [][]byte{[]byte("{}")}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), nowhere) {
		t.Errorf("got %v", err)
	}
}

// cutter passes connections on, and cuts each after a while: somewhere within a
// request or an answer.
type cutter struct {
	to   string
	mu   sync.Mutex
	rnd  *rand.Rand
	cuts int
}

func (c *cutter) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { c.pass(conn) })
		}
	})
	return l.Addr().String()
}

func (c *cutter) pass(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer to.Close()
	c.mu.Lock()
	requests, answers := c.rnd.Int64N(100_000), c.rnd.Int64N(100_000)
	c.cuts++
	c.mu.Unlock()
	ended := make(chan struct{}, 2)
	go func() { _, _ = io.CopyN(to, from, requests); ended <- struct{}{} }()
	go func() { _, _ = io.CopyN(from, to, answers); ended <- struct{}{} }()
	<-ended
}

// TestCutConnections is on Google's fake: the emulator goes on delivering to
// streams that are cut.
func TestCutConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: what is on a connection that breaks comes again after its lease")
	}
	cutConnections(t, inProcess(t), true)
}

// cutConnections: of what was acknowledged nothing is lost, though connections
// break all the time, the publishers' and the puller's.
func cutConnections(t *testing.T, host string, pullersToo bool) {
	t.Setenv("PUBSUB_EMULATOR_HOST", host)
	steady := connect(t)
	topic, subscription, dead := createStream(t, steady)
	wire := &cutter{to: host, rnd: rand.New(rand.NewPCG(7, 8))}
	t.Setenv("PUBSUB_EMULATOR_HOST", wire.serve(t))
	bad := connect(t)
	pulls := steady
	if pullersToo {
		pulls = bad
	}
	var mu sync.Mutex
	got := map[int64]bool{}
	deliver := func(_ context.Context, d *Delivery) error {
		records, err := message.Open(d.Data, d.Attributes, d.ID)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range records {
			got[records[i].Time] = true
		}
		return nil
	}
	end := run(t, &Puller{Client: pulls, Subscription: subscription, Log: slog.New(slog.DiscardHandler), Deliver: deliver})
	endDead := run(t, &Puller{Client: pulls, Subscription: dead, Log: slog.New(slog.DiscardHandler), Deliver: deliver}) // what was cut too often
	p := &Publisher{Client: bad, Topic: topic, Origin: "gcp", Timeout: timeout}
	const callers, each = 16, 60
	all := some(callers*each, 300)
	want := map[int64]bool{}
	var refused int
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for some := range slices.Chunk(all[i*each:(i+1)*each], 5) {
				err := p.Publish(t.Context(), some)
				failures, named := err.(stream.Failures)
				if err != nil && !named && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%T: %v", err, err)
				}
				mu.Lock()
				for k := range some {
					if err == nil || named && !slices.ContainsFunc(failures, func(f stream.Failure) bool { return f.Index == k }) {
						want[some[k].Time] = true
					} else {
						refused++
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	within(t, "all that was acknowledged", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for n := range want {
			if !got[n] {
				return false
			}
		}
		return true
	})
	if err := errors.Join(end(), endDead()); err != nil {
		t.Error(err)
	}
	wire.mu.Lock()
	cuts := wire.cuts
	wire.mu.Unlock()
	t.Logf("%d connections, %d records acknowledged, %d refused", cuts, len(want), refused)
	if cuts < 5 || len(want) < len(all)/2 {
		t.Errorf("%d connections, %d of %d records acknowledged", cuts, len(want), len(all))
	}
}

func TestRows(t *testing.T) {
	f := &fake{call: func(_ int, in *pubsubpb.PublishRequest) (error, bool) {
		for _, m := range in.Messages {
			if bytes.Equal(m.Data, []byte("not a row")) {
				return status.Error(codes.InvalidArgument, "not of the topic's schema"), false
			}
		}
		return nil, true
	}}
	r := &Rows{Client: f.client(t), Topic: topic}
	if err := r.Publish(t.Context(), nil); err != nil || f.calls > 0 {
		t.Errorf("nothing to publish: %d requests, %v", f.calls, err)
	}
	all := make([][]byte, 2100)
	for i := range all {
		all[i] = []byte("{}")
	}
	all[5] = make([]byte, publish.MaxBytes+1)
	all[6] = make([]byte, publish.MaxBytes)
	all[1500] = []byte("not a row")
	failures, ok := r.Publish(t.Context(), all).(stream.Failures)
	if !ok || len(failures) != 2 || failures[0].Index != 5 || failures[1].Index != 1500 || !stream.IsPermanent(failures[0].Err) || stream.IsPermanent(failures[1].Err) {
		t.Fatalf("got %v", failures)
	}
	if len(f.taken) != len(all)-2 || f.refusedAsk != nil {
		t.Errorf("%d rows were taken of %d: %v", len(f.taken), len(all), f.refusedAsk)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Publish(ctx, all); err == nil {
		t.Error("published under a cancelled context")
	}
}
