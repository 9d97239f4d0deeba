package deployed

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/bigtable"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"

	"github.com/hitolayer/hito/infra/emulators"
)

func read(t *testing.T, file string) *Deployment {
	t.Helper()
	f, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const (
	pusher  = "shop-push@shop.iam.gserviceaccount.com"
	topics  = "projects/shop/topics/"
	week    = 7 * 24 * time.Hour
	beacon  = "https://shop-beacon-123456789012.asia-northeast1.run.app/"
	enrich  = "https://shop-enrich-123456789012.asia-northeast1.run.app/"
	enriche = "https://shop-enrich-abcdefgh-an.a.run.app"
)

func TestReadState(t *testing.T) {
	want := &Deployment{
		Functions: []Function{
			{
				Address: "google_cloud_run_v2_service.beacon", Name: "shop-beacon", Project: "shop", Location: "asia-northeast1", URL: "https://shop-beacon-abcdefgh-an.a.run.app",
				Image: "asia-docker.pkg.dev/shop/hito/beacon@sha256:1", Target: "beacon", Ingress: "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", Invokers: []string{"allUsers"},
				Timeout: 5 * time.Minute, Concurrency: 80, MaxInstances: 100, CPU: "1", Memory: "512Mi",
				Environment: map[string]string{"FUNCTION_TARGET": "beacon", "HITO_PROJECTS": "projects/shop/secrets/shop-keys"}, Secrets: map[string]string{},
			},
			{
				Address: "module.enrich.google_cloud_run_v2_service.this", Name: "shop-enrich", Project: "shop", Location: "asia-northeast1", URL: enriche,
				Image: "asia-docker.pkg.dev/shop/hito/enrich", Source: "gs://shop-projects/enrich.zip#1", Target: "enrich", Account: "shop-enrich@shop.iam.gserviceaccount.com",
				Audiences: []string{"shop-enrich"}, Ingress: "INGRESS_TRAFFIC_INTERNAL_ONLY", Invokers: []string{"serviceAccount:" + pusher},
				Timeout: time.Minute, Concurrency: 16, MinInstances: 1, MaxInstances: 20, CPU: "1", Memory: "512Mi",
				Environment: map[string]string{"HITO_STREAM": "projects/shop/topics/shop-raw"},
				Secrets:     map[string]string{"HITO_SECRET": "projects/shop/secrets/shop-keys/versions/latest"},
				Traffic:     []Traffic{{Revision: "shop-enrich-1", Percent: 90}, {Percent: 10, Tag: "canary"}},
			},
		},
		Topics: []Topic{
			{Address: "google_pubsub_topic.raw", Name: topics + "shop-raw", Retention: week},
			{Address: "google_pubsub_topic.rows", Name: topics + "shop-rows"},
			{Address: "module.enrich.google_pubsub_topic.dead", Name: topics + "shop-enrich-dead"},
			{Address: "module.enrich.google_pubsub_topic.parked", Name: topics + "shop-enrich-parked"},
		},
		Subscriptions: []Subscription{
			{
				Address: "google_pubsub_subscription.rows", Name: "projects/shop/subscriptions/shop-rows-bigquery", Topic: topics + "shop-rows", AckDeadline: 10 * time.Second,
				Retention: week, Expires: true, BigQuery: &BigQuery{Table: "shop.hito.events", UseTableSchema: true, DropUnknownFields: true},
			},
			{
				Address: "module.enrich.google_pubsub_subscription.dead", Name: "projects/shop/subscriptions/shop-enrich-dead", Topic: topics + "shop-enrich-dead",
				AckDeadline: 10 * time.Second, Retention: week, Expires: true, MinBackoff: time.Minute, MaxBackoff: 10 * time.Minute,
				DeadLetter: &DeadLetter{topics + "shop-enrich-parked", 5}, Push: &Push{Endpoint: enriche + "/dead-letter", Function: "shop-enrich", Account: pusher, Audience: "shop-enrich"},
			},
			{
				Address: "module.enrich.google_pubsub_subscription.parked", Name: "projects/shop/subscriptions/shop-enrich-parked", Topic: topics + "shop-enrich-parked",
				AckDeadline: 10 * time.Second, Retention: 31 * 24 * time.Hour,
			},
			{
				Address: "module.enrich.google_pubsub_subscription.this", Name: "projects/shop/subscriptions/shop-raw-enrich", Topic: topics + "shop-raw",
				AckDeadline: 70 * time.Second, Retention: week, Expires: true, MinBackoff: time.Second, MaxBackoff: 10 * time.Minute, DeadLetter: &DeadLetter{topics + "shop-enrich-dead", 30},
				Push: &Push{Endpoint: enrich, Function: "shop-enrich", Account: pusher, Audience: "shop-enrich", NoWrapper: true, WriteMetadata: true},
			},
		},
		Tables: []Table{{
			Address: "google_bigtable_table.this", Project: "shop", Instance: "shop-table", Name: "shop",
			Families: map[string]Family{"f": {Versions: 1}, "b": {Age: 40 * 24 * time.Hour}, "x": {Versions: 2, Age: 3 * 24 * time.Hour, Intersection: true}, "s": {Type: "intsum"}},
		}},
		Profiles: []Profile{{
			Address: "google_bigtable_app_profile.this", Project: "shop", Instance: "shop-table", Name: "shop", Cluster: "shop-table", TransactionalWritesAllowed: true,
		}},
		Buckets: []Bucket{{
			Address: "google_storage_bucket.projects", Name: "shop-projects", Objects: []Object{
				{Address: "google_storage_bucket_object.projects", Name: "projects.yaml", Content: "projects: []\n", ContentType: "application/yaml"},
				{Address: "google_storage_bucket_object.source", Name: "enrich.zip", Source: "main.tf"},
			},
		}},
		Secrets: []Secret{
			{Address: "google_secret_manager_secret.keys", Name: "projects/shop/secrets/shop-keys"},
			{Address: "google_secret_manager_secret.plain", Name: "projects/shop/secrets/shop-plain", Data: "open"},
		},
		Jobs: []Job{{
			Address: "google_cloud_scheduler_job.sweep", Name: "shop-sweep", Schedule: "* * * * *", URI: beacon + "sweep", Method: "POST", Function: "shop-beacon",
			Headers: map[string]string{"X-A": "b"}, Body: []byte("{}"), Account: pusher, Audience: "shop-beacon", Deadline: time.Minute,
		}},
		URLMaps: []URLMap{{
			Address: "google_compute_url_map.this", Name: "shop", Default: "shop-beacon",
			Matchers: []Matcher{{
				Hosts: []string{"*"}, Default: "shop-beacon", Rules: []Rule{{Paths: []string{"/v1/ledger", "/v1/profiles/*"}, Function: "shop-enrich"}},
			}},
		}},
	}
	got := read(t, "state.json")
	a, b := reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			t.Errorf("%s are\n%+v, want\n%+v", a.Type().Field(i).Name, a.Field(i).Interface(), b.Field(i).Interface())
		}
	}
}

