package gcpfunctions

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An echo is what the test function answers.
type echo struct {
	Method, Path, Host, Body string
	Header                   http.Header
	Env                      []string
	PID, Most                int
}

// ask sends a request as Hosts does, and returns the status and the answer.
func ask(t *testing.T, h http.Handler, method, path, body string, header http.Header) (int, string, *echo) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://service"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	resp, err := Hosts{"service": h}.RoundTrip(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e echo
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return resp.StatusCode, string(text), &e
}

func TestFunction(t *testing.T) {
	t.Setenv("SECRET_OF_THE_TEST", "x")
	f := newFunction(t, func(f *Function) {
		f.Env = map[string]string{"HITO_TABLE": "hito"}
		f.Endpoints = map[string]string{"PUBSUB_EMULATOR_HOST": "127.0.0.1:1"}
	})
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, text, e := ask(t, f, http.MethodPost, "/a%2Fb?c=d", "日本", http.Header{"X-Forwarded-For": {"198.51.100.1"}})
	if status != 200 || e.Method != "POST" || e.Path != "/a%2Fb?c=d" || e.Body != "日本" || e.Host != "service" || e.Header.Get("X-Forwarded-For") != "198.51.100.1" {
		t.Errorf("it answers %d %s", status, text)
	}
	for _, want := range []string{"HITO_TABLE=hito", "PUBSUB_EMULATOR_HOST=127.0.0.1:1", "K_SERVICE=shop-test", "FUNCTION_TARGET=test", "LOCAL_ONLY=true"} {
		if !slices.Contains(e.Env, want) {
			t.Errorf("the environment lacks %s: %v", want, e.Env)
		}
	}
	if strings.Contains(text, "SECRET_OF_THE_TEST") {
		t.Errorf("the function sees the test's environment: %s", text)
	}
	if status, _, _ := ask(t, f, http.MethodGet, "/panic", "", nil); status != 500 {
		t.Errorf("a panic is answered %d", status)
	}
	for until := time.Now().Add(10 * time.Second); !f.Log.Contains("panic message: as told") && time.Now().Before(until); {
		time.Sleep(5 * time.Millisecond) // the log comes by a pipe, after the answer
	}
	if !f.Log.Contains("panic message: as told") || slices.Contains(f.Log.Lines(), "") {
		t.Errorf("the log is %q", f.Log.Lines())
	}
	if s := f.Stats(); s.Starts != 1 || s.Requests != 2 || s.Broken != 0 || len(s.StartTimes) != 1 {
		t.Errorf("stats are %+v", s)
	}
	if resp, err := (Hosts{"service": f}).RoundTrip(httptest.NewRequest(http.MethodPost, "https://other/", nil)); err == nil {
		t.Errorf("another host answers %v", resp)
	}
}

// TestRestart: an instance that ends is replaced.
func TestRestart(t *testing.T) {
	f := newFunction(t, func(f *Function) { f.MaxInstances = 1 })
	gone := func() {
		t.Helper()
		eventually(t, func() error {
			f.mu.Lock()
			defer f.mu.Unlock()
			return equal("the number of instances", len(f.live), 0)
		})
	}
	if status, text, _ := ask(t, f, http.MethodPost, "/exit", "", nil); status != 503 {
		t.Errorf("it answers %d %s", status, text)
	}
	gone()
	if status, text, _ := ask(t, f, http.MethodPost, "/part", "", nil); status != 0 {
		t.Errorf("half an answer is answered %d %s", status, text)
	}
	gone()
	if status, text, _ := ask(t, f, http.MethodPost, "/", "", nil); status != 200 {
		t.Errorf("it answers %d %s", status, text)
	}
	if s := f.Stats(); s.Starts != 3 || s.Broken != 1 || s.CPU == 0 {
		t.Errorf("stats are %+v", s)
	}
}

