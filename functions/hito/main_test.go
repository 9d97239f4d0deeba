package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hitolayer/hito/functions/hito/e2e"
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

// serveScript starts a hito on a data directory, "data" unless given, and sets HITO_URL.
func serveScript(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("serve cannot be negated")
	}
	executable, err := exec.LookPath("hito")
	ts.Check(err)
	log, data := &lockedBuffer{}, "data"
	if len(args) > 0 {
		data = args[0]
	}
	c, err := startChild(context.Background(), executable, ts.MkAbs(data), log)
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
	_, err := (&child{url: url}).target().Settle(0)
	return err
}

// get reads JSON with the sample project's secret key.
func get(url string, into any) error {
	return e2e.Target{URL: url, SecretKey: "demo-secret"}.Get("", into)
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
	return c.target().Hito(t, args...)
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
