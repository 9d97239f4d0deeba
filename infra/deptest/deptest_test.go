package deptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hitolayer/hito/"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Name string
	Imports, Deps    []string
	TestImports      []string
	XTestImports     []string
	Standard         bool
}

func list(t *testing.T, patterns ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Imports,Deps,TestImports,XTestImports,Standard"}, patterns...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) == 0 {
		t.Fatalf("go list %v: no packages", patterns)
	}
	return pkgs
}

// layer returns the top folder of one of the project's packages, and the one below it.
func layer(path string) (top, next string) {
	parts := strings.SplitN(strings.TrimPrefix(path, module), "/", 3)
	if len(parts) > 1 {
		next = parts[1]
	}
	return parts[0], next
}

func ours(path string) bool { return strings.HasPrefix(path, module) }

// TestImportsPointOneWay: functions → infra → shared, never back, and no
// function imports another, hito aside, which wires them.
func TestImportsPointOneWay(t *testing.T) {
	rank := map[string]int{"shared": 0, "infra": 1, "functions": 2}
	for _, p := range list(t, "./...") {
		top, function := layer(p.ImportPath)
		if _, known := rank[top]; !known {
			t.Errorf("%s is outside functions/, infra/ and shared/", p.ImportPath)
		}
		for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if !ours(to) {
				continue
			}
			toTop, toFunction := layer(to)
			switch {
			case rank[toTop] > rank[top]:
				t.Errorf("%s imports %s: imports point functions → infra → shared", p.ImportPath, to)
			case top == "functions" && toTop == "functions" && function != toFunction && function != "hito":
				t.Errorf("%s imports %s: no function imports another", p.ImportPath, to)
			}
		}
	}
}

// conformance are the suites that every adapter's tests run; no binary links them.
var conformance = []string{"shared/stream/streamtest", "shared/profile/storetest"}

const (
	pebble = "github.com/cockroachdb/pebble"
	aws    = "github.com/aws/"
	gcp    = "cloud.google.com/"
	prom   = "github.com/prometheus/client_golang"
	cel    = "cel.dev/cel-go"
	geo    = "github.com/phuslu/iploc"
	agents = "github.com/ua-parser/"

	grpc = "google.golang.org/grpc"

	emulators = module + "infra/emulators"
	local     = module + "infra/local"
	sdk       = aws + "aws-sdk-go-v2/"
	queues    = sdk + "service/sqs"
	secrets   = sdk + "service/secretsmanager"
)

// neverOnLambda is what no function there needs: another product, what only
// tests use, and the SDK's search for credentials, which Lambda gives.
var neverOnLambda = []string{
	gcp, pebble, prom, emulators, local,
	sdk + "config", sdk + "feature/ec2/imds", sdk + "service/sso", sdk + "service/ssooidc", sdk + "service/sts", sdk + "service/signin",
}

// neverDeployed is what no function on Google Cloud needs, and neverOnCloudRun what
// none does that does not publish on AWS's stream.
var (
	neverDeployed   = []string{pebble, prom, emulators, local}
	neverOnCloudRun = append([]string{aws}, neverDeployed...)
)

// besideKinesis is what of AWS those link that publish on its stream, and nothing else.
var besideKinesis = []string{
	aws + "smithy-go", sdk + "aws", sdk + "internal", sdk + "service/internal", sdk + "service/kinesis", sdk + "service/sts",
}

