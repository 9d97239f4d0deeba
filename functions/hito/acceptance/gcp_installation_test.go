//go:build acceptance

package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/bigtable"
	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/emulators/fault"
	"github.com/hitolayer/hito/infra/emulators/gcpfunctions"
	"github.com/hitolayer/hito/infra/emulators/gcpfunctions/deployed"
	"github.com/hitolayer/hito/infra/emulators/googleapis"
	pack "github.com/hitolayer/hito/infra/pack/gcp"
)

const (
	gcpProject = "hito-acceptance"
	gcpNumber  = "123456789012"
	gcpRegion  = "europe-west1"
)

// gcpInstallation is hito on Google Cloud as Terraform plans it, with emulators for
// Google: nothing here can apply a plan.
type gcpInstallation struct {
	hito
	deployment *deployed.Deployment
	functions  map[string]*gcpfunctions.Function
	pushes     map[string]*gcpfunctions.PushSubscription // by what the subscription's name ends in: "raw-enrich"
	hosts      gcpfunctions.Hosts                        // the functions' own addresses
	issuer     gcpfunctions.Issuer
	storage    googleapis.Storage
	secrets    googleapis.Secrets
	// published and tabled stand before the emulators, and make calls fail when they
	// are told to.
	published, tabled *fault.GRPC
	client            *pubsub.Client  // what the test itself publishes with
	table             *bigtable.Table // nil with Firestore

	mu        sync.Mutex
	swept     float64
	redeliver float64 // the share of messages that come again though they were acknowledged
	killAfter func() (time.Duration, bool)
}

// packagesGCP are the folder of the functions' packages, and what Google would
// build of each, by the function's name.
type packagesGCP struct {
	dir      string
	binaries map[string]string
}

