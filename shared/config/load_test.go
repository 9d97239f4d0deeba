package config

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

type every struct {
	Text     string        `env:"TEXT" default:"some" help:"A text."`
	Number   int           `env:"NUMBER" default:"7" help:"A number."`
	Flag     bool          `env:"FLAG" help:"A flag."`
	Rest     time.Duration `env:"REST" default:"1m" help:"A rest."`
	Size     Bytes         `env:"SIZE" default:"1KiB" help:"A size."`
	List     []string      `env:"LIST" help:"A list."`
	Choice   string        `env:"CHOICE" default:"a" enum:"a,b" help:"A choice."`
	Must     string        `env:"MUST" required:"true" help:"What it cannot do without."`
	Untagged string
}

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		vars map[string]string
		want every
	}{
		"defaults": {
			map[string]string{"MUST": "x"},
			every{Text: "some", Number: 7, Rest: time.Minute, Size: 1024, Choice: "a", Must: "x"},
		},
		"set to nothing is not set": {
			map[string]string{"MUST": "x", "TEXT": "", "NUMBER": "", "FLAG": "", "LIST": ""},
			every{Text: "some", Number: 7, Rest: time.Minute, Size: 1024, Choice: "a", Must: "x"},
		},
		"everything": {
			map[string]string{
				"TEXT": "other", "NUMBER": "-3", "FLAG": "true", "REST": "2h", "SIZE": "2MB", "LIST": "a, b,,c ", "CHOICE": "b", "MUST": "y", "Untagged": "no",
			},
			every{Text: "other", Number: -3, Flag: true, Rest: 2 * time.Hour, Size: 2e6, List: []string{"a", "b", "c"}, Choice: "b", Must: "y"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got every
			if err := Load(&got, environment(c.vars)); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// TestLoadTellsEverything: whoever deploys a function sees all that is wrong at once.
func TestLoadTellsEverything(t *testing.T) {
	var got every
	err := Load(&got, environment(map[string]string{"NUMBER": "many", "FLAG": "perhaps", "REST": "5", "SIZE": "big", "CHOICE": "c"}))
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{
		`NUMBER: "many" is not a whole number: A number.`,
		`FLAG: "perhaps" is neither true nor false: A flag.`,
		`REST: "5" is not a duration such as 10s or 5m: A rest.`,
		`SIZE: "big" is not a size`,
		`CHOICE: "c" is none of a, b: A choice.`,
		`MUST is not set: What it cannot do without.`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %q in\n%v", want, err)
		}
	}
}

// TestLoadFunction: a function needs its own variables, and sees no other.
func TestLoadFunction(t *testing.T) {
	all := map[string]string{}
	for _, v := range FunctionVariables() {
		all[v.Name] = v.Default
		if v.Default == "" {
			all[v.Name] = "value of " + v.Name
		}
	}
	for _, cloud := range []string{"aws", "gcp"} {
		for _, name := range []string{"beacon", "enrich", "score", "profile", "relay"} {
			vars := map[string]string{}
			for _, v := range FunctionVariables() {
				if slices.Contains(v.RequiredBy, name) && (v.Cloud == "" || v.Cloud == cloud) {
					vars[v.Name] = "x"
				}
			}
			if name == "relay" { // of what goes with its stream see below
				vars["HITO_PEER_IDENTITY"], vars["HITO_PEER_REGION"] = "x", "x"
			}
			if f, err := LoadFunction(cloud, name, environment(vars)); err != nil || (f.Refresh == 10*time.Second) != (name != "relay") || f.Log != "json" {
				t.Errorf("%s with what it requires: %+v, %v", name, f, err)
			}
			for missing := range vars {
				less := map[string]string{}
				if cloud == "aws" && missing == "HITO_PEER_REGION" {
					continue
				}
				for k, v := range vars {
					if k != missing {
						less[k] = v
					}
				}
				if _, err := LoadFunction(cloud, name, environment(less)); err == nil || !strings.Contains(err.Error(), missing+" is not") {
					t.Errorf("%s without %s: %v", name, missing, err)
				}
			}
			f, err := LoadFunction(cloud, name, environment(all))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if (f.Secret != "") != (name == "profile") || (f.ActionsStream != "") != (name == "score") || (f.GeoDB != nil) != (name == "enrich") ||
				(f.EnrichedStream != "") != (name == "enrich" || name == "score") || (f.Table == "") != (name == "relay") ||
				(f.PeerStream != "") != (name == "beacon" || name == "relay") || (f.PeerRegion != "") != (cloud == "gcp" && (name == "beacon" || name == "relay")) ||
				(f.PushAccount != "") != (cloud == "gcp" && (name == "enrich" || name == "score" || name == "relay")) {
				t.Errorf("%s takes what is not its own: %+v", name, f)
			}
		}
	}
	if _, err := LoadFunction("aws", "act", os.LookupEnv); err == nil {
		t.Error("there is a function act")
	}
}

// TestLoadFunctionWithAPeer: another cloud's stream alone is of no use.
func TestLoadFunctionWithAPeer(t *testing.T) {
	for vars, missing := range map[string]map[string][]string{
		"":                       {"aws": nil, "gcp": nil},
		"STREAM":                 {"aws": {"IDENTITY"}, "gcp": {"IDENTITY", "REGION"}},
		"STREAM IDENTITY":        {"aws": nil, "gcp": {"REGION"}},
		"STREAM IDENTITY REGION": {"aws": nil, "gcp": nil},
		"IDENTITY REGION":        {"aws": nil, "gcp": nil},
	} {
		for cloud, missing := range missing {
			env := map[string]string{"HITO_TABLE": "t", "HITO_PROJECTS_BUCKET": "b", "HITO_RAW_STREAM": "r"}
			for word := range strings.FieldsSeq(vars) {
				env["HITO_PEER_"+word] = "x"
			}
			_, err := LoadFunction(cloud, "beacon", environment(env))
			if (err != nil) != (len(missing) > 0) {
				t.Errorf("%q on %s: %v", vars, cloud, err)
			}
			for _, word := range missing {
				if !strings.Contains(err.Error(), "HITO_PEER_"+word+" is not") {
					t.Errorf("%q on %s: %v, want it to miss %s", vars, cloud, err, word)
				}
			}
		}
	}
}
