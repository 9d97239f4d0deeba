package terraformtest

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/emulators"
)

const (
	account       = "123456789012"
	project       = "mycompany-web"
	projectNumber = "123456789012"
	// secretKey is what the stand-in for Secrets Manager makes up, and what Google's is given.
	secretKey = "a-secret-key-that-no-plan-may-show"
)

// repository is the folder that this one is in twice.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// aws answers what a plan asks AWS: who it is, for a random password, and how
// many streams there may be. Anything else would be a data source, which no
// plan of ours may need.
func aws(t *testing.T) *httptest.Server {
	t.Helper()
	var mu sync.Mutex
	asked := map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		switch {
		case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetRandomPassword"):
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			fmt.Fprintf(w, `{"RandomPassword":%q}`, secretKey)
		case strings.Contains(body.String(), "Action=GetCallerIdentity"):
			w.Header().Set("Content-Type", "text/xml")
			fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
				`<Arn>arn:aws:iam::%[1]s:user/plan</Arn><UserId>plan</UserId><Account>%[1]s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, account)
		case strings.HasSuffix(r.Header.Get("X-Amz-Target"), "Kinesis_20131202.DescribeLimits"): // the provider, of itself, for a stream on demand
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			fmt.Fprint(w, `{"ShardLimit":500,"OpenShardCount":0,"OnDemandStreamCount":0,"OnDemandStreamCountLimit":50}`)
		default:
			mu.Lock()
			asked[r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Amz-Target")] = true
			mu.Unlock()
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"a plan needs nothing else"}`)
		}
	}))
	t.Cleanup(func() {
		s.Close()
		for what := range asked {
			t.Errorf("the plan asked AWS for %s: no data sources", what)
		}
	})
	return s
}

// workspace is a copy of the Terraform code, initialised, to plan in.
type workspace struct {
	live string
	env  []string
}

// newWorkspace copies the code, so that nothing of a contributor's own
// install is read or written, and loads a cloud's provider.
func newWorkspace(t *testing.T, cloud string) *workspace {
	t.Helper()
	program, err := exec.LookPath("terraform")
	if err != nil {
		emulators.Missing(t, "no terraform in PATH: the policies are not checked. Install Terraform 1.11 or later (https://developer.hashicorp.com/terraform/install)")
	}
	root, dir := repository(t), t.TempDir()
	for _, part := range []string{"modules", "live"} {
		if err := copyCode(filepath.Join(root, "terraform", part), filepath.Join(dir, "terraform", part)); err != nil {
			t.Fatal(err)
		}
	}
	zips := filepath.Join(dir, "zips")
	for _, f := range []string{"beacon", "enrich", "score", "profile", "relay"} {
		for _, folder := range []string{"", "aws", "gcp"} { // of each cloud alone, and of both
			if err := writeZip(filepath.Join(zips, folder, f+".zip")); err != nil {
				t.Fatal(err)
			}
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = dir
	}
	cache = filepath.Join(cache, "hito", "terraform-providers")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	w := &workspace{live: filepath.Join(dir, "terraform", "live", cloud)}
	for _, e := range os.Environ() {
		if !slices.ContainsFunc([]string{"AWS_", "GOOGLE_", "CLOUDSDK_", "GCLOUD_", "TF_VAR_", "TF_LOG", "TF_DATA_DIR=", "TF_CLI_ARGS"}, func(prefix string) bool { return strings.HasPrefix(e, prefix) }) {
			w.env = append(w.env, e)
		}
	}
	if cloud != "gcp" {
		w.env = append(w.env,
			"AWS_ENDPOINT_URL="+aws(t).URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
			"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
			"TF_VAR_account="+account)
	}
	if cloud != "aws" {
		w.env = append(w.env, "GOOGLE_OAUTH_ACCESS_TOKEN=none", "TF_VAR_account="+project, "TF_VAR_project_number="+projectNumber)
	}
	w.env = append(w.env,
		"TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		"TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1",
		"TF_VAR_artifacts_dir="+zips, "TF_VAR_projects_dir="+filepath.Join(root, "shared", "project", "sample"))
	if os.Getenv("TF_PLUGIN_CACHE_DIR") == "" {
		w.env = append(w.env, "TF_PLUGIN_CACHE_DIR="+cache)
	}
	if out, err := w.run(t, program, "init", "-backend=false", "-no-color"); err != nil {
		if text := string(out); strings.Contains(text, "Failed to query available provider packages") || strings.Contains(text, "Failed to install provider") || strings.Contains(text, "Could not retrieve") {
			emulators.Missing(t, "terraform cannot get the provider, so the policies are not checked:\n"+text)
		}
		t.Fatalf("terraform init: %v\n%s", err, out)
	}
	return w
}

// plan returns what `terraform show -json` says of a plan with variables,
// which are HCL.
func (w *workspace) plan(t *testing.T, name, variables string, args ...string) []byte {
	t.Helper()
	file := filepath.Join(w.live, name+".tfvars")
	if err := os.WriteFile(file, []byte(variables), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(w.live, name+".tfplan")
	if log, err := w.run(t, "terraform", append([]string{"plan", "-no-color", "-lock=false", "-var-file=" + file, "-out=" + out}, args...)...); err != nil {
		t.Fatalf("terraform plan: %v\n%s", err, log)
	}
	shown, err := w.run(t, "terraform", "show", "-json", out)
	if err != nil {
		t.Fatalf("terraform show: %v\n%s", err, shown)
	}
	return shown
}

// schemas returns what the cloud's resources can be told.
func (w *workspace) schemas(t *testing.T, provider string) Schemas {
	t.Helper()
	shown, err := w.run(t, "terraform", "providers", "schema", "-json")
	if err != nil {
		t.Fatalf("terraform providers schema: %v\n%s", err, shown)
	}
	schemas, err := ParseSchemas(shown, provider)
	if err != nil {
		t.Fatal(err)
	}
	return schemas
}

// run returns what a command printed; of one that failed, its complaints too.
func (w *workspace) run(t *testing.T, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	// An interrupt lets terraform end its providers too.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir, cmd.Env = w.live, w.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return append(stdout.Bytes(), stderr.Bytes()...), err
	}
	return stdout.Bytes(), nil
}

// copyCode copies a folder's .tf files.
func copyCode(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == ".terraform" {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".tf" || entry.Name() == "backend.tf" {
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, code, 0o644)
	})
}

// writeZip writes a zip with an empty bootstrap: a plan reads only its hash.
func writeZip(path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := zip.NewWriter(f)
	if _, err := z.Create("bootstrap"); err != nil {
		return err
	}
	return z.Close()
}
