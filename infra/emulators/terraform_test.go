package emulators

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Terraform must apply one of everything to moto, then plan no changes, and be
// able to take it down. It waits for minutes, while SQS' attributes settle.
func TestTerraform(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		Missing(t, "terraform IS MISSING, so that moto is NOT tested with it: install Terraform 1.9 or later")
	}
	t.Parallel()
	url := Moto(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/stack")); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	if _, err := z.Create("bootstrap"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "function.zip"), archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	terraform := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "terraform", args...)
		cmd.Dir = dir
		cmd.Env = environment([]string{
			"AWS_ENDPOINT_URL=" + url, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
			"TF_VAR_zip=function.zip", "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
		})
		// Killed, it would leave its providers behind.
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
		cmd.WaitDelay = time.Minute
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	terraform("init", "-input=false", "-no-color")
	terraform("apply", "-input=false", "-no-color", "-auto-approve", "-parallelism=30")
	terraform("plan", "-input=false", "-no-color", "-detailed-exitcode") // 2: changes
	terraform("destroy", "-input=false", "-no-color", "-auto-approve", "-parallelism=30")
}
