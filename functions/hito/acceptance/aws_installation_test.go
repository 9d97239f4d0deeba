//go:build acceptance

package acceptance

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/emulators/awslambda"
	"github.com/hitolayer/hito/infra/emulators/awslambda/deployed"
	"github.com/hitolayer/hito/infra/emulators/fault"
)

// scale is how much faster Lambda's clocks run: batching windows, polls and retries.
const scale = 0.05

// installation is hito on AWS as Terraform deploys it, with emulators for AWS.
type installation struct {
	hito
	stack      *stack
	deployment *deployed.Deployment
	table      *deployed.Table
	functions  map[string]*awslambda.Function
	streams    map[string]*awslambda.StreamMapping // by function
	queues     map[string]*awslambda.QueueMapping  // by function
	// kinesis, dynamodb and others stand before the emulators: they know every
	// call, and make calls fail when they are told to.
	kinesis, dynamodb, others *fault.Proxy

	kinesisURL, dynamodbURL, othersURL string

	mu        sync.Mutex
	swept     float64
	redeliver float64 // the share of batches that come again though they succeeded
	killAfter func() (time.Duration, bool)
}

// install builds, packages, deploys and starts everything.
func install(t *testing.T) *installation {
	t.Helper()
	root := repository(t)
	artifacts := t.TempDir()
	run(t, root, "go", "run", "./infra/pack", "-cloud", "aws", "-arch", runtime.GOARCH, "-out", artifacts)
	moto := emulators.Moto(t)
	x := &installation{
		stack:    newStack(t, root, filepath.Join(artifacts, "aws"), moto),
		kinesis:  &fault.Proxy{Endpoint: emulators.Kinesalite(t)},
		dynamodb: &fault.Proxy{Endpoint: emulators.DynamoDB(t)},
		others:   &fault.Proxy{Endpoint: moto},
	}
	x.deployment = x.stack.apply(t)
	x.kinesisURL, x.dynamodbURL, x.othersURL = fault.Serve(t, x.kinesis), fault.Serve(t, x.dynamodb), fault.Serve(t, x.others)
	x.createStreams(t)
	x.createTable(t)
	x.startFunctions(t)
	x.startMappings(t)
	x.hito = serve(t, x.front(t))
	return x
}

// explain shows, of a test that failed, what the functions said last.
func (x *installation) explain(t *testing.T) {
	if !t.Failed() {
		return
	}
	for name, f := range x.functions {
		lines := slices.DeleteFunc(f.Log.Lines(), func(line string) bool { return strings.Contains(line, `"_aws"`) }) // metrics
		t.Logf("the last lines of %s (%+v):\n%s", name, f.Stats(), strings.Join(lines[max(0, len(lines)-12):], "\n"))
	}
}

// config returns an SDK configuration that signs as somebody.
func (x *installation) config(who string) aws.Config {
	return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(who, "secret", "")}
}

func (x *installation) kinesisClient(who string) *kinesis.Client {
	return kinesis.NewFromConfig(x.config(who), func(o *kinesis.Options) { o.BaseEndpoint = &x.kinesisURL })
}

func (x *installation) dynamodbClient(who string) *dynamodb.Client {
	return dynamodb.NewFromConfig(x.config(who), func(o *dynamodb.Options) {
		o.BaseEndpoint = &x.dynamodbURL
		o.DisableValidateResponseChecksum = true // DynamoDB Local sends none
	})
}

func (x *installation) sqsClient(who string) *sqs.Client {
	return sqs.NewFromConfig(x.config(who), func(o *sqs.Options) { o.BaseEndpoint = &x.othersURL })
}

// harness signs what the test itself does.
const harness = "harness"

// createStreams makes the streams where their data goes.
func (x *installation) createStreams(t *testing.T) {
	client := x.kinesisClient(harness)
	for _, s := range x.deployment.Streams {
		shards := s.Shards
		if shards == 0 {
			shards = 4 // as many as AWS begins with on demand
		}
		if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &s.Name, ShardCount: aws.Int32(int32(shards))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range x.deployment.Streams {
		if err := kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) {
			o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
		}).Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: &s.Name}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
}

// createTable makes the table where its data goes.
func (x *installation) createTable(t *testing.T) {
	if len(x.deployment.Tables) != 1 {
		t.Fatalf("%d tables are deployed", len(x.deployment.Tables))
	}
	x.table = &x.deployment.Tables[0]
	in := &dynamodb.CreateTableInput{TableName: &x.table.Name, BillingMode: dynamodbtypes.BillingModePayPerRequest, KeySchema: schema(x.table.Key)}
	for name, kind := range x.table.Attributes {
		in.AttributeDefinitions = append(in.AttributeDefinitions, dynamodbtypes.AttributeDefinition{
			AttributeName: &name, AttributeType: dynamodbtypes.ScalarAttributeType(kind),
		})
	}
	for _, i := range x.table.Indexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, dynamodbtypes.GlobalSecondaryIndex{
			IndexName: &i.Name, KeySchema: schema(i.Key), Projection: &dynamodbtypes.Projection{ProjectionType: dynamodbtypes.ProjectionType(i.Projection)},
		})
	}
	if _, err := x.dynamodbClient(harness).CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func schema(k deployed.Key) []dynamodbtypes.KeySchemaElement {
	s := []dynamodbtypes.KeySchemaElement{{AttributeName: &k.Hash, KeyType: dynamodbtypes.KeyTypeHash}}
	if k.Range != "" {
		s = append(s, dynamodbtypes.KeySchemaElement{AttributeName: &k.Range, KeyType: dynamodbtypes.KeyTypeRange})
	}
	return s
}

