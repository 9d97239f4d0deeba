package gcpfunctions

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hitolayer/hito/infra/emulators"
)

// TestEnvelope compares what is pushed with what Google documents.
func TestEnvelope(t *testing.T) {
	issuer := &Issuer{}
	message := func() *pubsub.Message {
		return &pubsub.Message{
			ID: "2070443601311540", Data: []byte("日本"), Attributes: map[string]string{"key": "017", "schema": "1"},
			PublishTime: time.Date(2021, 2, 26, 19, 13, 55, 749_123_456, time.UTC),
		}
	}
	attempt, full := message(), message()
	attempt.DeliveryAttempt = new(5)
	full.DeliveryAttempt, full.OrderingKey = new(1), "some-key"
	short := message()
	short.PublishTime = time.Date(2021, 2, 26, 19, 13, 55, 0, time.FixedZone("JST", 9*3600))
	for name, c := range map[string]struct {
		message             *pubsub.Message
		unwrapped, metadata bool
	}{
		"wrapped":    {message(), false, false},
		"attempt":    {attempt, false, true},
		"full":       {full, false, false},
		"short":      {short, false, false},
		"bare":       {&pubsub.Message{ID: "1", Attributes: map[string]string{"a": "<b>"}}, false, false},
		"unwrapped":  {message(), true, false},
		"metadata":   {attempt, true, true},
		"everything": {full, true, true},
	} {
		p := &PushSubscription{
			Name: "projects/shop/subscriptions/shop-raw-enrich", Endpoint: "https://enrich.run.app/", Account: pusher, Audience: audience, Issuer: issuer,
			NoWrapper: c.unwrapped, WriteMetadata: c.metadata,
		}
		r, err := p.request(t.Context(), c.message)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.Header.Get("Authorization"), "Bearer "+issuer.Token(pusher, audience); got != want {
			t.Errorf("%s: the token is %s, want %s", name, got, want)
		}
		r.Header.Del("Authorization")
		var got bytes.Buffer
		fmt.Fprintln(&got, r.Method, r.URL)
		if err := r.Header.Write(&got); err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "\n%s\n", body)
		golden := filepath.Join("testdata", "envelopes", name+".txt")
		if os.Getenv("HITO_UPDATE") != "" {
			if err := os.WriteFile(golden, []byte(strings.ReplaceAll(got.String(), "\r\n", "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ReplaceAll(got.String(), "\r\n", "\n") != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, &got, want)
		}
	}

	p := &PushSubscription{Name: "s", Endpoint: "https://enrich.run.app/", NoWrapper: true, WriteMetadata: true}
	for _, attributes := range []map[string]string{{"a b": "c"}, {"a": "b\nc: d"}} {
		if r, err := p.request(t.Context(), &pubsub.Message{Attributes: attributes}); err == nil {
			t.Errorf("%q is delivered as %v", attributes, r.Header)
		}
	}
	r, err := p.request(t.Context(), &pubsub.Message{ID: "1", Attributes: map[string]string{"x-goog-pubsub-message-id": "2", "user-agent": "me"}})
	if err != nil || r.Header.Get("X-Goog-Pubsub-Message-Id") != "1" || r.Header.Get("User-Agent") != "CloudPubSub-Google" || r.Header.Get("Authorization") != "" {
		t.Errorf("attributes forge %v, %v", r.Header, err)
	}
}

func TestBackoff(t *testing.T) {
	p := &PushSubscription{MinBackoff: time.Second, MaxBackoff: 10 * time.Minute, Scale: 0.5}
	for fails, want := range map[int]time.Duration{1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 10: 256 * time.Second, 11: 5 * time.Minute, 1000: 5 * time.Minute} {
		if got := p.backoff(fails); got != want {
			t.Errorf("after %d failures it is %v, want %v", fails, got, want)
		}
	}
	if got := (&PushSubscription{}).backoff(3); got != 0 {
		t.Errorf("without a policy it is %v", got)
	}
	if err := (&PushSubscription{Scale: 20}).Run(t.Context()); err == nil {
		t.Error("a scale that makes it slower is taken")
	}
}

// A plumbing is a topic and its subscriptions on the emulator.
type plumbing struct {
	client *pubsub.Client
	name   string
}

// plumb creates a topic and a subscription, with dead letters if attempts is not 0.
func plumb(t *testing.T, client *pubsub.Client, name string, attempts int32) *plumbing {
	t.Helper()
	ctx := t.Context()
	topic, subscription := "projects/shop/topics/", "projects/shop/subscriptions/"
	create := func(name string, policy *pubsubpb.DeadLetterPolicy) {
		t.Helper()
		if _, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic + name}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{
			Name: subscription + name, Topic: topic + name, AckDeadlineSeconds: 10, DeadLetterPolicy: policy,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if attempts == 0 {
		create(name, nil)
	} else {
		create(name+"-dead", nil)
		create(name, &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topic + name + "-dead", MaxDeliveryAttempts: attempts})
	}
	return &plumbing{client, name}
}

// push starts a subscription that pushes to a handler.
func (p *plumbing) push(t *testing.T, h http.Handler, change func(*PushSubscription)) *PushSubscription {
	t.Helper()
	s := &PushSubscription{Client: p.client, Name: "projects/shop/subscriptions/" + p.name, Endpoint: "https://host/", HTTP: Hosts{"host": h}}
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if t.Failed() {
			t.Logf("%+v", s.Stats())
		}
	})
	return s
}

