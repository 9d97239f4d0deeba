// Package function is what hito's functions on AWS Lambda have in common: their
// configuration and clients, the projects they serve, and the streams and the
// table they share. A function's main wires its handler to these.
package function

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/hitolayer/hito/infra/aws/cloudwatch"
	"github.com/hitolayer/hito/infra/aws/dynamodb"
	"github.com/hitolayer/hito/infra/aws/environment"
	"github.com/hitolayer/hito/infra/aws/kinesis"
	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/infra/aws/s3"
	"github.com/hitolayer/hito/infra/projects"
	"github.com/hitolayer/hito/shared/config"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// Origin is where events are accepted that these functions accept.
const Origin = "aws"

// Base is what a function is made of.
type Base struct {
	// Function is the function's own variables.
	config.Function
	// AWS is what clients are made with.
	AWS aws.Config
	// Lookup finds a variable.
	Lookup environment.Lookup
	// Projects serves what the bucket has.
	Projects *projects.Projects
	// LastGood is where Projects finds what was last in service. Only one function
	// is to keep it up, which sets ReadOnly to false.
	LastGood *s3.LastGood
	// Telemetry and Log write what CloudWatch takes from a function's output.
	Telemetry *cloudwatch.Sink
	Log       *slog.Logger

	name     string
	dynamodb *awsdynamodb.Client
	kinesis  *awskinesis.Client
}

// Start runs the function of that name: wire makes it, and what it set in
// Base.Projects is in service before the first invocation. Start does not return.
// A function that cannot be made, or that cannot reach the bucket, does not start.
func Start(name string, wire func(b *Base) (lambda.Function, error)) {
	lambda.Start(func(ctx context.Context) (lambda.Function, error) {
		tuneMemory(os.LookupEnv)
		b, err := open(name, os.LookupEnv)
		if err != nil {
			return nil, err
		}
		slog.SetDefault(b.Log)
		f, err := wire(b)
		if err != nil {
			return nil, err
		}
		if b.ProjectsBucket == "" { // of no project
			return f, nil
		}
		return f, b.Projects.Serve(ctx)
	})
}

// open reads the environment and makes the clients. It calls nothing.
func open(name string, lookup environment.Lookup) (*Base, error) {
	c, err := config.LoadFunction(Origin, name, lookup)
	cfg, failed := environment.Config(lookup)
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	deployed, _ := lookup("AWS_LAMBDA_FUNCTION_NAME") // set by Lambda
	b := &Base{
		Function: c, AWS: cfg, Lookup: lookup, Telemetry: &cloudwatch.Sink{Function: deployed}, Log: logger(c.Log),
		name: name, dynamodb: dynamodb.NewClient(cfg), kinesis: awskinesis.NewFromConfig(cfg),
	}
	client := s3.NewClient(cfg)
	b.Projects = projects.In(b.ProjectsBucket, func(key string) project.Source {
		return s3.Object{Client: client, Bucket: b.ProjectsBucket, Key: key}
	})
	b.LastGood = &s3.LastGood{Client: client, Bucket: b.ProjectsBucket, Prefix: "lastgood/", ReadOnly: true}
	b.Projects.LastGood, b.Projects.Interval, b.Projects.Log = b.LastGood, b.Refresh, b.Log
	return b, nil
}

func logger(form string) *slog.Logger {
	if form == "text" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return cloudwatch.Logger(os.Stderr, slog.LevelInfo)
}

// tuneMemory has the garbage collector use the memory that is paid for anyway,
// and work harder near all of it, which it cannot see by itself: beyond, Lambda
// kills the sandbox. It saves a fifth of the start of a function that compiles
// rules. What GOGC and GOMEMLIMIT say stands.
func tuneMemory(lookup environment.Lookup) {
	if _, set := lookup("GOMEMLIMIT"); set {
		return
	}
	text, _ := lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") // MB
	mb, err := strconv.Atoi(text)
	if err != nil || mb <= 0 {
		return
	}
	debug.SetMemoryLimit(int64(mb) << 20 * 9 / 10) // the rest is for what Go does not count: the binary, the system
	if _, set := lookup("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}

// gcPercent is how much may be garbage for each 100 bytes that live.
const gcPercent = 400

// Raw is the raw stream. Its consumer keeps no state by visitor, so that what is
// accepted together travels together.
func (b *Base) Raw() stream.Publisher {
	return &kinesis.Publisher{Client: b.kinesis, Stream: b.RawStream, Together: true, Patience: 3 * time.Second} // a client waits
}

// Enriched is the enriched stream; nil for a function that is given none.
func (b *Base) Enriched() stream.Publisher {
	if b.EnrichedStream == "" {
		return nil
	}
	return &kinesis.Publisher{Client: b.kinesis, Stream: b.EnrichedStream}
}

// Store is the table's fragments, for who may write them or only read.
func (b *Base) Store(readOnly bool) *dynamodb.Store {
	return &dynamodb.Store{Client: b.dynamodb, Table: b.Table, ReadOnly: readOnly}
}

// Ledger is the table's ledger.
func (b *Base) Ledger() *dynamodb.Ledger {
	return &dynamodb.Ledger{Client: b.dynamodb, Table: b.Table}
}

// Quarantine is the table's quarantine.
func (b *Base) Quarantine() *dynamodb.Quarantine {
	return &dynamodb.Quarantine{Client: b.dynamodb, Table: b.Table}
}

// Stream puts a handler behind a Kinesis event source mapping and its redrive
// queue, under the function's name.
func (b *Base) Stream(handler stream.Handler) lambda.Function {
	return &lambda.Stream{
		Handler: handler, Group: b.name, Stage: quarantine.Stage(b.name), Quarantine: b.Quarantine(), Ledger: b.Ledger(),
		Records: &kinesis.Reader{Client: b.kinesis}, Before: b.Projects.Fresh, Telemetry: b.Telemetry, Log: b.Log,
	}
}

// Tail puts a handler behind a Kinesis event source mapping that holds its place
// however long the handler fails. It books nothing; what cannot be opened goes to unread.
func (b *Base) Tail(handler stream.Handler, unread quarantine.Sink) *lambda.Stream {
	return &lambda.Stream{Handler: handler, Group: b.name, Stage: quarantine.Stage(b.name), Quarantine: unread, Telemetry: b.Telemetry, Log: b.Log}
}