// TestReadPlan: what is not known yet is empty, or found by the module it is in.
func TestReadPlan(t *testing.T) {
	d := read(t, "plan.json")
	f, ok := d.Function("shop-beacon")
	if !ok || f.URL != "" || !slices.Equal(f.Unknown, []string{"HITO_PROJECTS"}) || f.Environment["FUNCTION_TARGET"] != "beacon" || !slices.Equal(f.Invokers, []string{"allUsers"}) {
		t.Errorf("the function is %+v", f)
	}
	s, ok := d.Subscription("shop-enrich-dead")
	if !ok || s.Topic != "" || s.DeadLetter == nil || s.DeadLetter.Topic != "" || s.DeadLetter.Attempts != 5 || s.Push == nil || s.Push.Endpoint != "" ||
		s.Push.Function != "shop-enrich" || s.Push.Audience != "shop-enrich" {
		t.Errorf("the subscription is %+v, %+v, %+v", s, s.DeadLetter, s.Push)
	}
	m := d.URLMaps[0]
	if m.Default != "shop-beacon" || m.Matchers[0].Default != "" || m.Matchers[0].Rules[0].Function != "shop-enrich" {
		t.Errorf("the URL map is %+v", m)
	}
	if s := d.Secrets[0]; s.Data != "" || d.Secrets[1].Data != "open" {
		t.Errorf("the secrets are %+v", d.Secrets)
	}
	if err := d.CreateStreams(t.Context(), "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "a plan does not know its topic") {
		t.Errorf("what is not known gives %v", err)
	}
	s.Topic = topics + "shop-enrich-dead"
	if err := d.CreateStreams(t.Context(), "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "a plan does not know its dead-letter topic") {
		t.Errorf("what is not known gives %v", err)
	}
	s.Filter = `attributes.a = "b"`
	if err := d.CreateStreams(t.Context(), "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "filters") {
		t.Errorf("a filter gives %v", err)
	}
}

