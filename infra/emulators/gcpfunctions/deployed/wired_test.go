package deployed

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/emulators/gcpfunctions"
)

// TestWired runs what a state holds, with handlers in place of the functions: all
// that is deployed reaches whom it should, as whom it should.
func TestWired(t *testing.T) {
	d := read(t, "state.json")
	host := emulators.PubSub(t)
	if err := d.CreateStreams(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	conn, err := plain(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client, err := pubsub.NewClient(t.Context(), "shop", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	asked := make(map[string][]string) // bodies by function and path
	issuer, hosts, fronts := &gcpfunctions.Issuer{}, gcpfunctions.Hosts{}, make(map[string]http.Handler)
	for _, f := range d.Functions {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			asked[f.Name+r.URL.Path] = append(asked[f.Name+r.URL.Path], string(body))
			if f.Name == "shop-enrich" && (r.URL.Path != "/" || string(body) == "poison") {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		fronts[f.Name] = &gcpfunctions.Front{
			Function: handler, Audiences: append([]string{f.URL}, f.Audiences...), Invokers: f.Invokers, Issuer: issuer, Ingress: f.Ingress,
		}
	}
	serve := func(address string) {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := d.Serving(address)
		if !ok {
			t.Fatalf("nothing serves %s", address)
		}
		hosts[u.Host] = fronts[f.Name]
	}

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	pushes := make(map[string]*gcpfunctions.PushSubscription)
	for _, s := range d.Subscriptions {
		if s.Push == nil {
			continue
		}
		serve(s.Push.Endpoint)
		p := &gcpfunctions.PushSubscription{
			Client: client, Name: s.Name, Endpoint: s.Push.Endpoint, Account: s.Push.Account, Audience: s.Push.Audience, Issuer: issuer, HTTP: hosts,
			NoWrapper: s.Push.NoWrapper, WriteMetadata: s.Push.WriteMetadata, AckDeadline: s.AckDeadline, MinBackoff: s.MinBackoff, MaxBackoff: s.MaxBackoff, Scale: 0.0001,
		}
		pushes[last(s.Name)] = p
	}
	for _, job := range d.Jobs {
		serve(job.URI)
	}
	for _, p := range pushes {
		running.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}

	// A message that nobody can handle goes all the way, and the other one does not.
	publisher := client.Publisher(topics + "shop-raw")
	defer publisher.Stop()
	for _, text := range []string{"poison", "good"} {
		if _, err := publisher.Publish(t.Context(), &pubsub.Message{Data: []byte(text)}).Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	parked, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var text string
	if err := client.Subscriber("shop-enrich-parked").Receive(parked, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		mu.Lock()
		defer mu.Unlock()
		text = string(m.Data)
		stop()
	}); err != nil || text != "poison" {
		t.Fatalf("parked is %q, %v: %+v", text, err, asked)
	}
	mu.Lock()
	if n := len(asked["shop-enrich/"]); n != 31 { // once more than the poison's 30 times
		t.Errorf("enrich was asked %d times", n)
	}
	if dead := asked["shop-enrich/dead-letter"]; len(dead) != 5 || !strings.Contains(dead[4], `"deliveryAttempt":5}`) {
		t.Errorf("of dead letters it was asked %v", dead)
	}
	mu.Unlock()
	if s := pushes["shop-raw-enrich"].Stats(); s.Acked != 1 || s.Nacked != 30 || s.Status[500] != 30 {
		t.Errorf("the subscription's stats are %+v", s)
	}

	job := d.Jobs[0]
	scheduler := &gcpfunctions.Scheduler{
		Job: job.Name, URI: job.URI, Method: job.Method, Headers: job.Headers, Body: job.Body, Account: job.Account, Audience: job.Audience, Issuer: issuer,
		Deadline: job.Deadline, Client: &http.Client{Transport: hosts},
	}
	if status, err := scheduler.Run(t.Context(), time.Now()); status != 200 || err != nil || len(asked["shop-beacon/sweep"]) != 1 {
		t.Errorf("the job is answered %d, %v", status, err)
	}

	m := d.URLMaps[0]
	edge := &gcpfunctions.URLMap{Default: fronts[m.Default]}
	for _, rule := range m.Matchers[0].Rules {
		edge.Rules = append(edge.Rules, gcpfunctions.PathRule{Paths: rule.Paths, Service: fronts[rule.Function]})
	}
	for path, want := range map[string]int{"/v1/track": 200, "/v1/ledger": 404} { // enrich is for Google's own
		w := httptest.NewRecorder()
		edge.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		if w.Code != want {
			t.Errorf("%s is answered %d, want %d", path, w.Code, want)
		}
	}
}
