package main

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/infra/emulators/gcpfunctions"
	"github.com/hitolayer/hito/infra/pack/gcp"
)

// TestStart starts every packaged function as Cloud Run does: what it reads as
// it starts is what it may read, and with something out of place it says so and
// does not start.
func TestStart(t *testing.T) {
	if testing.Short() {
		t.Skip("builds every function")
	}
	if runtime.GOOS != "linux" {
		t.Skip("NOT RUN: the packages are for Linux")
	}
	dir := t.TempDir()
	packages, err := gcp.Build{Root: "../../../..", Out: dir}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		t.Run(p.Function, func(t *testing.T) {
			t.Parallel() // most of it waits for what does not answer
			binary := filepath.Join(dir, p.Function)
			if err := gcp.Compile(t.Context(), binary+".zip", binary); err != nil {
				t.Fatal(err)
			}
			g := newStand()
			defer g.close()
			stats, err := start(t.Context(), g.function(p.Function, binary))
			if err != nil {
				t.Fatal(err)
			}
			if stats.Starts != 1 || len(stats.StartTimes) != 1 {
				t.Errorf("started: %+v", stats)
			}
			g.calls(t, p.Function)
			g.broken(t, p.Function, binary)
		})
	}
}

// calls checks what a function called as it started.
func (g *stand) calls(t *testing.T, name string) {
	t.Helper()
	got := g.storage.Calls()
	want := []string{"GET " + bucket + "/projects/shop.yaml"}
	secrets := 0
	switch name {
	case "relay":
		want = nil // it is of no project
	case "profile":
		secrets = 1
	default:
		want = append(want, "GET "+bucket+"/projects/keys.yaml")
	}
	if g.secrets.Calls() != secrets {
		t.Errorf("called Secret Manager %d times, want %d", g.secrets.Calls(), secrets)
	}
	for _, call := range want {
		if !slices.Contains(got, call) {
			t.Errorf("called %v, and not %s", got, call)
		}
	}
	for _, call := range got {
		switch {
		case slices.Contains(want, call), strings.HasPrefix(call, "GET "+bucket+"/lastgood/"):
		case name == "score" && strings.HasPrefix(call, "POST "+bucket+"/lastgood/"):
		default:
			t.Errorf("called %s", call)
		}
	}
}

// broken starts a function to which something is missing.
func (g *stand) broken(t *testing.T, name, binary string) {
	t.Helper()
	for what, c := range map[string]struct {
		spoil func(f *gcpfunctions.Function)
		says  string
	}{
		"no table":       {func(f *gcpfunctions.Function) { delete(f.Env, "HITO_TABLE") }, "HITO_TABLE is not set: Name of the table"},
		"half a table":   {func(f *gcpfunctions.Function) { f.Env["HITO_TABLE"] = "hito" }, "HITO_TABLE must be projects/P/instances/I/tables/T"},
		"bad refresh":    {func(f *gcpfunctions.Function) { f.Env["HITO_REFRESH"] = "often" }, "is not a duration"},
		"no projects":    {func(f *gcpfunctions.Function) { f.Env["HITO_PROJECTS_BUCKET"] = "other" }, "no project to serve in the bucket other"},
		"nobody answers": {func(f *gcpfunctions.Function) { f.Endpoints["STORAGE_EMULATOR_HOST"] = "http://127.0.0.1:1" }, "the function ends"},
	} {
		if name == "relay" {
			continue // which has nothing to do with these
		}
		f := g.function(name, binary)
		c.spoil(f)
		if _, err := start(t.Context(), f); err == nil || !f.Log.Contains(c.says) {
			t.Errorf("%s: %v, logged:\n%s\nwant that it ended and said %q", what, err, f.Log.String(), c.says)
		}
	}
}
