package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Function is what a deployed function takes from its environment. The tag
// "functions" names those that take a variable; the others are not given it.
type Function struct {
	Table          string        `env:"HITO_TABLE" functions:"beacon,enrich,score,profile" required:"true" help:"Name of the table of profiles, ledger and quarantine."`
	ProjectsBucket string        `env:"HITO_PROJECTS_BUCKET" functions:"beacon,enrich,score,profile" required:"true" help:"Name of the bucket that has projects/keys.yaml, a file per project beside it, and what was last put in service under lastgood/."`
	RawStream      string        `env:"HITO_RAW_STREAM" functions:"beacon,profile" required:"true" help:"Name or ARN of the stream that the beacon, and an erasure, writes to."`
	EnrichedStream string        `env:"HITO_ENRICHED_STREAM" functions:"enrich" required:"true" help:"Name or ARN of the stream that enriched events go to."`
	ActionsStream  string        `env:"HITO_ACTIONS_STREAM" functions:"score" required:"true" help:"URL of the queue that tells who entered a segment or left it."`
	Secret         string        `env:"HITO_SECRET" functions:"profile" required:"true" help:"Name or ARN of the secret that has the projects' secret keys."`
	Refresh        time.Duration `env:"HITO_REFRESH" default:"10s" functions:"beacon,enrich,score,profile" help:"How old the projects' files in service may be when an invocation begins; then it looks for new ones first."`
	TrustedProxies int           `env:"HITO_TRUSTED_PROXIES" default:"0" functions:"beacon" help:"How many proxies stand before the function, each adding to X-Forwarded-For; 0 believes no header."`
	GeoDB          []string      `env:"HITO_GEO_DB" functions:"enrich" help:"MMDB files for city and network, such as in a layer under /opt; without one, the country is known."`
	Log            string        `env:"HITO_LOG" default:"json" enum:"text,json" functions:"beacon,enrich,score,profile" help:"Form of the log: text or json."`
}

// LoadFunction reads what the named function takes ("beacon"), and no other
// variable. Its error lists everything wrong.
func LoadFunction(name string, lookup func(variable string) (value string, ok bool)) (Function, error) {
	var f Function
	known := false
	err := load(&f, lookup, func(field reflect.StructField) bool {
		takes := slices.Contains(takers(field), name)
		known = known || takes
		return takes
	})
	if !known {
		return Function{}, fmt.Errorf("no function is called %q", name)
	}
	return f, err
}

// takers returns the functions that take the field's variable.
func takers(field reflect.StructField) []string {
	functions := field.Tag.Get("functions")
	if functions == "" {
		return nil
	}
	return strings.Split(functions, ",")
}
