package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Function is what a deployed function takes from its environment. The tag
// "functions" names those that take a variable, "required" those of them that need
// it ("true" for all), and "cloud" where, unless on both; the others are not given it.
type Function struct {
	Table          string        `env:"HITO_TABLE" functions:"beacon,enrich,score,profile" required:"true" help:"Name of the table of profiles, ledger and quarantine: a DynamoDB table, projects/P/instances/I/tables/T of Bigtable, or projects/P/databases/D of Firestore."`
	ProjectsBucket string        `env:"HITO_PROJECTS_BUCKET" functions:"beacon,enrich,score,profile" required:"true" help:"Name of the bucket that has projects/keys.yaml, a file per project beside it, and what was last put in service under lastgood/."`
	RawStream      string        `env:"HITO_RAW_STREAM" functions:"beacon,profile" required:"true" help:"Stream that the beacon, and an erasure, writes to: name or ARN, or projects/P/topics/T."`
	EnrichedStream string        `env:"HITO_ENRICHED_STREAM" functions:"enrich,score" required:"enrich" help:"Stream of enriched events: enrich writes to it; score too, when there is another cloud to be told who entered or left a segment. Name or ARN, or projects/P/topics/T."`
	ActionsStream  string        `env:"HITO_ACTIONS_STREAM" functions:"score" required:"true" help:"What is told who entered a segment or left it: URL of a queue, or projects/P/topics/T."`
	Secret         string        `env:"HITO_SECRET" functions:"profile" required:"true" help:"Secret that has the projects' secret keys: name or ARN, or projects/P/secrets/S."`
	Refresh        time.Duration `env:"HITO_REFRESH" default:"10s" functions:"beacon,enrich,score,profile" help:"How old the projects' files in service may be when an invocation begins; then it looks for new ones first."`
	TrustedProxies int           `env:"HITO_TRUSTED_PROXIES" default:"0" functions:"beacon" help:"How many proxies stand before the function, each adding to X-Forwarded-For; 0 believes no header."`
	GeoDB          []string      `env:"HITO_GEO_DB" functions:"enrich" help:"MMDB files for city and network, such as in a layer under /opt; without one, the country is known."`
	Log            string        `env:"HITO_LOG" default:"json" enum:"text,json" functions:"beacon,enrich,score,profile,relay" help:"Form of the log: text or json."`
	PeerStream     string        `env:"HITO_PEER_STREAM" functions:"beacon,relay" required:"relay" help:"The other cloud's stream: its raw one for beacon, which publishes there what the own one refuses or is slow to take; its enriched one for relay. Empty means that beacon has no other cloud."`
	PeerIdentity   string        `env:"HITO_PEER_IDENTITY" functions:"beacon,relay" help:"Who publishes on HITO_PEER_STREAM: on AWS //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/X#E, with the email E of a service account; on Google Cloud the ARN of a role."`
	RelayLimit     int           `env:"HITO_RELAY_LIMIT" default:"0" functions:"relay" help:"How many events one instance ships per second at most, so that what an outage has held up leaves the other cloud room for live traffic; 0 is no bound."`

	AppProfile    string        `env:"HITO_APP_PROFILE" cloud:"gcp" functions:"beacon,enrich,score,profile" help:"Bigtable app profile, which must route to a single cluster; empty means the instance's default."`
	PushAudience  string        `env:"HITO_PUSH_AUDIENCE" cloud:"gcp" functions:"enrich,score,relay" required:"true" help:"Audience that pushed messages and schedules carry in their token."`
	PushAccount   string        `env:"HITO_PUSH_ACCOUNT" cloud:"gcp" functions:"enrich,score,relay" required:"true" help:"Service account, by its email, that pushed messages and schedules come from."`
	PushChecked   bool          `env:"HITO_PUSH_CHECKED" cloud:"gcp" default:"false" functions:"enrich,score,relay" help:"Whether Cloud Run checks who calls before the function does: it then takes the signature off tokens, of which the function checks the rest."`
	Timeout       time.Duration `env:"HITO_TIMEOUT" cloud:"gcp" default:"60s" functions:"beacon,enrich,score,profile,relay" help:"How long a request may take: what the service is configured to end it after, or less."`
	Subscription  string        `env:"HITO_SUBSCRIPTION" cloud:"gcp" functions:"enrich,score,relay" help:"projects/P/subscriptions/S to pull from, as a worker; empty means that messages are pushed."`
	ArchiveStream string        `env:"HITO_ARCHIVE_STREAM" cloud:"gcp" functions:"enrich" help:"projects/P/topics/T that a row for every enriched event goes to, for BigQuery; empty means none."`
	PeerRegion    string        `env:"HITO_PEER_REGION" cloud:"gcp" functions:"beacon,relay" help:"AWS region of HITO_PEER_STREAM."`
}

// LoadFunction reads what the named function ("beacon") takes on a cloud ("aws",
// "gcp"), and no other variable. Its error lists everything wrong.
func LoadFunction(cloud, name string, lookup func(variable string) (value string, ok bool)) (Function, error) {
	var f Function
	known := false
	err := load(&f, lookup, func(field reflect.StructField) (wanted, required bool) {
		takes := slices.Contains(takers(field), name)
		known = known || takes
		where := field.Tag.Get("cloud")
		return takes && (where == "" || where == cloud), slices.Contains(needers(field), name)
	})
	if !known {
		return Function{}, fmt.Errorf("no function is called %q", name)
	}
	return f, errors.Join(err, f.checkPeer(cloud))
}

// checkPeer checks that what it takes to publish on the other cloud's stream is there.
func (f *Function) checkPeer(cloud string) (err error) {
	if f.PeerStream != "" && f.PeerIdentity == "" {
		err = errors.New("HITO_PEER_STREAM is set, and HITO_PEER_IDENTITY is not")
	}
	if f.PeerStream != "" && f.PeerRegion == "" && cloud == "gcp" {
		err = errors.Join(err, errors.New("HITO_PEER_STREAM is set, and HITO_PEER_REGION is not"))
	}
	return err
}

// takers returns the functions that take the field's variable.
func takers(field reflect.StructField) []string { return named(field.Tag.Get("functions")) }

// needers returns those that do nothing without it.
func needers(field reflect.StructField) []string {
	if by := field.Tag.Get("required"); by != "true" {
		return named(by)
	}
	return takers(field)
}

func named(functions string) []string {
	if functions == "" {
		return nil
	}
	return strings.Split(functions, ",")
}