// TestWhatMayBeLinked: the domain knows no product, a handler no platform, and
// what a function links decides its cold start.
func TestWhatMayBeLinked(t *testing.T) {
	for pattern, forbidden := range map[string][]string{
		"./shared/...":            {pebble, aws, gcp, prom, "net/http"},
		"./functions/beacon":      {pebble, aws, gcp, prom, cel, geo, agents, module + "infra"},
		"./functions/enrich":      {pebble, aws, gcp, prom, cel, "net/http", module + "infra"},
		"./functions/score":       {pebble, aws, gcp, prom, geo, agents, "net/http", module + "infra"},
		"./functions/relay":       {pebble, aws, gcp, prom, cel, geo, agents, "net/http", module + "infra"},
		"./functions/profile":     {pebble, aws, gcp, prom, geo, agents, module + "infra"},
		"./functions/hito/...":    {aws, gcp, emulators},
		"./functions/beacon/aws":  append([]string{cel, geo, agents, queues, secrets}, neverOnLambda...),
		"./functions/enrich/aws":  append([]string{cel, queues, secrets}, neverOnLambda...),
		"./functions/score/aws":   append([]string{geo, agents, secrets}, neverOnLambda...),
		"./functions/profile/aws": append([]string{geo, agents, queues}, neverOnLambda...),
		"./infra/peer/gcp":        append([]string{grpc, "google.golang.org/api", "golang.org/x/oauth2", cel, geo, agents}, neverOnLambda...),

		"./functions/relay/aws": append([]string{cel, geo, agents, queues, secrets}, neverOnLambda...),

		"./functions/beacon/gcp/...":  append([]string{cel, geo, agents}, neverDeployed...),
		"./functions/relay/gcp/...":   append([]string{cel, geo, agents}, neverDeployed...),
		"./functions/enrich/gcp/...":  append([]string{cel}, neverOnCloudRun...),
		"./functions/score/gcp/...":   append([]string{geo, agents}, neverOnCloudRun...),
		"./functions/profile/gcp/...": append([]string{geo, agents}, neverOnCloudRun...),
	} {
		for _, p := range list(t, pattern) {
			if slices.Contains(conformance, strings.TrimPrefix(p.ImportPath, module)) {
				continue
			}
			for _, dep := range p.Deps {
				if i := slices.IndexFunc(forbidden, func(f string) bool { return within(dep, f) }); i >= 0 {
					t.Errorf("%s links %s (by %s)", p.ImportPath, dep, forbidden[i])
				}
			}
		}
	}
}

// within tells whether a package is the named one, or below it.
func within(path, name string) bool {
	return path == name || strings.HasPrefix(path, strings.TrimSuffix(name, "/")+"/")
}

// TestOneCloud: no binary links both clouds, but those on Google Cloud that publish
// on AWS's stream, which link only what that takes.
func TestOneCloud(t *testing.T) {
	both := []string{module + "functions/beacon/gcp/server", module + "functions/relay/gcp/server"}
	var found []string
	for _, p := range list(t, "./...") {
		links := func(cloud string) bool {
			return slices.ContainsFunc(p.Deps, func(dep string) bool { return within(dep, cloud) })
		}
		if p.Name != "main" || !links(aws) || !links(gcp) {
			continue
		}
		found = append(found, p.ImportPath)
		for _, dep := range p.Deps {
			if within(dep, aws) && !slices.ContainsFunc(besideKinesis, func(may string) bool { return within(dep, may) }) {
				t.Errorf("%s links %s", p.ImportPath, dep)
			}
		}
	}
	if !slices.Equal(found, both) {
		t.Errorf("both clouds are linked by %v, not by %v", found, both)
	}
}

// TestMainsOnlyWire: what runs a function on a cloud is one short file; on Google
// Cloud, whose buildpack has a program of its own, with another one for containers.
func TestMainsOnlyWire(t *testing.T) {
	const most = 30 // lines
	for cloud, want := range map[string][]string{"aws": {"main.go"}, "gcp": {"function.go", "server/main.go"}} {
		folders, err := filepath.Glob(filepath.Join("..", "..", "functions", "*", cloud))
		if err != nil || len(folders) < 4 {
			t.Fatalf("functions on %s: %v, %v", cloud, folders, err)
		}
		for _, folder := range folders {
			var files []string
			err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					path, err = filepath.Rel(folder, path)
					files = append(files, filepath.ToSlash(path))
				}
				return err
			})
			if err != nil || !slices.Equal(files, want) {
				t.Errorf("%s holds %v, it should hold %v only: %v", folder, files, want, err)
			}
			for _, name := range files {
				source, err := os.ReadFile(filepath.Join(folder, name))
				if err != nil {
					t.Fatal(err)
				}
				if lines := bytes.Count(source, []byte("\n")); lines > most {
					t.Errorf("%s/%s has %d lines, at most %d are allowed: what it does beyond wiring belongs elsewhere", folder, name, lines, most)
				}
			}
		}
	}
}

// TestNothingIsCalledUtils: a package has one job and is named after it. And
// the module's root holds no package, as Cloud Functions' Go build demands.
func TestNothingIsCalledUtils(t *testing.T) {
	for _, p := range list(t, "./...") {
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "model", "models", "types", "misc"}, p.Name) {
			t.Errorf("%s: a package is named after its job", p.ImportPath)
		}
	}
	if files, _ := filepath.Glob(filepath.Join("..", "..", "*.go")); len(files) > 0 {
		t.Errorf("the root holds Go files: %v", files)
	}
}