// packGCP packages the functions, and compiles the packages as Google would.
func packGCP(t *testing.T) packagesGCP {
	t.Helper()
	artifacts, compiled := t.TempDir(), t.TempDir()
	run(t, repository(t), "go", "run", "./infra/pack", "-cloud", "gcp", "-out", artifacts)
	p := packagesGCP{filepath.Join(artifacts, "gcp"), map[string]string{}}
	for _, name := range names {
		p.binaries[name] = filepath.Join(compiled, name)
		if err := pack.Compile(t.Context(), filepath.Join(p.dir, name+".zip"), p.binaries[name]); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// installGCP plans and starts everything, with one of the stores that there are.
func installGCP(t *testing.T, p packagesGCP, store string) *gcpInstallation {
	t.Helper()
	x := &gcpInstallation{
		published: &fault.GRPC{Endpoint: emulators.PubSub(t)},
		tabled:    &fault.GRPC{},
	}
	x.deployment = planGCP(t, repository(t), p.dir, store)
	if err := x.deployment.CreateStreams(t.Context(), x.published.Endpoint); err != nil {
		t.Fatal(err)
	}
	x.connect(t)
	if store == "firestore" {
		x.tabled.Endpoint = emulators.Firestore(t)
	} else {
		x.tabled.Endpoint = emulators.Bigtable(t)
		x.openTable(t)
	}
	x.upload(t)
	x.startFunctions(t, p)
	x.startPushes(t)
	x.hito = serve(t, x.front(t))
	return x
}

// planGCP plans the stack from a copy, and returns what would be deployed.
func planGCP(t *testing.T, root, artifacts, store string) *deployed.Deployment {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		missing(t, "terraform is missing, so that nothing is planned: install Terraform 1.11 or later")
	}
	work := t.TempDir()
	if err := os.CopyFS(filepath.Join(work, "terraform"), os.DirFS(filepath.Join(root, "terraform"))); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(work, "terraform", "live", "gcp")
	_ = os.RemoveAll(filepath.Join(dir, ".terraform")) // a contributor's own
	terraform := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "terraform", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TF_IN_AUTOMATION=1", "GOOGLE_OAUTH_ACCESS_TOKEN=none")
		var out, all bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &all
		if err := cmd.Run(); err != nil {
			t.Fatalf("terraform %s: %v\n%s%s", args[0], err, &out, &all)
		}
		return out.Bytes()
	}
	terraform("init", "-input=false", "-no-color", "-backend=false")
	terraform("plan", "-input=false", "-no-color", "-out=plan", "-var=account="+gcpProject, "-var=project_number="+gcpNumber, "-var=region="+gcpRegion,
		"-var=artifacts_dir="+artifacts, "-var=projects_dir="+filepath.Join(root, "shared", "project", "sample"), `-var=secret_keys={"shop":["demo-secret"]}`,
		`-var=edge={"kind":"load_balancer","domain":{"name":"t.shop.example"}}`, "-var=archive={}", "-var=max_deliveries=10", "-var=store="+store)
	d, err := deployed.Read(bytes.NewReader(terraform("show", "-json", "plan")))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func dialPlain(t *testing.T, host string) option.ClientOption {
	t.Helper()
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return option.WithGRPCConn(conn)
}

// connect makes the client of what the test itself publishes.
func (x *gcpInstallation) connect(t *testing.T) {
	var err error
	if x.client, err = pubsub.NewClient(t.Context(), gcpProject, dialPlain(t, x.published.Endpoint)); err != nil {
		t.Fatal(err)
	}
}

// openTable makes Bigtable's table, and what the test itself reads it with.
func (x *gcpInstallation) openTable(t *testing.T) {
	if err := x.deployment.CreateTables(t.Context(), x.tabled.Endpoint); err != nil {
		t.Fatal(err)
	}
	if len(x.deployment.Tables) != 1 || len(x.deployment.Profiles) != 1 || !x.deployment.Profiles[0].TransactionalWritesAllowed || x.deployment.Profiles[0].Cluster == "" {
		t.Fatalf("deployed are the tables %+v with the app profiles %+v, of which conditional writes need one of a single cluster", x.deployment.Tables, x.deployment.Profiles)
	}
	table := x.deployment.Tables[0]
	client, err := bigtable.NewClientWithConfig(t.Context(), table.Project, table.Instance, bigtable.ClientConfig{MetricsProvider: bigtable.NoopMetricsProvider{}}, dialPlain(t, x.tabled.Endpoint))
	if err != nil {
		t.Fatal(err)
	}
	x.table = client.Open(table.Name)
}

// upload puts in buckets and secrets what Terraform would, and the secret keys,
// which no plan shows.
func (x *gcpInstallation) upload(t *testing.T) {
	for _, b := range x.deployment.Buckets {
		for _, o := range b.Objects {
			data := []byte(o.Content)
			if o.Source != "" {
				var err error
				if data, err = os.ReadFile(o.Source); err != nil {
					t.Fatal(err)
				}
			}
			x.storage.Put(b.Name, o.Name, data)
		}
	}
	if len(x.deployment.Secrets) != 1 {
		t.Fatalf("%d secrets are deployed", len(x.deployment.Secrets))
	}
	x.secrets.Add(x.deployment.Secrets[0].Name, []byte(`{"shop":{"secret":["demo-secret"]}}`))
}

// startFunctions has functions run behind Cloud Run's front, each at its own address.
func (x *gcpInstallation) startFunctions(t *testing.T, p packagesGCP) {
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	tabled := fault.ServeGRPC(t, x.tabled)
	endpoints := map[string]string{
		"PUBSUB_EMULATOR_HOST": fault.ServeGRPC(t, x.published), "BIGTABLE_EMULATOR_HOST": tabled, "FIRESTORE_EMULATOR_HOST": tabled,
		"STORAGE_EMULATOR_HOST": serve(&x.storage), "SECRETMANAGER_EMULATOR_HOST": serve(&x.secrets),
	}
	x.functions, x.hosts = map[string]*gcpfunctions.Function{}, gcpfunctions.Hosts{}
	for _, d := range x.deployment.Functions {
		name := short(d.Name)
		if len(d.Unknown) > 0 {
			t.Fatalf("%s has variables whose values the plan does not know: %v", d.Address, d.Unknown)
		}
		f := &gcpfunctions.Function{
			Name: d.Name, Target: d.Target, Binary: p.binaries[name], Timeout: d.Timeout, Concurrency: d.Concurrency, MaxInstances: 2, Env: d.Environment, Endpoints: endpoints,
		}
		if name == "score" {
			f.Line = x.countSwept
		}
		if name == "enrich" || name == "score" {
			f.Interrupt = func(*http.Request) (time.Duration, bool) {
				x.mu.Lock()
				defer x.mu.Unlock()
				if x.killAfter == nil {
					return 0, false
				}
				return x.killAfter()
			}
		}
		x.functions[name] = f
		t.Cleanup(f.Close)
		host := d.Name + "-" + gcpNumber + "." + d.Location + ".run.app"
		x.hosts[host] = &gcpfunctions.Front{
			Function: f, Audiences: append([]string{"https://" + host}, d.Audiences...), Invokers: d.Invokers, Issuer: &x.issuer, Ingress: d.Ingress,
		}
	}
	for _, name := range names {
		if x.functions[name] == nil {
			t.Fatalf("no function %s is deployed, of %d", name, len(x.functions))
		}
	}
}

// scaleGCP is how much faster Pub/Sub's retry policies run.
const scaleGCP = 0.01

// startPushes runs the push subscriptions as they are deployed.
func (x *gcpInstallation) startPushes(t *testing.T) {
	x.pushes = map[string]*gcpfunctions.PushSubscription{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	for _, s := range x.deployment.Subscriptions {
		if s.Push == nil {
			continue
		}
		p := &gcpfunctions.PushSubscription{
			Client: x.client, Name: s.Name, Endpoint: s.Push.Endpoint, Account: s.Push.Account, Audience: s.Push.Audience, Issuer: &x.issuer, HTTP: x.hosts,
			NoWrapper: s.Push.NoWrapper, WriteMetadata: s.Push.WriteMetadata, AckDeadline: s.AckDeadline, MinBackoff: s.MinBackoff, MaxBackoff: s.MaxBackoff,
			Scale: scaleGCP, Redeliver: func(*pubsub.Message) bool {
				x.mu.Lock()
				defer x.mu.Unlock()
				return rand.Float64() < x.redeliver
			},
		}
		_, name, _ := strings.Cut(s.Name[strings.LastIndexByte(s.Name, '/')+1:], "-") // behind the install's name
		x.pushes[name] = p
		running.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Errorf("%s: %v", s.Address, err)
			}
		})
	}
	for _, name := range []string{"raw-enrich", "enriched-score", "enrich-dead", "score-dead"} {
		if x.pushes[name] == nil {
			t.Fatalf("no subscription %s is deployed", name)
		}
	}
}

