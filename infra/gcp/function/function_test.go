package function

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	cloudbigtable "cloud.google.com/go/bigtable"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/emulators/child"
	"github.com/hitolayer/hito/infra/emulators/googleapis"
	"github.com/hitolayer/hito/infra/gcp/bigtable"
	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/stream"
)

const (
	subscription = "projects/mycompany/subscriptions/hito-enriched-score"
	pusher       = "hito-push@mycompany.iam.gserviceaccount.com"
	minute       = 28_333_333
)

// TestMain lets the test binary be a function's process, which Register ends when
// it must not serve.
func TestMain(m *testing.M) {
	if how := os.Getenv("HITO_TEST_WIRE"); how != "" {
		serve(how)
		return
	}
	os.Exit(m.Run())
}

// serve is a main whose function is score.
func serve(how string) {
	Register("score", func(b *Base) (http.Handler, error) {
		fmt.Println("wired")
		switch how {
		case "fails":
			return nil, errors.New("no such rule")
		case "http":
			return b.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "projects "+strings.Join(b.Projects.Names(), ", "))
			}), b.Projects.Fresh), nil
		}
		return b.Push(func(ctx context.Context, records []stream.Record) error {
			fmt.Println("handles", string(records[0].Data))
			if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil { // until it may go on
				return err
			}
			return book(ctx, records)
		}, nil), nil
	})
	fmt.Println("registered")
	Main()
}

func book(ctx context.Context, records []stream.Record) error {
	deltas := make([]ledger.Delta, len(records))
	for i := range records {
		r, n := &records[i], int64(records[i].Events)
		deltas[i] = ledger.Delta{Project: r.Project, Source: r.ID, Minute: r.Time / 60_000, Counts: ledger.Counts{Accepted: n, Scored: n}}
	}
	return ledger.Book{}.Record(ctx, deltas)
}

// cloud is what a function reaches.
type cloud struct {
	googleapis.Storage
	googleapis.Secrets
	pubsub *pstest.Server
	vars   map[string]string // of score, all that it needs
}

// newCloud starts one with the projects shop and news, and has this process reach it.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{pubsub: pstest.NewServer()}
	t.Cleanup(func() { _ = c.pubsub.Close() })
	for name, data := range map[string]string{"keys": "shop: {write: [w1]}\nnews: {write: [w2]}", "shop": "settings: {ip: drop}", "news": "settings: {ip: keep}"} {
		c.Put("projects", "projects/"+name+".yaml", []byte(data))
	}
	storage, secrets := httptest.NewServer(&c.Storage), httptest.NewServer(&c.Secrets)
	t.Cleanup(storage.Close)
	t.Cleanup(secrets.Close)
	c.vars = map[string]string{
		"HITO_TABLE": "projects/mycompany/instances/hito/tables/hito", "HITO_PROJECTS_BUCKET": "projects", "HITO_ACTIONS_STREAM": "projects/mycompany/topics/actions",
		"HITO_PUSH_AUDIENCE": "hito-score", "HITO_PUSH_ACCOUNT": pusher,
		"PUBSUB_EMULATOR_HOST": c.pubsub.Addr, "BIGTABLE_EMULATOR_HOST": "127.0.0.1:1", "STORAGE_EMULATOR_HOST": storage.URL, "SECRETMANAGER_EMULATOR_HOST": secrets.URL,
	}
	for name, value := range c.vars {
		if strings.HasSuffix(name, "_EMULATOR_HOST") {
			t.Setenv(name, value)
		}
	}
	return c
}

// tables has c have the function's table.
func (c *cloud) tables(t *testing.T) {
	t.Helper()
	c.vars["BIGTABLE_EMULATOR_HOST"] = emulators.Bigtable(t)
	t.Setenv("BIGTABLE_EMULATOR_HOST", c.vars["BIGTABLE_EMULATOR_HOST"])
	admin, err := cloudbigtable.NewAdminClient(t.Context(), "mycompany", "hito")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTableFromConf(t.Context(), &cloudbigtable.TableConf{TableID: "hito", ColumnFamilies: bigtable.Schema()}); err != nil {
		t.Fatal(err)
	}
}

// topic makes a topic that says what is published on it.
func (c *cloud) topic(t *testing.T, name string) {
	t.Helper()
	if _, err := c.pubsub.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: name}); err != nil {
		t.Fatal(err)
	}
}

