package emulators

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be a caller who starts an emulator and is killed.
func TestMain(m *testing.M) {
	if os.Getenv("HITO_TEST_CALLER") == "" {
		os.Exit(m.Run())
	}
	p, err := Start(context.Background(), ProgramKinesalite)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(p.cmd.Process.Pid, p.URL)
	select {}
}

func TestEndsWithItsCaller(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a process with its parent")
	}
	Kinesalite(t) // skips where it cannot run
	caller := exec.CommandContext(t.Context(), os.Args[0])
	caller.Env = append(os.Environ(), "HITO_TEST_CALLER=1")
	caller.Stderr = os.Stderr
	out, err := caller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var url string
	lines := bufio.NewScanner(out)
	lines.Scan()
	if _, err := fmt.Sscan(lines.Text(), &pid, &url); err != nil {
		t.Fatalf("the caller says %q: %v", lines.Text(), err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the emulator does not run: %v", err)
	}
	_ = caller.Process.Kill()
	_ = caller.Wait() // it was killed
	// Whoever adopts the process may leave it as a zombie: that it no longer serves counts.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(url)
		if err != nil {
			return
		}
		resp.Body.Close()
		if time.Now().After(deadline) {
			t.Fatal("the emulator outlives its caller")
		}
	}
}

func TestStop(t *testing.T) {
	Kinesalite(t) // skips where it cannot run
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p, err := Start(ctx, ProgramKinesalite)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Error(err)
	}
	p.Stop()
	p.Stop() // does no harm
	if p.Err() == nil {
		t.Error("it is not said to have ended")
	}
	if p, err = Start(ctx, ProgramKinesalite); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-p.gone
}

func TestSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for program, what := range map[Program]string{
		ProgramKinesalite: "npm", ProgramKinesisMock: "npm", ProgramDynamoDB: "java", ProgramMoto: "python3",
		ProgramPubSub: "gcloud", ProgramBigtable: "gcloud", ProgramFirestore: "gcloud",
	} {
		_, err := Start(t.Context(), program)
		missing, ok := errors.AsType[*MissingError](err)
		if !ok || missing.What != what || !strings.Contains(missing.Error(), "install") {
			t.Errorf("%s: %v, want %s missing", program, err, what)
		}
	}
	if _, err := Start(t.Context(), "nothing"); err == nil {
		t.Error("started nothing")
	}
}

// A python3 without moto, or with another, is something to install too.
func TestSaysThatMotoIsMissing(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		Missing(t, "python3 IS MISSING, so that this is NOT tested: install Python 3")
	}
	for want, code := range map[string]string{
		"moto[server]":           "raise ImportError('none')",
		"moto 5.2 (there is 4.0": "__version__ = '4.0'",
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"moto/__init__.py": code, "moto/moto_server/__init__.py": "", "moto/moto_server/werkzeug_app.py": "DomainDispatcherApplication = create_backend_app = None", "werkzeug/__init__.py": "", "werkzeug/serving.py": "WSGIRequestHandler = make_server = None"} {
			write(t, dir, name, text)
		}
		t.Setenv("PYTHONPATH", dir)
		_, err := Start(t.Context(), ProgramMoto)
		if missing, ok := errors.AsType[*MissingError](err); !ok || !strings.HasPrefix(missing.What, want) {
			t.Errorf("%v, want %s missing", err, want)
		}
	}
}
