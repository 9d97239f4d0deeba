package gcpfunctions

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/GoogleCloudPlatform/functions-framework-go/funcframework" // what testdata/function links: go mod tidy does not look there
)

var built struct {
	sync.Once
	dir, path string
	err       error
}

// TestMain removes what server built.
func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // of the system's temporary folder
	}
	os.Exit(code)
}

// server builds testdata/function once and returns its path.
func server(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "gcpfunctions"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "server")
		if out, err := exec.Command("go", "build", "-o", built.path, "./testdata/function").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the test function: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// newFunction returns a function that ends with the test.
func newFunction(t *testing.T, change func(*Function)) *Function {
	t.Helper()
	f := &Function{Name: "shop-test", Target: "test", Binary: server(t)}
	if change != nil {
		change(f)
	}
	t.Cleanup(func() {
		f.Close()
		if t.Failed() {
			t.Logf("%+v; the function's log:\n%s", f.Stats(), &f.Log)
		}
	})
	return f
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
