// Package deployed reads what Terraform has deployed, or plans to, on Google Cloud,
// so that tests run what is configured and not a copy of it.
package deployed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Deployment is what a Terraform state or plan holds, as far as emulators need
// it. Lists are in its order. What is not configured has Google's default; what a
// plan does not know yet is empty.
type Deployment struct {
	Functions     []Function
	Topics        []Topic
	Subscriptions []Subscription
	Tables        []Table
	Profiles      []Profile
	Buckets       []Bucket
	Secrets       []Secret
	Jobs          []Job
	URLMaps       []URLMap
}

// A Function is a google_cloud_run_v2_service with who may invoke it.
type Function struct {
	Address           string // in Terraform
	Name              string
	Project, Location string
	URL               string // that Google gave out, without a slash at the end; "" in a plan
	Image             string
	Source            string // where its source is, for one that Google builds; "" for one that is an image
	Target            string // FUNCTION_TARGET
	Account           string // the service account's address
	Audiences         []string
	Ingress           string
	Invokers          []string // principals with roles/run.invoker; "allUsers" too where Cloud Run does not check
	Timeout           time.Duration
	Concurrency       int // requests per instance
	MinInstances      int
	MaxInstances      int
	CPU, Memory       string // limits, such as "1" and "512Mi"
	Environment       map[string]string
	Secrets           map[string]string // variables whose value is a secret's: projects/…/secrets/…/versions/…
	Unknown           []string          // variables whose value a plan does not know, sorted
	Traffic           []Traffic         // none: all to the latest revision
}

// Traffic is a share of a function's requests.
type Traffic struct {
	Revision string // "": the latest
	Percent  int
	Tag      string
}

// A Topic is a google_pubsub_topic.
type Topic struct {
	Address   string
	Name      string // projects/…/topics/…
	Retention time.Duration
}

// A Subscription is a google_pubsub_subscription.
type Subscription struct {
	Address                string
	Name                   string // projects/…/subscriptions/…
	Topic                  string // projects/…/topics/…
	AckDeadline            time.Duration
	Retention              time.Duration
	Expires                bool // when nobody uses it
	Filter                 string
	Ordered                bool
	MinBackoff, MaxBackoff time.Duration // 0: it comes again at once
	DeadLetter             *DeadLetter
	Push                   *Push     // nil: it does not push
	BigQuery               *BigQuery // nil: it does not write there
}

// A DeadLetter is where messages go that nobody acknowledged.
type DeadLetter struct {
	Topic    string // projects/…/topics/…; "" if a plan does not know it
	Attempts int
}

// A Push says how messages are pushed.
type Push struct {
	Endpoint                 string // "" if a plan does not know it
	Function                 string // name of the function that serves it; "": none of the state's
	Account, Audience        string // of the token; "" sends none
	NoWrapper, WriteMetadata bool
}

// A BigQuery says how messages become rows.
type BigQuery struct {
	Table                                         string
	UseTableSchema, DropUnknownFields, WithHeader bool
}

// A Table is a google_bigtable_table with what may be removed of it.
type Table struct {
	Address                 string
	Project, Instance, Name string
	Families                map[string]Family
}

// A Family is a column family with its google_bigtable_gc_policy.
type Family struct {
	Type         string        // "": bytes
	Versions     int           // how many are kept at most; 0: all
	Age          time.Duration // how long they are kept at most; 0: for ever
	Intersection bool          // only what is beyond both is removed
}

// A Profile is a google_bigtable_app_profile.
type Profile struct {
	Address                    string
	Project, Instance, Name    string
	Cluster                    string // all requests go there; "": to any
	TransactionalWritesAllowed bool
}

// A Bucket is a google_storage_bucket with the objects that Terraform writes.
type Bucket struct {
	Address, Name string
	Objects       []Object
}

// An Object is a google_storage_bucket_object.
type Object struct {
	Address, Name string
	Content       string
	Source        string // path of the file, as Terraform was given it, in place of Content
	ContentType   string
}

// A Secret is a google_secret_manager_secret.
type Secret struct {
	Address string
	Name    string // projects/…/secrets/…
	Data    string // of its version; "" where Terraform does not tell
}

// A Job is a google_cloud_scheduler_job with an HTTP target.
type Job struct {
	Address, Name     string
	Schedule          string
	URI, Method       string
	Function          string // name of the function that serves it; "": none of the state's
	Headers           map[string]string
	Body              []byte
	Account, Audience string // of the token; "" sends none
	Deadline          time.Duration
	Paused            bool
}

// A URLMap is a google_compute_url_map. Its functions are names, "" where a plan
// does not know them.
type URLMap struct {
	Address, Name string
	Default       string // function
	Matchers      []Matcher
}

// A Matcher is what a URL map does with the requests for some hosts.
type Matcher struct {
	Hosts   []string
	Default string
	Rules   []Rule
}

// A Rule says which paths a function serves.
type Rule struct {
	Paths    []string
	Function string
}

// Function returns the function of a name.
func (d *Deployment) Function(name string) (*Function, bool) {
	for i := range d.Functions {
		if d.Functions[i].Name == name {
			return &d.Functions[i], true
		}
	}
	return nil, false
}

// Serving returns the function that serves a URL: its own one, or the one that
// Cloud Run makes of its name, the project's number and the region
// (cloud.google.com/run/docs/triggering/https-request#deterministic).
func (d *Deployment) Serving(address string) (*Function, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, false
	}
	for i := range d.Functions {
		f := &d.Functions[i]
		if f.URL != "" && strings.TrimPrefix(f.URL, "https://") == u.Host {
			return f, true
		}
		if number, ok := strings.CutPrefix(u.Host, f.Name+"-"); ok {
			number, ok = strings.CutSuffix(number, "."+f.Location+".run.app")
			if ok && number != "" && strings.Trim(number, "0123456789") == "" {
				return f, true
			}
		}
	}
	return nil, false
}

// Subscription returns the subscription of a name: projects/…/subscriptions/…, or
// what stands last in it.
func (d *Deployment) Subscription(name string) (*Subscription, bool) {
	i := slices.IndexFunc(d.Subscriptions, func(s Subscription) bool { return s.Name == name || last(s.Name) == name })
	if i < 0 {
		return nil, false
	}
	return &d.Subscriptions[i], true
}

// last is the last part of a resource's name.
func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

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
	Index   any             `json:"index"`
	Values  json.RawMessage `json:"values"`
	module  string
}

// Read reads what terraform show -json prints. Of a plan, that is what will be,
// without what only Google gives out. There, what refers to such a thing is taken
// to belong to the one that its module has of the kind.
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
	if err := b.link(); err != nil {
		return nil, err
	}
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
