package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The test binary is also the function that TestStart starts.
func TestMain(m *testing.M) {
	switch os.Getenv("HITO_LAMBDA_TEST") {
	case "echo":
		Start(func(context.Context) (Function, error) {
			fmt.Fprintln(os.Stderr, "init runs")
			return echo{}, nil
		})
	case "fail":
		Start(func(context.Context) (Function, error) { return nil, errors.New("no such table") })
	}
	os.Exit(m.Run())
}

type echo struct{}

func (echo) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	deadline, _ := ctx.Deadline()
	return fmt.Appendf(nil, "%s %v", payload, time.Until(deadline) > time.Minute), nil
}

// function is this binary as a function on a Runtime API.
func function(t *testing.T, kind, api string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "HITO_LAMBDA_TEST="+kind, "AWS_LAMBDA_RUNTIME_API="+api)
	cmd.Stdout, cmd.Stderr = &log, &log
	return cmd, &log
}

func TestStart(t *testing.T) {
	answers := make(chan string, 3)
	next := make(chan string, 3)
	next <- "one"
	next <- "two"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case payload := <-next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", payload)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(5*time.Minute).UnixMilli()))
			_, _ = io.WriteString(w, payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answers <- r.PathValue("id") + ": " + string(body)
		w.WriteHeader(http.StatusAccepted)
	})
	api := httptest.NewServer(mux)
	t.Cleanup(api.Close)
	cmd, log := function(t, "echo", strings.TrimPrefix(api.URL, "http://"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one: one true", "two: two true"} {
		select {
		case got := <-answers:
			if got != want {
				t.Errorf("answered %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Error("no answer")
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if n := strings.Count(log.String(), "init runs"); n != 1 {
		t.Errorf("init ran %d times: %s", n, log)
	}
}

func TestStartReportsInit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nobody may be called
	cmd, log := function(t, "fail", l.Addr().String())
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("%v", err)
	}
	if !strings.Contains(log.String(), "no such table") {
		t.Errorf("log: %s", log)
	}
}
