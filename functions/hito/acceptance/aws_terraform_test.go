//go:build acceptance

package acceptance

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/emulators/awslambda/deployed"
)

const (
	account = "123456789012"
	region  = "us-east-1"
)

// stack is a copy of terraform/ and what was applied from it.
type stack struct {
	dir  string // of the root module
	env  []string
	vars []string
}

// newStack copies the configuration, to be applied to the AWS at the endpoint.
func newStack(t *testing.T, root, artifacts, endpoint string) *stack {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		missing(t, "terraform is missing, so that nothing is deployed: install Terraform 1.11 or later")
	}
	work := t.TempDir()
	if err := os.CopyFS(filepath.Join(work, "terraform"), os.DirFS(filepath.Join(root, "terraform"))); err != nil {
		t.Fatal(err)
	}
	s := &stack{
		dir: filepath.Join(work, "terraform", "live", "aws"),
		vars: []string{
			"-var=account=" + account, "-var=region=" + region, "-var=artifacts_dir=" + artifacts, "-var=deletion_protection=false",
			"-var=projects_dir=" + filepath.Join(root, "shared", "project", "sample"), `-var=secret_keys={"shop":["demo-secret"]}`,
			`-var=edge={"kind":"cloudfront"}`, "-var=trusted_proxies=1", `-var=archive={}`, `-var=budget={"monthly":100,"emails":["ops@example.com"]}`,
		},
	}
	for _, v := range os.Environ() { // AWS_CA_BUNDLE would be believed by the provider
		if !bytes.HasPrefix([]byte(v), []byte("AWS_")) {
			s.env = append(s.env, v)
		}
	}
	s.env = append(s.env, "TF_IN_AUTOMATION=1", "AWS_ENDPOINT_URL="+endpoint, "AWS_ACCESS_KEY_ID=terraform", "AWS_SECRET_ACCESS_KEY=terraform",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION="+region)
	_ = os.RemoveAll(filepath.Join(s.dir, ".terraform")) // a contributor's own
	s.run(t, "init", "-input=false", "-no-color")
	return s
}

func (s *stack) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "terraform", args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // else its providers outlive it
	cmd.WaitDelay = time.Minute
	return cmd
}

// run runs terraform and returns what it prints.
func (s *stack) run(t *testing.T, args ...string) []byte {
	t.Helper()
	began := time.Now()
	cmd := s.command(context.WithoutCancel(t.Context()), args...)
	var out, all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &all
	if err := cmd.Run(); err != nil {
		t.Fatalf("terraform %s: %v\n%s%s", args[0], err, &out, &all)
	}
	t.Logf("terraform %s took %v", args[0], time.Since(began).Round(time.Second))
	return out.Bytes()
}

// apply applies the stack and returns what is deployed then.
func (s *stack) apply(t *testing.T) *deployed.Deployment {
	t.Helper()
	s.run(t, append([]string{"apply", "-auto-approve", "-input=false", "-no-color", "-parallelism=30"}, s.vars...)...)
	d, err := deployed.Read(bytes.NewReader(s.run(t, "show", "-json")))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// unchanged plans again: an apply leaves nothing to do.
func (s *stack) unchanged(t *testing.T) {
	t.Helper()
	cmd := s.command(t.Context(), append([]string{"plan", "-detailed-exitcode", "-input=false", "-no-color", "-parallelism=30"}, s.vars...)...)
	if out, err := cmd.CombinedOutput(); err != nil { // 2: there are changes
		t.Errorf("plan after apply: %v\n%s", err, out)
	}
}

func (s *stack) destroy(t *testing.T) {
	t.Helper()
	s.run(t, append([]string{"destroy", "-auto-approve", "-input=false", "-no-color", "-parallelism=30"}, s.vars...)...)
	if state := s.run(t, "state", "list"); len(bytes.TrimSpace(state)) > 0 {
		t.Errorf("left after destroy:\n%s", state)
	}
}
