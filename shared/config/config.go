// Package config declares every HITO_* environment variable once: its name, its
// default and what it does. The operator's binary reads the same struct tags to
// build its flags, and the documentation is tested against them.
package config

import (
	"reflect"
	"time"
)

// Server is what `hito run` takes from its environment.
type Server struct {
	Addr           string        `env:"HITO_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to serve HTTP on."`
	Data           string        `env:"HITO_DATA" default:".hito" placeholder:"DIR" help:"Directory that keeps everything: streams, profiles, quarantine."`
	Projects       string        `env:"HITO_PROJECTS" placeholder:"DIR" help:"Directory of keys.yaml and one YAML file per project; empty means projects under the data directory."`
	Memory         Bytes         `env:"HITO_MEMORY" default:"768MiB" placeholder:"SIZE" help:"Memory to stay under, at least 256MiB: caches are sized by it, and the garbage collector works harder near it."`
	Retention      time.Duration `env:"HITO_RETENTION" default:"24h" placeholder:"DURATION" help:"How long records stay on a stream after they were consumed."`
	DiskLimit      Bytes         `env:"HITO_DISK_LIMIT" default:"4GiB" placeholder:"SIZE" help:"How much consumed records may take on disk before the oldest go, whatever their age."`
	GeoDB          []string      `name:"geo-db" env:"HITO_GEO_DB" placeholder:"FILE,…" help:"MMDB files for city and network; without one, the country is known."`
	TrustedProxies int           `env:"HITO_TRUSTED_PROXIES" default:"0" placeholder:"N" help:"How many proxies stand before hito, each adding to X-Forwarded-For; 0 believes no header."`
	Hosts          []string      `env:"HITO_HOSTS" placeholder:"NAME,…" help:"Names that hito is reached by, such as behind a proxy; requests for others are refused. Bound to loopback, only its names are taken by default; else all."`
	Pprof          bool          `env:"HITO_PPROF" help:"Serve /debug/pprof."`
	Log            string        `env:"HITO_LOG" default:"text" enum:"text,json" help:"Form of the log on standard error: text or json."`
}

// Client is what the commands that talk to a running hito take from their environment.
type Client struct {
	URL      string `name:"url" env:"HITO_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where hito is."`
	WriteKey string `env:"HITO_WRITE_KEY" default:"demo" placeholder:"KEY" help:"Project's write key, to send with."`
	Secret   `embed:""`
}

// Secret is the key that commands read with.
type Secret struct {
	SecretKey string `env:"HITO_SECRET_KEY" default:"demo-secret" placeholder:"KEY" help:"Project's secret key, to read with."`
}

// Other is the key to read with on the other one of two clouds.
type Other struct {
	OtherSecretKey string `env:"HITO_OTHER_SECRET_KEY" placeholder:"KEY" help:"Project's secret key on the second cloud, to compare; empty means the same."`
}

// Variable is one environment variable.
type Variable struct {
	Name, Default, Help string
	// Required tells that there is no default, and nothing works without it.
	Required bool
	// RequiredBy are the deployed functions that do not work without it.
	RequiredBy []string
	// Functions are the deployed functions that take it; nil for the operator's binary's.
	Functions []string
	// Cloud is where they take it, "aws" or "gcp"; empty for both.
	Cloud string
}

// Variables returns the operator's binary's, in the order declared.
func Variables() []Variable {
	all := variables(reflect.TypeFor[Server]())
	all = append(all, variables(reflect.TypeFor[Client]())...)
	return append(all, variables(reflect.TypeFor[Other]())...)
}

// FunctionVariables returns the deployed functions', in the order declared.
func FunctionVariables() []Variable { return variables(reflect.TypeFor[Function]()) }

func variables(t reflect.Type) []Variable {
	var vars []Variable
	for f := range t.Fields() {
		if f.Anonymous {
			vars = append(vars, variables(f.Type)...)
			continue
		}
		vars = append(vars, Variable{
			Name: f.Tag.Get("env"), Default: f.Tag.Get("default"), Help: f.Tag.Get("help"),
			Required: f.Tag.Get("required") == "true", RequiredBy: needers(f), Functions: takers(f), Cloud: f.Tag.Get("cloud"),
		})
	}
	return vars
}
