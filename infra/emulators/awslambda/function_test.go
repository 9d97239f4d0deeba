package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/emulators"
)

// newFunction deploys the test function.
func newFunction(t *testing.T, set func(*Function)) *Function {
	t.Helper()
	f := &Function{Name: "tested", Bootstrap: bootstrap(t, runtime.GOARCH), Handler: "bootstrap", Timeout: 10 * time.Second}
	if set != nil {
		set(f)
	}
	t.Cleanup(func() {
		f.Close()
		if t.Failed() {
			t.Logf("the function's log:\n%s", &f.Log)
		}
	})
	return f
}

// told is what the function says of its invocation.
type told struct {
	ID, ARN, Trace string
	Left           int64
	Env            []string
	PID, Started   int
}

func invokeContext(t *testing.T, f *Function) told {
	t.Helper()
	answer, err := f.Invoke(t.Context(), []byte(`{"do":"context"}`))
	if err != nil {
		t.Fatal(err)
	}
	var c told
	if err := json.Unmarshal(answer, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestInvoke(t *testing.T) {
	t.Setenv("NOT_THE_FUNCTIONS", "1")
	f := newFunction(t, func(f *Function) {
		f.ARN = "arn:aws:lambda:eu-west-3:123456789012:function:tested"
		f.Env = map[string]string{"HITO_TABLE": "table"}
		f.Endpoints = map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
		f.Credentials = aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}
		f.MemoryMB = 256
	})
	first, second := invokeContext(t, f), invokeContext(t, f)
	if first.PID != second.PID || second.Started != 2 {
		t.Errorf("a warm sandbox is not used again: %+v, %+v", first, second)
	}
	if first.ID == second.ID || first.ARN != f.ARN || first.Left <= 0 || first.Left > 10_000 || !strings.HasPrefix(first.Trace, "Root=1-") {
		t.Errorf("the invocation is told %+v", first)
	}
	for _, want := range []string{
		"HITO_TABLE=table", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=eu-west-3", "AWS_LAMBDA_FUNCTION_NAME=tested",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret", "_HANDLER=bootstrap",
	} {
		if !slices.Contains(first.Env, want) {
			t.Errorf("the environment lacks %s: %q", want, first.Env)
		}
	}
	if slices.ContainsFunc(first.Env, func(v string) bool {
		return strings.HasPrefix(v, "NOT_THE_FUNCTIONS=") || strings.HasPrefix(v, "HOME=") || strings.HasPrefix(v, "AWS_SESSION_TOKEN=")
	}) {
		t.Errorf("the environment has what the function was not given: %q", first.Env)
	}
	s := f.Stats()
	if s.ColdStarts != 1 || s.Invocations != 2 || s.Errors != 0 || len(s.InitTimes) != 1 || s.InitTimes[0] <= 0 {
		t.Errorf("stats are %+v", s)
	}
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		do, kind, message string
		survives          bool
	}{
		{do: "error", kind: "errorString", message: "as told", survives: true},
		{do: "panic", kind: "string", message: "as told"},
		{do: "exit", kind: ExitError, message: "exit status 3"},
		{do: "hang", kind: TimedOut, message: "Task timed out after 0.50 seconds"},
		{do: "large", kind: TooLarge, message: "Response payload size"},
	} {
		t.Run(test.do, func(t *testing.T) {
			f := newFunction(t, func(f *Function) {
				f.Concurrency = 1
				if test.do == "hang" {
					f.Timeout = 500 * time.Millisecond
				}
			})
			before := invokeContext(t, f)
			_, err := f.Invoke(t.Context(), []byte(`{"do":"`+test.do+`"}`))
			e, ok := errors.AsType[*FunctionError](err)
			if !ok || e.Type != test.kind || !strings.Contains(string(e.Payload), test.message) || e.RequestID == "" {
				t.Fatalf("the error is %v, want type %s and %q", err, test.kind, test.message)
			}
			after := invokeContext(t, f) // at once, as the next batch is
			if survived := after.PID == before.PID; survived != test.survives {
				t.Errorf("process %d, then %d; want the same: %t", before.PID, after.PID, test.survives)
			}
			if s := f.Stats(); s.Errors != 1 || s.Invocations != 3 {
				t.Errorf("stats are %+v", s)
			}
		})
	}
}