// TestKill: SIGKILL with requests in flight, by Kill and by Interrupt.
func TestKill(t *testing.T) {
	f := newFunction(t, func(f *Function) { f.MaxInstances = 1 })
	if f.Kill() {
		t.Error("an instance is killed, and there is none")
	}
	_, _, e := ask(t, f, http.MethodPost, "/", "", nil)
	var requests sync.WaitGroup
	for range 3 {
		requests.Go(func() {
			if status, text, _ := ask(t, f, http.MethodPost, "/hang", "", nil); status != 503 {
				t.Errorf("it answers %d %s", status, text)
			}
		})
	}
	eventually(t, func() error { return equal("requests", strings.Count(f.Log.String(), "hanging"), 3) })
	if !f.Kill() {
		t.Error("no instance is killed")
	}
	requests.Wait()
	eventually(t, func() error { return equal("the process", syscall.Kill(e.PID, 0), error(syscall.ESRCH)) })
	_, _, next := ask(t, f, http.MethodPost, "/", "", nil)
	if next == nil || next.PID == 0 || next.PID == e.PID {
		t.Errorf("after it, %+v", next)
	}
	if s := f.Stats(); s.Killed != 1 || s.Broken != 3 || s.Starts != 2 {
		t.Errorf("stats are %+v", s)
	}

	g := newFunction(t, func(f *Function) {
		f.Interrupt = func(r *http.Request) (time.Duration, bool) { return 0, r.URL.Path == "/hang" }
	})
	if status, _, _ := ask(t, g, http.MethodPost, "/hang", "", nil); status != 503 {
		t.Errorf("interrupted, it answers %d", status)
	}
	if status, _, _ := ask(t, g, http.MethodPost, "/", "", nil); status != 200 {
		t.Errorf("not interrupted, it answers %d", status)
	}
	if s := g.Stats(); s.Killed != 1 {
		t.Errorf("stats are %+v", s)
	}
}

// TestConcurrency: an instance has no more requests than it may, and there are no
// more instances than there may be.
func TestConcurrency(t *testing.T) {
	f := newFunction(t, func(f *Function) { f.Concurrency, f.MaxInstances = 3, 2 })
	var requests sync.WaitGroup
	for range 24 {
		requests.Go(func() {
			if status, text, e := ask(t, f, http.MethodPost, "/wait", "", nil); status != 200 || e.Most > 3 {
				t.Errorf("it answers %d %s", status, text)
			}
		})
	}
	requests.Wait()
	if s := f.Stats(); s.Starts != 2 || s.Requests != 24 || s.Most != 3 {
		t.Errorf("stats are %+v", s)
	}
}

// TestTimeout: Cloud Run answers 504, and leaves the instance alone.
func TestTimeout(t *testing.T) {
	f := newFunction(t, func(f *Function) { f.Timeout, f.MaxInstances = 200*time.Millisecond, 1 })
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, text, _ := ask(t, f, http.MethodPost, "/hang", "", nil); status != 504 {
		t.Errorf("it answers %d %s", status, text)
	}
	eventually(t, func() error { return equal("let go", f.Log.Contains("let go"), true) })
	if s := f.Stats(); s.Timeouts != 1 || s.Starts != 1 || s.Broken != 0 {
		t.Errorf("stats are %+v", s)
	}
	// A caller that goes away is no fault of the function's.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest(http.MethodPost, "https://service/hang", nil).WithContext(ctx)
	if resp, err := (Hosts{"service": f}).RoundTrip(r); err == nil {
		t.Errorf("it answers %v", resp)
	}
	if s := f.Stats(); s.Timeouts != 1 || s.Broken != 0 {
		t.Errorf("stats are %+v", s)
	}
}

func TestDoesNotStart(t *testing.T) {
	for name, change := range map[string]func(*Function){
		"it exits":            func(f *Function) { f.Env = map[string]string{"START": "exit"} },
		"it hangs":            func(f *Function) { f.Env, f.Startup = map[string]string{"START": "hang"}, 200*time.Millisecond },
		"no such target":      func(f *Function) { f.Target = "other" },
		"no such file":        func(f *Function) { f.Binary = "testdata/none" },
		"a reserved variable": func(f *Function) { f.Env = map[string]string{"PORT": "8080"} },
	} {
		f := newFunction(t, change)
		if err := f.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "shop-test") {
			t.Errorf("%s: %v", name, err)
		}
		if status, _, _ := ask(t, f, http.MethodPost, "/", "", nil); status != 503 {
			t.Errorf("%s: it answers %d", name, status)
		}
	}
	f := newFunction(t, nil)
	f.Close()
	if status, _, _ := ask(t, f, http.MethodPost, "/", "", nil); status != 503 {
		t.Errorf("closed, it answers %d", status)
	}
}

// TestClose ends requests and processes.
func TestClose(t *testing.T) {
	f := newFunction(t, nil)
	_, _, e := ask(t, f, http.MethodPost, "/", "", nil)
	var request sync.WaitGroup
	request.Go(func() {
		if status, text, _ := ask(t, f, http.MethodPost, "/hang", "", nil); status != 503 {
			t.Errorf("it answers %d %s", status, text)
		}
	})
	eventually(t, func() error { return equal("hanging", f.Log.Contains("hanging"), true) })
	f.Close()
	request.Wait()
	if err := syscall.Kill(e.PID, 0); err == nil {
		t.Errorf("process %d is still there", e.PID)
	}
}
