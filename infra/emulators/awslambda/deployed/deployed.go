// Package deployed reads what Terraform has deployed, or plans to, on AWS, so
// that tests run what is configured and not a copy of it.
package deployed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Deployment is what a Terraform state holds, as far as emulators need it.
// Lists are in the state's order.
type Deployment struct {
	Functions []Function
	Mappings  []Mapping
	Streams   []Stream
	Tables    []Table
	Queues    []Queue
	Routes    []Route // of the CloudFront distribution, in order; the last one has no pattern
	Roles     []Role
}

// A Function is an aws_lambda_function.
type Function struct {
	Address      string // in Terraform
	Name, ARN    string
	Zip          string // path of the package, as Terraform was given it; "" if it is in S3
	Bucket, Key  string // of the package in S3
	Runtime      string
	Handler      string
	Architecture string // arm64 or x86_64
	MemoryMB     int
	Timeout      time.Duration
	Environment  map[string]string
	Role         string // name
	Concurrency  int    // reserved; -1: what the account has left
	URL          string // of its function URL, without a slash at the end; "": none
}

// A Mapping is an aws_lambda_event_source_mapping.
type Mapping struct {
	Address               string
	Function              string // name
	Source                string // ARN of a stream, a stream's consumer, or a queue
	Enabled               bool
	BatchSize             int
	Window                time.Duration
	Lanes                 int    // parallelization_factor
	Start                 string // starting_position
	Retries               *int   // nil: for ever
	RecordAge             time.Duration
	Bisect                bool
	ReportsItemFailures   bool
	OnFailure             string // ARN; "": none
	MaximumConcurrency    int    // of a queue's; 0: not limited
	FilterPatterns        []string
	TumblingWindowSeconds int
}

// A Stream is an aws_kinesis_stream.
type Stream struct {
	Address, Name, ARN string
	Shards             int // 0: on demand
	Retention          time.Duration
}

// A Table is an aws_dynamodb_table.
type Table struct {
	Address, Name, ARN string
	Key                Key
	Attributes         map[string]string // name to type: S, N or B
	Indexes            []Index           // global ones
	TTL                string            // the attribute; "": none
}

// A Key is a hash key, and a range key if there is one.
type Key struct{ Hash, Range string }

// An Index is a global secondary index.
type Index struct {
	Name       string
	Key        Key
	Projection string // ALL, KEYS_ONLY or INCLUDE
	Include    []string
}

// A Queue is an aws_sqs_queue.
type Queue struct {
	Address, Name, ARN, URL string
	VisibilityTimeout       time.Duration
	Retention               time.Duration
	DeadLetter              string // ARN; "": none
	MaxReceives             int    // before a message goes there
}

// A Route is a behavior of a CloudFront distribution.
type Route struct {
	Pattern       string // "": everything else
	Methods       []string
	Domain        string            // of the origin
	Function      string            // name of the function whose URL the origin is; "": none of the state's
	Headers       map[string]string // the origin's custom ones
	OriginRequest string            // id of the origin request policy
	ViewerRequest string            // ARN of the CloudFront Function that sees requests first; "": none
}

// A Role is an aws_iam_role with what is attached to it.
type Role struct {
	Address, Name, ARN string
	Trust              string   // JSON
	Policies           []Policy // inline ones and attached ones
	Unread             []string // ARNs of attached policies that are not in the state, such as AWS' own
}

// A Policy is a policy's JSON.
type Policy struct{ Name, JSON string }

// Function returns the function of a name, or of its ARN, with a qualifier or
// without.
func (d *Deployment) Function(nameOrARN string) (*Function, bool) {
	name := functionName(nameOrARN)
	for i := range d.Functions {
		if d.Functions[i].Name == name {
			return &d.Functions[i], true
		}
	}
	return nil, false
}

// Queue returns the queue of an ARN.
func (d *Deployment) Queue(arn string) (*Queue, bool) {
	for i := range d.Queues {
		if d.Queues[i].ARN == arn {
			return &d.Queues[i], true
		}
	}
	return nil, false
}

// Stream returns the stream of an ARN, or that of a consumer's.
func (d *Deployment) Stream(arn string) (*Stream, bool) {
	arn, _, _ = strings.Cut(arn, "/consumer/")
	for i := range d.Streams {
		if d.Streams[i].ARN == arn {
			return &d.Streams[i], true
		}
	}
	return nil, false
}

// Role returns the role of a name.
func (d *Deployment) Role(name string) (*Role, bool) {
	for i := range d.Roles {
		if d.Roles[i].Name == name {
			return &d.Roles[i], true
		}
	}
	return nil, false
}

// roleName is a role's in its ARN: arn:aws:iam::account:role/path/name.
func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// functionName is a function's, in its ARN too: arn:…:function:name:qualifier.
func functionName(nameOrARN string) string {
	if _, after, ok := strings.Cut(nameOrARN, ":function:"); ok {
		nameOrARN = after
	}
	name, _, _ := strings.Cut(nameOrARN, ":")
	return name
}

// state is what terraform show -json prints, of a state or of a plan
// (developer.hashicorp.com/terraform/internals/json-format).
type state struct {
	FormatVersion string  `json:"format_version"`
	Values        *values `json:"values"`
	Planned       *values `json:"planned_values"`
}

type values struct {
	Root module `json:"root_module"`
}

type module struct {
	Address   string     `json:"address"`
	Resources []resource `json:"resources"`
	Children  []module   `json:"child_modules"`
}

type resource struct {
	Address string          `json:"address"`
	Mode    string          `json:"mode"`
	Type    string          `json:"type"`
	Values  json.RawMessage `json:"values"`
	module  string
}

// Read reads what terraform show -json prints. Of a plan, that is what will be,
// without what only AWS gives out, such as function URLs. There a mapping and a
// URL belong to the one function of their own module, and a policy and a
// function to the one role of it.
func Read(r io.Reader) (*Deployment, error) {
	var s state
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return nil, fmt.Errorf("read terraform show -json: %w", err)
	}
	if major, _, _ := strings.Cut(s.FormatVersion, "."); major != "1" {
		return nil, fmt.Errorf("read terraform show -json: format version %q is not 1", s.FormatVersion)
	}
	root := s.Values
	if root == nil {
		root = s.Planned
	}
	if root == nil {
		return nil, errors.New("read terraform show -json: there are no values: nothing is applied or planned")
	}
	b := builder{deployment: &Deployment{}}
	for _, res := range collect(&root.Root, nil) {
		if err := b.add(&res); err != nil {
			return nil, fmt.Errorf("read %s: %w", res.Address, err)
		}
	}
	b.link()
	return b.deployment, nil
}

// collect returns all managed resources of a module and of those in it.
func collect(m *module, into []resource) []resource {
	for _, r := range m.Resources {
		if r.Mode == "managed" {
			r.module = m.Address
			into = append(into, r)
		}
	}
	for i := range m.Children {
		into = collect(&m.Children[i], into)
	}
	return into
}