func TestLookups(t *testing.T) {
	d := read(t, "state.json")
	for address, want := range map[string]string{
		enrich: "shop-enrich", enriche + "/dead-letter": "shop-enrich", beacon: "shop-beacon",
		"https://shop-enrich-1.asia-northeast1.run.app:443": "", "https://shop-enrich-x.asia-northeast1.run.app/": "", "https://shop-enrich-1.europe-west1.run.app/": "",
		"https://shop-enrich-.asia-northeast1.run.app/": "", "https://shop-1.asia-northeast1.run.app/": "", "": "", ":": "", "/": "",
	} {
		name := ""
		if f, ok := d.Serving(address); ok {
			name = f.Name
		}
		if name != want {
			t.Errorf("%s is served by %q, want %q", address, name, want)
		}
	}
	for _, name := range []string{"shop-raw-enrich", "projects/shop/subscriptions/shop-raw-enrich"} {
		if s, ok := d.Subscription(name); !ok || s.Topic != topics+"shop-raw" {
			t.Errorf("subscription %s: %v, %t", name, s, ok)
		}
	}
	if _, ok := d.Subscription("other"); ok {
		t.Error("there is a subscription that is not")
	}
	if _, ok := d.Function("other"); ok {
		t.Error("there is a function that is not")
	}
}

func of(kind, values string) string {
	return `{"format_version":"1.0","values":{"root_module":{"resources":[{"address":"a.b","mode":"managed","type":"google_` + kind + `","values":` + values + `}]}}}`
}