// lookup finds variables of score's, with more and without those that are empty.
func (c *cloud) lookup(more map[string]string) func(string) (string, bool) {
	vars := maps.Clone(c.vars)
	maps.Copy(vars, more)
	return func(name string) (string, bool) { return vars[name], vars[name] != "" }
}

func (c *cloud) base(t *testing.T, name string, more map[string]string) *Base {
	t.Helper()
	b, err := open(t.Context(), name, c.lookup(more))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.pubsub.Close() })
	b.Log = slog.New(slog.DiscardHandler)
	b.Projects.Log = b.Log
	return b
}

// TestOpenTellsEverything: what is wrong with the variables is told at once.
func TestOpenTellsEverything(t *testing.T) {
	_, err := open(t.Context(), "score", func(name string) (string, bool) {
		if name == "HITO_REFRESH" {
			return "often", true
		}
		return "", false
	})
	if err == nil {
		t.Fatal("an empty environment is enough")
	}
	for _, want := range []string{"HITO_TABLE is not set", "HITO_ACTIONS_STREAM is not set", "HITO_PUSH_AUDIENCE is not set", "HITO_PUSH_ACCOUNT is not set", `HITO_REFRESH: "often"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %q in\n%v", want, err)
		}
	}
}

// TestSubscriptionsName: of a subscription that is none is told, whether or not
// the project's name is taken from it: relay had a client of nothing.
func TestSubscriptionsName(t *testing.T) {
	c := newCloud(t)
	relay := map[string]string{
		"HITO_TABLE": "", "HITO_PROJECTS_BUCKET": "", "HITO_PEER_STREAM": "arn:aws:kinesis:eu-west-1:123456789012:stream/enriched", "HITO_PEER_IDENTITY": "arn:aws:iam::123456789012:role/relay", "HITO_PEER_REGION": "eu-west-1",
	}
	for _, name := range []string{"s", "projects//subscriptions/s", "projects/mycompany/topics/s", "projects/mycompany/subscriptions/", "projects/mycompany/subscriptions/s/x"} {
		relay["HITO_SUBSCRIPTION"] = name
		if _, err := open(t.Context(), "relay", c.lookup(relay)); !errors.Is(err, errSubscription) {
			t.Errorf("relay of %q: %v", name, err)
		}
		if _, err := open(t.Context(), "score", c.lookup(map[string]string{"HITO_SUBSCRIPTION": name})); !errors.Is(err, errSubscription) {
			t.Errorf("score of %q: %v", name, err)
		}
	}
	relay["HITO_SUBSCRIPTION"] = subscription
	if b, err := open(t.Context(), "relay", c.lookup(relay)); err != nil || b.project != "mycompany" || b.pubsub == nil {
		t.Errorf("%+v, %v", b, err)
	}
}

// TestTelemetryIsTheInstalls: what is measured goes by the service's name.
func TestTelemetryIsTheInstalls(t *testing.T) {
	c := newCloud(t)
	if b := c.base(t, "score", map[string]string{"K_SERVICE": "shop-score", "HITO_REFRESH": "3s"}); b.Telemetry.Function != "shop-score" || b.Projects.Interval != 3*time.Second {
		t.Errorf("the metrics' function is %q, projects are looked for every %s", b.Telemetry.Function, b.Projects.Interval)
	}
}

// TestTopics: each stream is the topic that its own variable names.
func TestTopics(t *testing.T) {
	c := newCloud(t)
	topics := map[string]string{}
	for _, name := range []string{"raw", "enriched", "actions", "rows"} {
		topics[name] = "projects/mycompany/topics/" + name
		c.topic(t, topics[name])
	}
	data, err := event.Encode(&event.Record{Project: "shop", Key: "u:u1", ReceivedAt: minute * 60_000, Origin: "gcp", Events: []*event.Event{{MessageId: "m1", Type: event.Type_TYPE_TRACK, Name: "x", UserId: "u1", Timestamp: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	records := []stream.Record{{Project: "shop", Key: "u:u1", Events: 1, Time: minute * 60_000, Data: data}}
	archived := map[string]string{"HITO_ENRICHED_STREAM": topics["enriched"], "HITO_ARCHIVE_STREAM": topics["rows"]}
	for name, x := range map[string]struct {
		publisher stream.Publisher
		to        []string
	}{
		"raw":      {c.base(t, "beacon", map[string]string{"HITO_RAW_STREAM": topics["raw"]}).Raw(), []string{topics["raw"]}},
		"enriched": {c.base(t, "enrich", map[string]string{"HITO_ENRICHED_STREAM": topics["enriched"]}).Enriched(), []string{topics["enriched"]}},
		"archived": {c.base(t, "enrich", archived).Enriched(), []string{topics["enriched"], topics["rows"]}},
		"actions":  {c.base(t, "score", nil).Actions(), []string{topics["actions"]}},
	} {
		c.pubsub.ClearMessages()
		if err := x.publisher.Publish(t.Context(), records); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var to []string
		for _, m := range c.pubsub.Messages() {
			to = append(to, m.Topic)
			if got := m.Attributes[message.Origin]; m.Topic != topics["rows"] && got != "gcp" {
				t.Errorf("%s: of origin %q", name, got)
			}
		}
		if slices.Sort(to); !slices.Equal(to, x.to) {
			t.Errorf("%s was published on %v, want %v", name, to, x.to)
		}
	}
	if b := c.base(t, "score", nil); b.Enriched() != nil {
		t.Error("a function that is given no enriched topic has one")
	}
}

// TestStart: wire has a say before projects are in service; and what must not
// take requests does not start.
func TestStart(t *testing.T) {
	log := slog.Default()
	t.Cleanup(func() { slog.SetDefault(log) })
	errRules := errors.New("no such rule")
	for name, x := range map[string]struct {
		spoil func(*cloud)
		more  map[string]string
		wire  error
		says  string // nothing is fine
	}{
		"all there":            {nil, nil, nil, ""},
		"a variable missing":   {nil, map[string]string{"HITO_PUSH_ACCOUNT": ""}, nil, "HITO_PUSH_ACCOUNT"},
		"not a table":          {nil, map[string]string{"HITO_TABLE": "hito"}, nil, errTable.Error()},
		"not wired":            {nil, nil, errRules, errRules.Error()},
		"no bucket":            {nil, map[string]string{"HITO_PROJECTS_BUCKET": "missing"}, nil, "bucket"},
		"no keys":              {func(c *cloud) { c.Storage.Delete("projects", "projects/keys.yaml") }, nil, nil, "projects/keys.yaml"},
		"keys out of reach":    {func(c *cloud) { c.Storage.Fail = out("keys.yaml") }, nil, nil, "keys.yaml"},
		"a file out of reach":  {func(c *cloud) { c.Storage.Fail = out("news.yaml") }, nil, nil, "news.yaml"},
		"one file of two gone": {func(c *cloud) { c.Storage.Delete("projects", "projects/news.yaml") }, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t)
			if x.spoil != nil {
				x.spoil(c)
			}
			files := 0
			b, handler, err := start(t.Context(), "score", c.lookup(x.more), func(b *Base) (http.Handler, error) {
				b.Projects.OnFile = func(string, []byte) (func(), error) { files++; return func() {}, nil }
				return http.NotFoundHandler(), x.wire
			})
			if x.says != "" {
				if err == nil || !strings.Contains(err.Error(), x.says) {
					t.Errorf("error %v, want one that says %q", err, x.says)
				}
				return
			}
			if err != nil || handler == nil || files == 0 {
				t.Fatalf("%v, %v, %d files", handler, err, files)
			}
			if _, ok := b.Projects.ByWriteKey("w1"); !ok {
				t.Error("nothing is in service")
			}
			if calls := c.Storage.Calls(); slices.ContainsFunc(calls, func(call string) bool { return strings.HasPrefix(call, "POST") }) {
				t.Errorf("a function that does not keep up the last good ones called %v", calls)
			}
		})
	}
}

// out has one object out of reach.
func out(name string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		away := strings.Contains(r.URL.Path, name)
		if away {
			http.Error(w, "forbidden by a perimeter", http.StatusUnauthorized)
		}
		return away
	}
}

// TestSecretKeys come from the secret that the variable names.
func TestSecretKeys(t *testing.T) {
	c := newCloud(t)
	c.Add("projects/mycompany/secrets/keys", []byte("shop: {secret: [s1]}"))
	b := c.base(t, "profile", map[string]string{"HITO_SECRET": "projects/mycompany/secrets/keys", "HITO_RAW_STREAM": "projects/mycompany/topics/raw"})
	keys, err := b.SecretKeys()
	if err != nil {
		t.Fatal(err)
	}
	if data, _, err := keys.Fetch(t.Context(), ""); err != nil || string(data) != "shop: {secret: [s1]}" {
		t.Errorf("%s, %v", data, err)
	}
}

// token is one as Cloud Run passes it on, once it has checked it.
func token(audience, account string) string {
	says, err := json.Marshal(map[string]any{
		"iss": "https://accounts.google.com", "aud": audience, "email": account, "email_verified": true, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"x"}`)) + "." + base64.RawURLEncoding.EncodeToString(says) + ".SIGNATURE_REMOVED_BY_GOOGLE"
}

