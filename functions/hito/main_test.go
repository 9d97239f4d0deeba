package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hitolayer/hito/shared/ledger"
)

// TestMain puts the real binary's main into the tests' PATH, as hito.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hito": main})
}

// TestScript runs the command lines in testdata/script.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serveScript, "exits": exitsScript, "settled": settledScript, "eventually": eventuallyScript,
		},
		RequireExplicitExec: true,
	})
}

// serveScript starts a hito on the script's data directory and sets HITO_URL.
func serveScript(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("serve cannot be negated")
	}
	executable, err := exec.LookPath("hito")
	ts.Check(err)
	log := &lockedBuffer{}
	c, err := startChild(context.Background(), executable, ts.MkAbs("data"), log)
	ts.Check(err)
	ts.Setenv("HITO_URL", c.url)
	ts.Defer(func() {
		if err := c.stop(); err != nil {
			ts.Logf("hito run ended with %v\n%s", err, log)
		}
	})
}

// exitsScript checks a command's exit code: exits 2 hito send --batch 0
func exitsScript(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if (code == want) == neg {
		ts.Fatalf("%v exits with %d; negated: %t, want %d", args[1:], code, neg, want)
	}
}

// settledScript waits until the project's ledger has nothing in flight, and
// looks for texts in it.
func settledScript(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(settle(ts.Getenv("HITO_URL")))
	var all json.RawMessage
	ts.Check(get(ts.Getenv("HITO_URL")+"/v1/ledger", &all))
	for _, want := range args {
		if strings.Contains(string(all), want) == neg {
			ts.Fatalf("the ledger is %s; negated: %t, want %s", all, neg, want)
		}
	}
}

// eventuallyScript repeats a command until it succeeds and prints a text:
// eventually returning hito profile u1
func eventuallyScript(ts *testscript.TestScript, neg bool, args []string) {
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = ts.Exec(args[1], args[2:]...); err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) != neg {
			return
		}
	}
	ts.Fatalf("%v never prints %q (negated: %t; %v): %s", args[1:], args[0], neg, err, ts.ReadFile("stdout"))
}

// settle waits until nothing is in flight.
func settle(url string) error {
	var totals ledger.Totals
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err := get(url+"/v1/ledger", &totals); err != nil {
			return err
		}
		if totals.InFlight == 0 {
			return nil
		}
	}
	return fmt.Errorf("still in flight after a minute: %+v", totals)
}

var errNotFound = errors.New("not found")

// get reads JSON with the sample project's secret key.
func get(url string, into any) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer demo-secret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound:
		return errNotFound
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("GET %s answers %s: %s", url, resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// start starts the real binary for a test.
func start(t *testing.T, data string) *child {
	t.Helper()
	executable, err := exec.LookPath("hito")
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	c, err := startChild(t.Context(), executable, data, log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() {
		_ = c.stop() // a test that cares looks itself
		if t.Failed() {
			t.Logf("the server's log:\n%s", log)
		}
	})
	return c
}

// hito runs a command and returns what it prints.
func hito(t *testing.T, c *child, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "hito", args...)
	cmd.Env = append(os.Environ(), "HITO_URL="+c.url)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("hito %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// missing ends a test for want of something from outside: loudly, and for good where all must run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
