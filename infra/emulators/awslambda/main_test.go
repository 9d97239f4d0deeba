package awslambda

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var builds struct {
	sync.Mutex
	dir  string
	done map[string]string
}

// TestMain removes what bootstrap built.
func TestMain(m *testing.M) {
	code := m.Run()
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir) // of the system's temporary folder
	}
	os.Exit(code)
}

// bootstrap builds testdata/function once for an architecture and returns its path.
func bootstrap(t *testing.T, arch string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	if path, ok := builds.done[arch]; ok {
		return path
	}
	if builds.dir == "" {
		var err error
		if builds.dir, err = os.MkdirTemp("", "awslambda"); err != nil {
			t.Fatal(err)
		}
		builds.done = make(map[string]string)
	}
	path := filepath.Join(builds.dir, arch, "bootstrap")
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", path, "./testdata/function")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch, "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the test function: %v\n%s", err, out)
	}
	builds.done[arch] = path
	return path
}

// eventually waits until what holds.
func eventually(t *testing.T, what func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = what(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// equal is an error if got is not want.
func equal[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}
