package main

import (
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/infra/emulators/awslambda"
	"github.com/hitolayer/hito/infra/pack/aws"
)

// TestStart starts every packaged function behind the Runtime API: what it
// looks for as it starts is what it may read, and with something out of place it
// says so and does not start.
func TestStart(t *testing.T) {
	if testing.Short() {
		t.Skip("builds every function")
	}
	if runtime.GOOS != "linux" {
		t.Skip("NOT RUN: the packages are for Linux")
	}
	dir := t.TempDir()
	packages, err := aws.Build{Root: "../../../..", Out: dir, Arch: runtime.GOARCH}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		t.Run(p.Function, func(t *testing.T) {
			t.Parallel() // most of it waits for what does not answer
			bootstrap, err := unpack(filepath.Join(dir, p.Function+".zip"), filepath.Join(dir, p.Function))
			if err != nil {
				t.Fatal(err)
			}
			s := newStand()
			defer s.close()
			stats, err := start(t.Context(), p.Function, bootstrap, s.url)
			if err != nil {
				t.Fatal(err)
			}
			if stats.ColdStarts != 1 || len(stats.InitTimes) != 1 {
				t.Errorf("started: %+v", stats)
			}
			calls(t, p.Function, s.called())
			broken(t, p.Function, bootstrap, s.url)
		})
	}
}

// calls checks what a function called as it started.
func calls(t *testing.T, name string, got []string) {
	t.Helper()
	want := []string{"GET /projects/projects/keys.yaml", "GET /projects/projects/shop.yaml"}
	switch name {
	case "relay":
		want = nil // it is of no project
	case "profile":
		want[0] = "secretsmanager.GetSecretValue"
	}
	for _, call := range want {
		if !slices.Contains(got, call) {
			t.Errorf("called %v, and not %s", got, call)
		}
	}
	for _, call := range got {
		switch {
		case slices.Contains(want, call), strings.HasPrefix(call, "GET /projects/lastgood/"):
		case name == "score" && strings.HasPrefix(call, "PUT /projects/lastgood/"):
		default:
			t.Errorf("called %s", call)
		}
	}
}

// broken starts a function to which something is missing.
func broken(t *testing.T, name, bootstrap, url string) {
	t.Helper()
	for what, c := range map[string]struct {
		spoil func(f *awslambda.Function)
		says  string
	}{
		"no table":             {func(f *awslambda.Function) { delete(f.Env, "HITO_TABLE") }, "HITO_TABLE is not set: Name of the table"},
		"bad refresh":          {func(f *awslambda.Function) { f.Env["HITO_REFRESH"] = "often" }, "is not a duration"},
		"no projects":          {func(f *awslambda.Function) { f.Env["HITO_PROJECTS_BUCKET"] = "other" }, "no project to serve in the bucket other"},
		"nobody answers":       {func(f *awslambda.Function) { f.Endpoints["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1" }, "cannot start"},
		"nobody it may act as": {func(f *awslambda.Function) { f.Credentials.AccessKeyID = "" }, "AWS_ACCESS_KEY_ID"},
	} {
		if name == "relay" && (what == "no table" || what == "bad refresh" || what == "no projects" || what == "nobody answers") {
			continue // which it has nothing to do with
		}
		f := function(name, bootstrap, url)
		c.spoil(f)
		_, err := f.Invoke(t.Context(), []byte(events[name]))
		f.Close()
		if e, ok := errors.AsType[*awslambda.FunctionError](err); !ok || e.Type != awslambda.ExitError || !f.Log.Contains(c.says) {
			t.Errorf("%s: %v, logged:\n%s\nwant that it ended and said %q", what, err, f.Log.String(), c.says)
		}
	}
}