func TestInit(t *testing.T) {
	t.Run("exit", func(t *testing.T) {
		f := newFunction(t, func(f *Function) { f.Env = map[string]string{"INIT": "exit"} })
		_, err := f.Invoke(t.Context(), []byte(`{}`))
		if e, ok := errors.AsType[*FunctionError](err); !ok || e.Type != ExitError || !strings.Contains(string(e.Payload), "exit status 4") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("hang", func(t *testing.T) {
		f := newFunction(t, func(f *Function) { f.Env, f.Init = map[string]string{"INIT": "hang"}, 300*time.Millisecond })
		_, err := f.Invoke(t.Context(), []byte(`{}`))
		if e, ok := errors.AsType[*FunctionError](err); !ok || e.Type != InitTimeout {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("error", func(t *testing.T) {
		script := filepath.Join(t.TempDir(), "bootstrap")
		text := "#!/usr/bin/env bash\n" +
			"body='{\"errorType\":\"Config\",\"errorMessage\":\"no table\"}'\n" +
			"IFS=: read -r host port <<<\"$AWS_LAMBDA_RUNTIME_API\"\n" +
			"exec 3<>\"/dev/tcp/$host/$port\"\n" +
			"printf 'POST /2018-06-01/runtime/init/error HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s' \"${#body}\" \"$body\" >&3\n" +
			"cat <&3 >/dev/null\nexit 1\n"
		if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		f := newFunction(t, func(f *Function) { f.Bootstrap = script })
		_, err := f.Invoke(t.Context(), []byte(`{}`))
		if e, ok := errors.AsType[*FunctionError](err); !ok || e.Type != "Config" {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("not executable", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "bootstrap")
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		f := newFunction(t, func(f *Function) { f.Bootstrap = file })
		_, err := f.Invoke(t.Context(), []byte(`{}`))
		if e, ok := errors.AsType[*FunctionError](err); !ok || e.Type != BadBinary {
			t.Errorf("the error is %v", err)
		}
	})
	for name, env := range map[string]map[string]string{
		"reserved variable": {"AWS_REGION": "us-east-1"}, "large environment": {"A": strings.Repeat("x", 4096)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFunction(t, func(f *Function) { f.Env = env })
			if _, err := f.Invoke(t.Context(), []byte(`{}`)); err == nil {
				t.Error("the function is accepted")
			}
		})
	}
}

// TestConcurrency: as many at once as allowed, one more is throttled, and none is lost.
func TestConcurrency(t *testing.T) {
	f := newFunction(t, func(f *Function) { f.Concurrency = 3 })
	var all sync.WaitGroup
	results := make([]error, 12)
	for i := range results {
		all.Go(func() { _, results[i] = f.Invoke(t.Context(), []byte(`{"do":"wait"}`)) })
	}
	all.Wait()
	throttled := 0
	for _, err := range results {
		switch {
		case errors.Is(err, ErrThrottled):
			throttled++
		case err != nil:
			t.Error(err)
		}
	}
	s := f.Stats()
	if throttled == 0 || s.Throttles != throttled || s.Invocations != 12-throttled || s.ColdStarts > 3 {
		t.Errorf("%d throttled; stats are %+v", throttled, s)
	}
	if _, err := f.Invoke(t.Context(), make([]byte, MaxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large event: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Invoke(ctx, []byte(`{"do":"wait"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	f.Close()
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestKill kills a sandbox amid an invocation, and an idle one.
func TestKill(t *testing.T) {
	f := newFunction(t, func(f *Function) { f.Concurrency = 1 })
	if f.Kill(func(int) int { return 0 }) {
		t.Error("killed where nothing runs")
	}
	before := invokeContext(t, f)
	failed := make(chan error, 1)
	go func() { _, err := f.Invoke(t.Context(), []byte(`{"do":"hang"}`)); failed <- err }()
	eventually(t, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		return equal("idle sandboxes", len(f.idle), 0)
	})
	if !f.Kill(func(n int) int { return n - 1 }) {
		t.Error("nothing to kill")
	}
	// It may have been killed before it took the event, which then goes to the next sandbox.
	eventually(t, func() error {
		select {
		case err := <-failed:
			if e, ok := errors.AsType[*FunctionError](err); !ok || e.Type != ExitError || !strings.Contains(string(e.Payload), "killed") {
				t.Errorf("the invocation fails with %v", err)
			}
			return nil
		default:
			f.Kill(func(int) int { return 0 })
			return errors.New("the invocation goes on")
		}
	})
	if after := invokeContext(t, f); after.PID == before.PID {
		t.Error("the dead are used again")
	}
	for range 20 { // idle: nobody notices
		f.Kill(func(int) int { return 0 })
		invokeContext(t, f)
	}

	kill := true
	g := newFunction(t, func(f *Function) {
		f.Interrupt = func([]byte) (time.Duration, bool) { defer func() { kill = false }(); return 0, kill }
	})
	if _, err := g.Invoke(t.Context(), []byte(`{"do":"wait"}`)); err != nil && !strings.Contains(err.Error(), "killed") {
		t.Errorf("interrupted: %v", err)
	}
	if s := g.Stats(); s.Killed != 1 {
		t.Errorf("stats are %+v", s)
	}
}

func TestLog(t *testing.T) {
	f := newFunction(t, nil)
	if _, err := f.Invoke(t.Context(), []byte(`{"do":"log"}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		return equal("the log", strings.Join(f.Log.Lines(), "|"), "on standard output|on standard error")
	})
}

// TestForeignArchitecture runs a bootstrap built for the other architecture.
func TestForeignArchitecture(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	path := bootstrap(t, other)
	if _, err := Launcher(path); errors.Is(err, ErrArchitecture) {
		emulators.Missing(t, "no emulator: as root on Debian, apt-get install qemu-user-static: "+err.Error())
	}
	f := newFunction(t, func(f *Function) { f.Bootstrap = path })
	answer, err := f.Invoke(t.Context(), []byte(`{"do":"echo"}`))
	if err != nil || string(answer) != `{"do":"echo"}` {
		t.Errorf("it answers %s, %v", answer, err)
	}
}