// startFunctions unpacks what Terraform uploaded, each to run under a name of its own.
func (x *installation) startFunctions(t *testing.T) {
	x.functions = make(map[string]*awslambda.Function)
	for _, d := range x.deployment.Functions {
		f := &awslambda.Function{
			Name: d.Name, ARN: d.ARN, Bootstrap: unpack(t, d.Zip), Handler: d.Handler, MemoryMB: d.MemoryMB, Timeout: d.Timeout, Env: d.Environment,
			Endpoints: map[string]string{
				"AWS_ENDPOINT_URL": x.othersURL, "AWS_ENDPOINT_URL_KINESIS": x.kinesisURL, "AWS_ENDPOINT_URL_DYNAMODB": x.dynamodbURL,
			},
			Credentials: aws.Credentials{AccessKeyID: short(d.Name), SecretAccessKey: "secret", SessionToken: "session"},
			Concurrency: 24,
		}
		if short(d.Name) == "score" {
			f.Line = x.countSwept
		}
		if name := short(d.Name); name == "enrich" || name == "score" {
			f.Interrupt = func([]byte) (time.Duration, bool) {
				x.mu.Lock()
				defer x.mu.Unlock()
				if x.killAfter == nil {
					return 0, false
				}
				return x.killAfter()
			}
		}
		x.functions[short(d.Name)] = f
		t.Cleanup(f.Close)
	}
	for _, name := range names {
		if x.functions[name] == nil {
			t.Fatalf("no function %s is deployed, of %d", name, len(x.functions))
		}
	}
}

// unpack returns the path of the bootstrap in a zip.
func unpack(t *testing.T, path string) string {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	in, err := archive.Open("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "bootstrap")
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close(), in.Close()); err != nil {
		t.Fatal(err)
	}
	return to
}

// startMappings runs the event source mappings as they are deployed.
func (x *installation) startMappings(t *testing.T) {
	x.streams, x.queues = make(map[string]*awslambda.StreamMapping), make(map[string]*awslambda.QueueMapping)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	start := func(what string, run func(context.Context) error) {
		running.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("mapping %s: %v", what, err)
			}
		})
	}
	for _, m := range x.deployment.Mappings {
		name := short(m.Function)
		f := x.functions[name]
		if queue, ok := x.deployment.Queue(m.Source); ok {
			q := &awslambda.QueueMapping{
				Function: f, Client: x.sqsClient(name), Queue: queue.URL, SourceARN: queue.ARN, BatchSize: m.BatchSize, MaximumBatchingWindow: m.Window,
				MaximumConcurrency: m.MaximumConcurrency, ReportBatchItemFailures: m.ReportsItemFailures, VisibilityTimeout: queue.VisibilityTimeout, Scale: scale,
			}
			x.queues[name] = q
			start(m.Address, q.Run)
			continue
		}
		if _, ok := x.deployment.Stream(m.Source); !ok {
			t.Fatalf("%s is of %s, which is neither a queue nor a stream that is deployed", m.Address, m.Source)
		}
		failures, ok := x.deployment.Queue(m.OnFailure)
		if !ok {
			t.Fatalf("%s sends what it gives up to %q, which is no queue", m.Address, m.OnFailure)
		}
		s := &awslambda.StreamMapping{
			Function: f, FunctionARN: f.ARN, Role: f.Name, Client: x.kinesisClient(name), SourceARN: m.Source, BatchSize: m.BatchSize,
			MaximumBatchingWindow: m.Window, ParallelizationFactor: m.Lanes, StartingPosition: m.Start, MaximumRetryAttempts: m.Retries,
			MaximumRecordAge: m.RecordAge, BisectBatchOnFunctionError: m.Bisect, ReportBatchItemFailures: m.ReportsItemFailures,
			OnFailure: awslambda.QueueDestination{Client: x.sqsClient(name), Queue: failures.URL}, Scale: scale,
			Redeliver: func(awslambda.Batch) bool {
				x.mu.Lock()
				defer x.mu.Unlock()
				return rand.Float64() < x.redeliver
			},
		}
		x.streams[name] = s
		start(m.Address, s.Run)
	}
}

// front serves what CloudFront is configured to: both functions' URLs under one name.
func (x *installation) front(t *testing.T) http.Handler {
	t.Helper()
	edge := &awslambda.Edge{}
	for _, r := range x.deployment.Routes {
		f := x.functions[short(r.Function)]
		if f == nil {
			t.Fatalf("the route %q leads to %q, which is no function", r.Pattern, r.Function)
		}
		b := awslambda.Behavior{
			Pattern: r.Pattern, Methods: r.Methods, Headers: r.Headers,
			Origin: &awslambda.URL{Function: f, Domain: r.Domain},
		}
		if r.ViewerRequest != "" {
			b.Viewer = func(req *http.Request) { // what the CloudFront Function of terraform/modules/aws/edge does
				req.Header.Del("X-Forwarded-For")
				req.Header.Set("X-Forwarded-Host", req.Host)
			}
		}
		if r.Pattern == "" {
			edge.Default = b
		} else {
			edge.Behaviors = append(edge.Behaviors, b)
		}
	}
	if edge.Default.Origin == nil || len(edge.Behaviors) == 0 {
		t.Fatalf("the distribution routes nothing: %+v", x.deployment.Routes)
	}
	return edge
}

// countSwept counts what score says it has swept.
func (x *installation) countSwept(line string) {
	var metric struct {
		Swept float64 `json:"fragments_swept"`
	}
	if strings.Contains(line, `"fragments_swept"`) && json.Unmarshal([]byte(line), &metric) == nil {
		x.mu.Lock()
		x.swept += metric.Swept
		x.mu.Unlock()
	}
}

// set changes what goes wrong from now on.
func (x *installation) set(redeliver float64, killAfter func() (time.Duration, bool)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.redeliver, x.killAfter = redeliver, killAfter
}