// packed is a message of one record of two events.
func packed(t *testing.T, name string) (data []byte, attributes map[string]string) {
	t.Helper()
	data, attributes, err := message.Encode("gcp", []stream.Record{{Project: "shop", Key: "u:u1", Events: 2, Time: minute * 60_000, Data: []byte(name)}})
	if err != nil {
		t.Fatal(err)
	}
	return data, attributes
}

// withKeys has Google publish a key meanwhile, of which nobody has the other half.
func withKeys(do func()) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = transport(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"keys":[{"kid":"y"}]}`))}, nil
	})
	do()
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestPush: a pushed message is let in by the function's own variables, handled
// and booked in its own table.
func TestPush(t *testing.T) {
	c := newCloud(t)
	c.tables(t)
	for name, x := range map[string]struct {
		checked, token string
		status         int
	}{
		"checked":          {"true", token("hito-score", pusher), http.StatusNoContent},
		"another audience": {"true", token("hito-enrich", pusher), http.StatusUnauthorized},
		"another account":  {"true", token("hito-score", "evil@mycompany.iam.gserviceaccount.com"), http.StatusUnauthorized},
		"not checked":      {"false", token("hito-score", pusher), http.StatusUnauthorized},
		"nothing said":     {"", token("hito-score", pusher), http.StatusUnauthorized},
	} {
		b := c.base(t, "score", map[string]string{"HITO_PUSH_CHECKED": x.checked, "HITO_REFRESH": "1ns"})
		c.Put("projects", "projects/shop.yaml", []byte("settings: {ip: drop}"))
		if err := b.Projects.Serve(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Put("projects", "projects/shop.yaml", []byte("settings: {ip: truncate}"))
		before, err := b.Ledger().Totals(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		handled := 0
		h := b.Push(func(ctx context.Context, records []stream.Record) error {
			handled += len(records)
			if p, ok := b.Projects.ByWriteKey("w1"); !ok || p.Settings.IP != "truncate" {
				t.Errorf("of the project as it is now it knows %+v", p)
			}
			return book(ctx, records)
		}, nil)
		data, attributes := packed(t, name)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(data))
		r.Header.Set("Authorization", "Bearer "+x.token)
		r.Header.Set("x-goog-pubsub-message-id", "7")
		for name, value := range attributes {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		withKeys(func() { h.ServeHTTP(w, r) })
		after, err := b.Ledger().Totals(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		booked := after.Scored - before.Scored
		if w.Code != x.status || (handled == 1) != (x.status == http.StatusNoContent) || booked != int64(2*handled) {
			t.Errorf("%s: answered %d, %d handled, %d booked", name, w.Code, handled, booked)
		}
	}
}

// process is a function's process.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	in    io.WriteCloser
	done  sync.WaitGroup
	port  string
}

// run starts one that is wired so, with the variables of score, and more.
func (c *cloud) run(t *testing.T, how string, more map[string]string) *process {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	vars := maps.Clone(c.vars)
	maps.Copy(vars, map[string]string{"HITO_TEST_WIRE": how, "FUNCTION_TARGET": "score", "PORT": port, "LOCAL_ONLY": "true"})
	maps.Copy(vars, more)
	p := &process{t: t, cmd: exec.Command(os.Args[0]), lines: make(chan string, 10_000), port: port}
	for name, value := range vars {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	output := &child.Lines{Line: func(line string) { p.lines <- line }}
	p.cmd.Stdout, p.cmd.Stderr = output, output
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := child.Start(p.cmd); err != nil {
		t.Fatal(err)
	}
	p.done.Go(func() {
		_ = p.cmd.Wait() // ProcessState tells
		output.Flush()
		close(p.lines)
	})
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.done.Wait()
	})
	return p
}

// says waits for a line that contains text, and fails the test if there is none.
func (p *process) says(text string) {
	p.t.Helper()
	var had []string
	late := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("it ended with %v, and did not say %q but\n%s", p.cmd.ProcessState, text, strings.Join(had, "\n"))
			}
			if had = append(had, line); strings.Contains(line, text) {
				return
			}
		case <-late:
			p.t.Fatalf("it does not say %q but\n%s", text, strings.Join(had, "\n"))
		}
	}
}

// ends waits until it has ended, and returns what it said since, and its code.
func (p *process) ends() (said string, code int) {
	p.t.Helper()
	late := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	for line := range p.lines {
		said += line + "\n"
	}
	p.done.Wait()
	return said, p.cmd.ProcessState.ExitCode()
}

// TestRegisterEnds: a process that must not take requests ends with 1, and says why.
func TestRegisterEnds(t *testing.T) {
	c := newCloud(t)
	for name, x := range map[string]struct {
		how   string
		more  map[string]string
		wired bool
		says  string
	}{
		"a variable missing": {"http", map[string]string{"HITO_TABLE": ""}, false, "HITO_TABLE is not set"},
		"not wired":          {"fails", nil, true, "no such rule"},
		"no projects":        {"http", map[string]string{"HITO_PROJECTS_BUCKET": "missing"}, true, "bucket"},
		"no worker":          {"http", map[string]string{"HITO_SUBSCRIPTION": subscription}, true, errNoWorker.Error()},
		"no subscription":    {"push", map[string]string{"HITO_SUBSCRIPTION": "projects/mycompany/subscriptions/none"}, true, "pull from projects/mycompany/subscriptions/none"},
		"another's target":   {"http", map[string]string{"FUNCTION_TARGET": "enrich"}, false, "enrich"},
		"no target":          {"http", map[string]string{"FUNCTION_TARGET": "scor"}, false, "scor"},
	} {
		said, code := c.run(t, x.how, x.more).ends()
		if code != 1 || strings.Contains(said, "wired\n") != x.wired || !strings.Contains(said, x.says) || !strings.Contains(said, `"severity":"ERROR"`) && x.wired {
			t.Errorf("%s: ended with %d and said\n%s", name, code, said)
		}
	}
}

// TestRegisterServes the function that the process is for, at its root.
func TestRegisterServes(t *testing.T) {
	p := newCloud(t).run(t, "http", nil)
	p.says("registered")
	var body []byte
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get("http://127.0.0.1:" + p.port + "/any/path")
		if err == nil {
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if string(body) != "projects news, shop" {
		t.Errorf("answered %q", body)
	}
}

// TestWorker: a function that pulls settles what it has before SIGTERM ends it.
func TestWorker(t *testing.T) {
	c := newCloud(t)
	c.tables(t)
	c.topic(t, "projects/mycompany/topics/enriched")
	if _, err := c.pubsub.GServer.CreateSubscription(t.Context(), &pubsubpb.Subscription{Name: subscription, Topic: "projects/mycompany/topics/enriched", AckDeadlineSeconds: 60}); err != nil {
		t.Fatal(err)
	}
	data, attributes := packed(t, "the message")
	id := c.pubsub.Publish("projects/mycompany/topics/enriched", data, attributes)
	p := c.run(t, "push", map[string]string{"HITO_SUBSCRIPTION": subscription})
	p.says("handles the message")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if m := c.pubsub.Message(id); m.Acks != 0 || m.Deliveries != 1 {
		t.Errorf("while it is handled: %d acknowledgements of %d deliveries", m.Acks, m.Deliveries)
	}
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		t.Fatal(err)
	}
	if said, code := p.ends(); code != 0 {
		t.Errorf("ended with %d and said\n%s", code, said)
	}
	if m := c.pubsub.Message(id); m.Acks != 1 || m.Deliveries != 1 {
		t.Errorf("%d acknowledgements of %d deliveries", m.Acks, m.Deliveries)
	}
	totals, err := c.base(t, "score", nil).Ledger().Totals(t.Context(), "shop")
	if err != nil || totals.Scored != 2 {
		t.Errorf("booked %+v, %v", totals, err)
	}
}