func TestReadErrors(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "Error: no state", "another version": `{"format_version":"2.0","values":{}}`, "nothing applied": `{"format_version":"1.0"}`,
		"a bad value":          of("pubsub_topic", `{"name":1}`),
		"a bad duration":       of("pubsub_topic", `{"name":"a","project":"p","message_retention_duration":"a week"}`),
		"no project":           of("pubsub_subscription", `{"name":"a"}`),
		"a bad body":           of("cloud_scheduler_job", `{"http_target":[{"body":"?"}]}`),
		"an unread policy":     of("cloud_run_v2_service_iam_policy", `{}`),
		"a condition":          of("cloud_run_v2_service_iam_member", `{"role":"roles/run.invoker","condition":[{}]}`),
		"nobody's invoker":     of("cloud_run_v2_service_iam_member", `{"role":"roles/run.invoker","name":"a"}`),
		"nobody's object":      of("storage_bucket_object", `{"bucket":"a"}`),
		"nobody's policy":      of("bigtable_gc_policy", `{"table":"a","column_family":"f"}`),
		"rules that are JSON":  of("bigtable_gc_policy", `{"gc_rules":"{}"}`),
		"route rules":          of("compute_url_map", `{"path_matcher":[{"route_rules":[{}]}]}`),
		"a container too many": of("cloud_run_v2_service", `{"template":[{"containers":[{},{}]}]}`),
	} {
		if d, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s gives %+v", name, d)
		}
	}
	for kind, values := range map[string]string{
		"cloud_run_v2_service_iam_member": `{"role":"roles/run.viewer","name":"a"}`, "cloud_scheduler_job": `{"pubsub_target":[{}]}`, "compute_backend_service": `{}`,
		"cloud_run_v2_service": `{}`, "project_service": `{"project":1}`,
	} {
		if _, err := Read(strings.NewReader(of(kind, values))); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestOpen: Cloud Run lets everybody in where it does not check.
func TestOpen(t *testing.T) {
	d, err := Read(strings.NewReader(of("cloud_run_v2_service", `{"name":"a","invoker_iam_disabled":true}`)))
	if err != nil || !slices.Equal(d.Functions[0].Invokers, []string{"allUsers"}) || d.Functions[0].Ingress != "INGRESS_TRAFFIC_ALL" {
		t.Errorf("it is %+v, %v", d, err)
	}
}

// TestCreate makes what a state holds on the emulators.
func TestCreate(t *testing.T) {
	ctx, d := t.Context(), read(t, "state.json")
	host := emulators.PubSub(t)
	if err := d.CreateStreams(ctx, host); err != nil {
		t.Fatal(err)
	}
	conn, err := plain(host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, err := pubsub.NewClient(ctx, "shop", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Subscriptions {
		got, err := client.SubscriptionAdminClient.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: s.Name})
		if err != nil {
			t.Fatal(err)
		}
		if got.Topic != s.Topic || time.Duration(got.AckDeadlineSeconds)*time.Second != s.AckDeadline || got.GetPushConfig().GetPushEndpoint() != "" || got.RetryPolicy != nil {
			t.Errorf("%s is %v", s.Name, got)
		}
		if s.DeadLetter != nil && (got.DeadLetterPolicy.GetDeadLetterTopic() != s.DeadLetter.Topic || int(got.DeadLetterPolicy.GetMaxDeliveryAttempts()) != s.DeadLetter.Attempts) {
			t.Errorf("%s has dead letters as %v", s.Name, got.DeadLetterPolicy)
		}
	}
	if err := d.CreateStreams(ctx, host); err == nil || !strings.Contains(err.Error(), "google_pubsub_topic.raw") {
		t.Errorf("created again: %v", err)
	}
}

func TestCreateTables(t *testing.T) {
	ctx, d := t.Context(), read(t, "plan.json")
	host := emulators.Bigtable(t)
	if err := d.CreateTables(ctx, host); err != nil {
		t.Fatal(err)
	}
	conn, err := plain(host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	admin, err := bigtable.NewAdminClient(ctx, "shop", "shop-table", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	info, err := admin.TableInfo(ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range info.FamilyInfos {
		got[f.Name] = f.GCPolicy
		if _, sum := f.ValueType.(bigtable.AggregateType); sum != (f.Name == "s") {
			t.Errorf("family %s has the type %T", f.Name, f.ValueType)
		}
	}
	want := map[string]string{"f": "versions() > 1", "b": "age() > 40d", "x": "(age() > 3d && versions() > 2)", "s": ""}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the families are %v, want %v", got, want)
	}
	d.Tables[0].Name, d.Tables[0].Families["s"] = "other", Family{Type: "inthll"}
	if err := d.CreateTables(ctx, host); err == nil || !strings.Contains(err.Error(), "inthll") {
		t.Errorf("another type: %v", err)
	}
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		family Family
		want   string
	}{
		{Family{Versions: 2, Age: time.Hour}, "(age() > 1h || versions() > 2)"},
		{Family{Versions: 2, Age: time.Hour, Intersection: true}, "(age() > 1h && versions() > 2)"},
	} {
		got, err := c.family.Bigtable()
		if err != nil {
			t.Fatal(err)
		}
		if text := got.GCPolicy.String(); text != c.want {
			t.Errorf("%+v is %s, want %s", c.family, text, c.want)
		}
	}
}

// FuzzRead: an error or a deployment, no panic.
func FuzzRead(f *testing.F) {
	for _, file := range []string{"state.json", "plan.json"} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := Read(bytes.NewReader(data)); (d == nil) == (err == nil) {
			t.Errorf("%v, %v", d, err)
		}
	})
}