func (p *plumbing) publish(t *testing.T, texts ...string) {
	t.Helper()
	publisher := p.client.Publisher(p.name)
	defer publisher.Stop()
	var results []*pubsub.PublishResult
	for _, text := range texts {
		results = append(results, publisher.Publish(t.Context(), &pubsub.Message{Data: []byte(text)}))
	}
	for _, r := range results {
		if _, err := r.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A sink notes the bodies of what it is asked, and answers as told.
type sink struct {
	mu     sync.Mutex
	got    []string
	times  []time.Time
	answer func(n int, body string) int // n counts from 1
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.got, s.times = append(s.got, string(body)), append(s.times, time.Now())
	n := len(s.got)
	s.mu.Unlock()
	status := http.StatusNoContent
	if s.answer != nil {
		status = s.answer(n, string(body))
	}
	w.WriteHeader(status)
}

func (s *sink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func unwrapped(p *PushSubscription) { p.NoWrapper = true }

// TestPush pushes from the real emulator.
func TestPush(t *testing.T) {
	conn, err := grpc.NewClient(emulators.PubSub(t), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, err := pubsub.NewClient(t.Context(), "shop", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	t.Run("a function", func(t *testing.T) {
		issuer := &Issuer{}
		f := newFunction(t, func(f *Function) { f.Concurrency, f.MaxInstances = 2, 1 })
		front := &Front{Function: f, Audiences: []string{audience}, Invokers: []string{"serviceAccount:" + pusher}, Issuer: issuer}
		p := plumb(t, client, "function", 0)
		s := p.push(t, front, func(s *PushSubscription) {
			s.Account, s.Audience, s.Issuer, s.Concurrency, s.Endpoint = pusher, audience, issuer, 5, "https://host/wait"
		})
		var texts []string
		for i := range 30 {
			texts = append(texts, fmt.Sprint(i))
		}
		p.publish(t, texts...)
		eventually(t, func() error { return equal("acked", s.Stats().Acked, 30) })
		if got := s.Stats(); got.Deliveries != 30 || got.Nacked != 0 || got.Most != 5 || got.Status[200] != 30 {
			t.Errorf("stats are %+v", got)
		}
		if got := f.Stats(); got.Most != 2 || got.Requests != 30 || got.Starts != 1 {
			t.Errorf("the function's stats are %+v", got)
		}
	})

	t.Run("no token", func(t *testing.T) {
		issuer, sink := &Issuer{}, &sink{}
		front := &Front{Function: sink, Audiences: []string{audience}, Invokers: []string{"serviceAccount:" + pusher}, Issuer: issuer}
		p := plumb(t, client, "token", 0)
		s := p.push(t, front, nil)
		p.publish(t, "x")
		eventually(t, func() error { return equal("answered 403 twice", s.Stats().Status[403] >= 2, true) })
		if got := sink.all(); len(got) > 0 || s.Stats().Acked > 0 {
			t.Errorf("without a token %v arrived: %+v", got, s.Stats())
		}
	})

	t.Run("a function is killed", func(t *testing.T) {
		var once sync.Once
		f := newFunction(t, func(f *Function) {
			f.MaxInstances = 1
			f.Interrupt = func(*http.Request) (after time.Duration, kill bool) {
				once.Do(func() { kill = true })
				return 0, kill
			}
		})
		p := plumb(t, client, "killed", 0)
		s := p.push(t, f, func(s *PushSubscription) { s.Endpoint = "https://host/wait" })
		p.publish(t, "a", "b", "c", "d")
		eventually(t, func() error { return equal("acked", s.Stats().Acked, 4) })
		if got := s.Stats(); got.Status[503] == 0 || got.Nacked != got.Status[503] || got.Deliveries != 4+got.Nacked {
			t.Errorf("stats are %+v", got)
		}
	})

	t.Run("redelivery", func(t *testing.T) {
		// What failed comes again after the backoff, the rest does not wait for it.
		sink := &sink{}
		fails := 0
		sink.answer = func(_ int, body string) int {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			if body == "bad" && fails < 3 {
				fails++
				return http.StatusInternalServerError
			}
			return http.StatusOK
		}
		p := plumb(t, client, "redelivery", 0)
		s := p.push(t, sink, func(s *PushSubscription) {
			s.NoWrapper, s.MinBackoff, s.MaxBackoff, s.Scale = true, time.Second, time.Minute, 0.2
		})
		p.publish(t, "bad", "good", "better")
		eventually(t, func() error { return equal("acked", s.Stats().Acked, 3) })
		got := sink.all()
		var bad []time.Time
		for i, text := range got {
			if text == "bad" {
				bad = append(bad, sink.times[i])
			}
		}
		if len(got) != 6 || len(bad) != 4 || got[5] != "bad" || got[4] != "bad" {
			t.Fatalf("it got %v", got)
		}
		for i, least := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond} {
			if gap := bad[i+1].Sub(bad[i]); gap < least {
				t.Errorf("attempt %d came after %v, want at least %v", i+2, gap, least)
			}
		}
		if got := s.Stats(); got.Nacked != 3 || got.Status[500] != 3 || got.Status[200] != 3 || got.Pending != 0 {
			t.Errorf("stats are %+v", got)
		}
	})

	t.Run("which answers acknowledge", func(t *testing.T) {
		sink := &sink{}
		seen := make(map[string]bool)
		sink.answer = func(_ int, body string) (status int) {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			if seen[body] {
				return http.StatusOK
			}
			seen[body] = true
			_, _ = fmt.Sscan(body, &status)
			return status
		}
		p := plumb(t, client, "answers", 0)
		s := p.push(t, sink, unwrapped)
		p.publish(t, "200", "201", "202", "203", "204", "206", "301", "400", "401", "429", "500", "503")
		eventually(t, func() error { return equal("acked", s.Stats().Acked, 12) })
		if got := s.Stats(); got.Deliveries != 20 || got.Nacked != 8 {
			t.Errorf("stats are %+v", got)
		}
	})

	t.Run("dead letters", func(t *testing.T) {
		alive := &sink{answer: func(int, string) int { return http.StatusInternalServerError }}
		p := plumb(t, client, "dead", 5)
		s := p.push(t, alive, nil)
		p.publish(t, "poison")
		dead := new(sink)
		d := (&plumbing{client, "dead-dead"}).push(t, dead, nil)
		eventually(t, func() error { return equal("dead letters", d.Stats().Acked, 1) })
		got := alive.all()
		for i, body := range got {
			if !strings.Contains(body, fmt.Sprintf(`"deliveryAttempt":%d}`, i+1)) {
				t.Errorf("attempt %d is %s", i+1, body)
			}
		}
		if len(got) != 5 || s.Stats().Nacked != 5 {
			t.Errorf("it was delivered %d times: %+v", len(got), s.Stats())
		}
		if body := dead.all()[0]; !strings.Contains(body, `"CloudPubSubDeadLetterSourceDeliveryCount":"5"`) || !strings.Contains(body, `"CloudPubSubDeadLetterSourceSubscription":"dead"`) ||
			strings.Contains(body, "deliveryAttempt") || !strings.Contains(body, `"data":"cG9pc29u"`) {
			t.Errorf("the dead letter is %s", body)
		}
	})

	t.Run("faults", func(t *testing.T) {
		sink := &sink{}
		var mu sync.Mutex
		dropped := make(map[string]bool)
		p := plumb(t, client, "faults", 0)
		s := p.push(t, sink, func(s *PushSubscription) {
			s.NoWrapper = true
			s.Redeliver = func(m *pubsub.Message) bool { return string(m.Data) == "twice" }
			s.Drop = func(m *pubsub.Message) bool {
				mu.Lock()
				defer mu.Unlock()
				first := string(m.Data) == "dropped" && !dropped[m.ID]
				dropped[m.ID] = true
				return first
			}
			s.Delay = func(m *pubsub.Message) time.Duration {
				if string(m.Data) == "late" {
					return 500 * time.Millisecond
				}
				return 0
			}
		})
		p.publish(t, "late", "twice", "dropped")
		eventually(t, func() error { return equal("acked", s.Stats().Acked, 3) })
		got := sink.all()
		if got[4] != "late" {
			t.Errorf("it got %v", got)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != "dropped dropped late twice twice" {
			t.Errorf("it got %v", got)
		}
		if got := s.Stats(); got.Redelivered != 1 || got.Dropped != 1 || got.Nacked != 1 {
			t.Errorf("stats are %+v", got)
		}
	})

	t.Run("the ack deadline", func(t *testing.T) {
		f := newFunction(t, nil)
		hang := true
		var mu sync.Mutex
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if hang {
				hang, r.URL.Path = false, "/hang"
			}
			mu.Unlock()
			f.ServeHTTP(w, r)
		})
		p := plumb(t, client, "deadline", 0)
		s := p.push(t, h, func(s *PushSubscription) { s.AckDeadline = 300 * time.Millisecond })
		p.publish(t, "x")
		eventually(t, func() error { return equal("acked", s.Stats().Acked, 1) })
		if got := s.Stats(); got.Unanswered != 1 || got.Deliveries != 2 || got.Nacked != 1 {
			t.Errorf("stats are %+v", got)
		}
	})

	t.Run("run again", func(t *testing.T) {
		// What is not acknowledged when Run ends comes when it runs again.
		sink := &sink{answer: func(int, string) int { return http.StatusInternalServerError }}
		p := plumb(t, client, "again", 0)
		s := &PushSubscription{
			Client: client, Name: "projects/shop/subscriptions/again", Endpoint: "https://host/", HTTP: Hosts{"host": sink}, MinBackoff: time.Hour, MaxBackoff: time.Hour,
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		p.publish(t, "x")
		eventually(t, func() error { return equal("nacked", s.Stats().Nacked, 1) })
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		next := p.push(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil)
		eventually(t, func() error { return equal("acked", next.Stats().Acked, 1) })
	})

	if err := (&PushSubscription{Client: client, Name: "projects/shop/subscriptions/none"}).Run(t.Context()); err == nil {
		t.Error("a subscription that is not there runs")
	}
}