// front serves what the load balancer is configured to: both functions under one name.
func (x *gcpInstallation) front(t *testing.T) http.Handler {
	t.Helper()
	service := func(name string) http.Handler {
		t.Helper()
		f, ok := x.deployment.Function(name)
		if !ok {
			t.Fatalf("the URL map leads to %q, which is no function", name)
		}
		return x.hosts[f.Name+"-"+gcpNumber+"."+f.Location+".run.app"]
	}
	if len(x.deployment.URLMaps) != 1 || len(x.deployment.URLMaps[0].Matchers) != 1 {
		t.Fatalf("want a URL map with a single matcher: %+v", x.deployment.URLMaps)
	}
	m := x.deployment.URLMaps[0].Matchers[0]
	out := &gcpfunctions.URLMap{Default: service(m.Default)}
	for _, r := range m.Rules {
		out.Rules = append(out.Rules, gcpfunctions.PathRule{Paths: r.Paths, Service: service(r.Function)})
	}
	return out
}

// explain shows, of a test that failed, what the functions said last.
func (x *gcpInstallation) explain(t *testing.T) {
	if !t.Failed() {
		return
	}
	for name, f := range x.functions {
		lines := slices.DeleteFunc(f.Log.Lines(), func(line string) bool { return strings.Contains(line, `"hito":{`) }) // metrics
		t.Logf("the last lines of %s (%+v):\n%s", name, f.Stats(), strings.Join(lines[max(0, len(lines)-12):], "\n"))
	}
	for name, p := range x.pushes {
		t.Logf("%s: %+v", name, p.Stats())
	}
}

// countSwept counts what score says it has swept.
func (x *gcpInstallation) countSwept(line string) {
	var metric struct {
		Hito struct {
			Swept float64 `json:"fragments_swept"`
		}
	}
	if strings.Contains(line, `"fragments_swept"`) && json.Unmarshal([]byte(line), &metric) == nil {
		x.mu.Lock()
		x.swept += metric.Hito.Swept
		x.mu.Unlock()
	}
}

// set changes what goes wrong from now on.
func (x *gcpInstallation) set(redeliver float64, killAfter func() (time.Duration, bool)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.redeliver, x.killAfter = redeliver, killAfter
}
