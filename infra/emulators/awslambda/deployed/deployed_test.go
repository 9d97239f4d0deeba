package deployed

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
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

func TestReadState(t *testing.T) {
	const region = "eu-west-3:123456789012:"
	want := &Deployment{
		Functions: []Function{
			{
				Address: "module.enrich.aws_lambda_function.this", Name: "hito-enrich", ARN: "arn:aws:lambda:" + region + "function:hito-enrich",
				Zip: "../../../dist/aws/enrich.zip", Runtime: "provided.al2023", Handler: "bootstrap", Architecture: "arm64", MemoryMB: 1024, Timeout: 30 * time.Second,
				Environment: map[string]string{"HITO_TABLE": "hito", "HITO_LOG": "json"}, Role: "hito-enrich", Concurrency: 20,
			},
			{
				Address: "module.profile.aws_lambda_function.this", Name: "hito-profile", ARN: "arn:aws:lambda:" + region + "function:hito-profile",
				Bucket: "artifacts", Key: "profile.zip", Runtime: "provided.al2023", Handler: "bootstrap", Architecture: "x86_64", MemoryMB: 512, Timeout: 30 * time.Second,
				Environment: map[string]string{}, Role: "hito-profile", Concurrency: -1, URL: "https://ppp.lambda-url.eu-west-3.on.aws",
			},
		},
		Mappings: []Mapping{
			{
				Address: `module.enrich.aws_lambda_event_source_mapping.stream["raw"]`, Function: "hito-enrich",
				Source: "arn:aws:kinesis:" + region + "stream/hito-raw/consumer/enrich:1795608000", Enabled: true, BatchSize: 500, Window: time.Second, Lanes: 4,
				Start: "TRIM_HORIZON", Retries: new(5), RecordAge: 6 * time.Hour, Bisect: true, ReportsItemFailures: true,
				OnFailure: "arn:aws:sqs:" + region + "hito-enrich-redrive",
			},
			{
				Address: `module.enrich.aws_lambda_event_source_mapping.queue["redrive"]`, Function: "hito-enrich", Source: "arn:aws:sqs:" + region + "hito-enrich-redrive",
				BatchSize: 1, MaximumConcurrency: 2, FilterPatterns: []string{`{"body":{"a":[1]}}`},
			},
		},
		Streams: []Stream{
			{Address: "module.raw.aws_kinesis_stream.this", Name: "hito-raw", ARN: "arn:aws:kinesis:" + region + "stream/hito-raw", Shards: 4, Retention: 24 * time.Hour},
			{Address: "module.raw.aws_kinesis_stream.demand", Name: "hito-demand", ARN: "arn:aws:kinesis:" + region + "stream/hito-demand", Retention: 7 * 24 * time.Hour},
		},
		Tables: []Table{{
			Address: "aws_dynamodb_table.hito", Name: "hito", ARN: "arn:aws:dynamodb:" + region + "table/hito", Key: Key{Hash: "pk"},
			Attributes: map[string]string{"at": "S", "pk": "S", "q": "S"}, Indexes: []Index{{Name: "quarantine", Key: Key{"q", "at"}, Projection: "ALL", Include: []string{}}}, TTL: "ttl",
		}},
		Queues: []Queue{
			{
				Address: "module.enrich.module.redrive.aws_sqs_queue.this", Name: "hito-enrich-redrive", ARN: "arn:aws:sqs:" + region + "hito-enrich-redrive",
				URL: "https://sqs.eu-west-3.amazonaws.com/123456789012/hito-enrich-redrive", VisibilityTimeout: 3 * time.Minute, Retention: 24 * time.Hour,
				DeadLetter: "arn:aws:sqs:" + region + "hito-enrich-redrive-dead", MaxReceives: 10,
			},
			{
				Address: "module.enrich.module.redrive.aws_sqs_queue.dead", Name: "hito-enrich-redrive-dead", ARN: "arn:aws:sqs:" + region + "hito-enrich-redrive-dead",
				URL: "https://sqs.eu-west-3.amazonaws.com/123456789012/hito-enrich-redrive-dead", VisibilityTimeout: 30 * time.Second, Retention: 14 * 24 * time.Hour,
			},
		},
		Routes: []Route{
			{Pattern: "/v1/profiles/*", Methods: []string{"GET", "HEAD"}, Domain: "ppp.lambda-url.eu-west-3.on.aws", Function: "hito-profile", Headers: map[string]string{"X-Edge": "1"}},
			{
				Methods: []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}, Domain: "bbb.lambda-url.eu-west-3.on.aws", Headers: map[string]string{},
				OriginRequest: "b689b0a8", ViewerRequest: "arn:aws:cloudfront::123456789012:function/forwarded",
			},
		},
		Roles: []Role{{
			Address: "module.enrich.aws_iam_role.this", Name: "hito-enrich", ARN: "arn:aws:iam::123456789012:role/service/hito-enrich", Trust: `{"Version":"2012-10-17"}`,
			Policies: []Policy{{"hito-enrich", `{"Version":"2012-10-17","Statement":[]}`}, {"logs", `{"Version":"2012-10-17","Statement":[1]}`}},
			Unread:   []string{"arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"},
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

func TestLookups(t *testing.T) {
	d := read(t, "state.json")
	for _, name := range []string{"hito-enrich", "arn:aws:lambda:eu-west-3:123456789012:function:hito-enrich", "arn:aws:lambda:eu-west-3:123456789012:function:hito-enrich:live"} {
		if f, ok := d.Function(name); !ok || f.Name != "hito-enrich" {
			t.Errorf("function %s: %v, %t", name, f, ok)
		}
	}
	if s, ok := d.Stream(d.Mappings[0].Source); !ok || s.Name != "hito-raw" {
		t.Errorf("the mapping's stream is %v, %t", s, ok)
	}
	if q, ok := d.Queue(d.Mappings[0].OnFailure); !ok || q.Name != "hito-enrich-redrive" {
		t.Errorf("the mapping's destination is %v, %t", q, ok)
	}
	if r, ok := d.Role(d.Functions[0].Role); !ok || r.Name != "hito-enrich" {
		t.Errorf("the function's role is %v, %t", r, ok)
	}
	if _, ok := d.Function("other"); ok {
		t.Error("there is a function that is not")
	}
}

// TestReadPlan: what is not known yet is found by the module it is in.
func TestReadPlan(t *testing.T) {
	d := read(t, "plan.json")
	if m := d.Mappings[0]; m.Function != "hito-score" || m.Retries == nil || *m.Retries != 0 || !m.Enabled {
		t.Errorf("the mapping is %+v", m)
	}
	f := d.Functions[0]
	if r, ok := d.Role(f.Role); !ok || len(r.Policies) != 1 || f.URL != "" {
		t.Errorf("the function is %+v, its role %+v", f, r)
	}
}

func TestReadErrors(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "Error: no state", "another version": `{"format_version":"2.0","values":{}}`, "nothing applied": `{"format_version":"1.0"}`,
		"a bad value": `{"format_version":"1.0","values":{"root_module":{"resources":[{"address":"a.b","mode":"managed","type":"aws_sqs_queue","values":{"name":1}}]}}}`,
		"a bad redrive policy": `{"format_version":"1.0","values":{"root_module":{"resources":[{"address":"a.b","mode":"managed","type":"aws_sqs_queue",
			"values":{"redrive_policy":"{"}}]}}}`,
	} {
		if d, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s gives %+v", name, d)
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
