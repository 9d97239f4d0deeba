package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// SDKs lets four SDKs, unchanged, send, and looks at the profiles, which it
// returns without times. Their scripts are the beacon's; each sends one of each
// call. The target may have accepted events before.
func SDKs(t *testing.T, x Target) Profiles {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program+" is missing, so that the SDKs are NOT tested: install Node.js 20 or later with npm")
		}
	}
	scripts := t.TempDir()
	if err := os.CopyFS(scripts, os.DirFS(filepath.Join(root(t), "functions", "beacon", "testdata", "sdks"))); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--prefer-offline")
	install.Dir = scripts
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	before, err := x.Settle(0)
	if err != nil {
		t.Fatal(err)
	}
	accepted, all := int(before.Accepted), Profiles{}
	sdks, err := filepath.Glob(filepath.Join(scripts, "*-*.mjs"))
	if err != nil || len(sdks) != 4 {
		t.Fatalf("the scripts of four SDKs, found %v, %v", sdks, err)
	}
	for _, script := range sdks {
		sdk := filepath.Base(script[:len(script)-len(".mjs")])
		t.Run(sdk, func(t *testing.T) {
			run := exec.CommandContext(t.Context(), "node", script)
			run.Dir = scripts
			run.Env = append(x.environment(), "HITO_ENDPOINT="+x.URL, "HITO_WRITE_KEY="+x.WriteKey)
			run.WaitDelay = 10 * time.Second
			if out, err := run.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			accepted += 5
			if _, err := x.Settle(accepted); err != nil {
				t.Fatal(err)
			}
			var p struct {
				UserID    string   `json:"user_id"`
				Anonymous []string `json:"anonymous_ids"`
				Traits    map[string]json.RawMessage
				Events    struct {
					Total  int
					ByName map[string]int `json:"by_name"`
				}
				Metrics  map[string]any
				Segments []string
			}
			if err := x.Get("/v1/profiles/user_id:"+sdk+"-user", &p); err != nil {
				t.Fatal(err)
			}
			if p.Events.Total != 5 || p.Events.ByName["Order Completed"] != 1 || p.Events.ByName["page"] != 1 {
				t.Errorf("events %+v", p.Events)
			}
			if slices.Sort(p.Anonymous); p.UserID != sdk+"-user" || !slices.Equal(p.Anonymous, []string{sdk + "-anon", sdk + "-before"}) {
				t.Errorf("%s was known as %v", p.UserID, p.Anonymous)
			}
			if string(p.Traits["email"]) != `"`+sdk+`@example.com"` || string(p.Traits["plan"]) != `"pro"` {
				t.Errorf("traits %s", p.Traits)
			}
			if p.Metrics["revenue"] != 39.9 || !slices.Contains(p.Segments, "customer") {
				t.Errorf("metrics %v, segments %v", p.Metrics, p.Segments)
			}
			// Who asks by an id from before the login gets the same person.
			var before struct {
				UserID string `json:"user_id"`
			}
			if err := x.Get("/v1/profiles/anonymous_id:"+sdk+"-anon", &before); err != nil || before.UserID != sdk+"-user" {
				t.Errorf("%s-anon is %q, %v", sdk, before.UserID, err)
			}
			maps.Copy(all, x.Profiles(t, true, "user_id:"+sdk+"-user"))
		})
	}
	return all
}
