package awslambda

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hitolayer/hito/infra/emulators/child"
)

// errNotTaken says that a sandbox died before it took the event: another one
// can have it.
var errNotTaken = errors.New("the sandbox ended before it took the event")

// A sandbox is one execution environment: a process and its Runtime API
// (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), with at most one
// invocation at a time.
type sandbox struct {
	function *Function
	cmd      *exec.Cmd
	server   *http.Server
	output   child.Lines
	initTime time.Duration // from exec to the first GET next

	next   chan *invocation // to the pending GET next
	asked  chan struct{}    // one element: the runtime waits for an event
	exited chan struct{}    // closed when the process is gone
	killed atomic.Bool      // it will be gone soon

	mu        sync.Mutex // guards what follows
	current   *invocation
	initError []byte
}

// An invocation is one event on its way through a sandbox.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	done     chan outcome // one element
}

type outcome struct {
	answer []byte
	err    error
}

// startSandbox runs the function's bootstrap and waits until it asks for an
// event. The error is a *FunctionError when the bootstrap is at fault.
func (f *Function) startSandbox(ctx context.Context) (*sandbox, error) {
	launcher, err := Launcher(f.Bootstrap)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the Runtime API: %w", err)
	}
	s := &sandbox{
		function: f, next: make(chan *invocation), asked: make(chan struct{}, 1), exited: make(chan struct{}),
		output: child.Lines{Line: f.line},
	}
	s.server = &http.Server{Handler: s.runtimeAPI()}
	go func() { _ = s.server.Serve(listener) }() // ends with Close, and needs no other end

	id := newID()
	start := time.Now()
	for {
		s.cmd = exec.Command(launcher[0], launcher[1:]...)
		s.cmd.Dir = filepath.Dir(f.Bootstrap)
		s.cmd.Env = f.environment(listener.Addr().String(), start.UTC().Format("2006/01/02")+"/[$LATEST]"+strings.ReplaceAll(id, "-", ""), s.cmd.Dir)
		s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
		s.cmd.WaitDelay = time.Second // a child of its own may hold the pipe
		err = child.Start(s.cmd)
		// A file written a moment ago is busy while a process forked meanwhile has not called exec.
		if !errors.Is(err, syscall.ETXTBSY) || !wait(ctx, time.Millisecond) {
			break
		}
	}
	if err != nil {
		_ = s.server.Close()
		return nil, newFunctionError(id, BadBinary, "%v", err)
	}
	go func() {
		_ = s.cmd.Wait() // ProcessState tells
		s.output.Flush()
		close(s.exited)
	}()
	timer := time.NewTimer(f.initTimeout())
	defer timer.Stop()
	select {
	case <-s.asked:
		s.initTime = time.Since(start)
		s.asks()
		return s, nil
	case <-s.exited:
		err = s.ended(id)
		if body := s.reportedInit(); body != nil {
			err = reportedError(id, body)
		}
	case <-timer.C:
		err = newFunctionError(id, InitTimeout, "Init phase timed out after %.2f seconds", f.initTimeout().Seconds())
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.close()
	return nil, err
}

// ended tells how the process ended.
func (s *sandbox) ended(requestID string) *FunctionError {
	how := "without reason"
	if state := s.cmd.ProcessState; state != nil && !state.Success() {
		how = "with error: " + state.String()
	}
	return newFunctionError(requestID, ExitError, "Runtime exited %s", how)
}

func (s *sandbox) reportedInit() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.initError
}

func (s *sandbox) runtimeAPI() http.Handler {
	const base = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", s.serveNext)
	mux.HandleFunc("POST "+base+"invocation/{id}/response", s.serveResponse)
	mux.HandleFunc("POST "+base+"invocation/{id}/error", s.serveError)
	mux.HandleFunc("POST "+base+"init/error", s.serveInitError)
	return mux
}

func (s *sandbox) serveNext(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	busy := s.current != nil
	s.mu.Unlock()
	if busy {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the invocation has no answer yet")
		return
	}
	s.asks()
	select {
	case inv := <-s.next:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", s.function.arn())
		h.Set("Lambda-Runtime-Trace-Id", newTrace()+";Parent="+strings.ReplaceAll(newID(), "-", "")[:16]+";Sampled=0")
		_, _ = w.Write(inv.payload) // a runtime that is gone is noticed by its exit
	case <-r.Context().Done():
	}
}

// asks notes that the runtime waits for an event.
func (s *sandbox) asks() {
	select {
	case s.asked <- struct{}{}:
	default: // it has asked before, on a connection that it lost
	}
}

func (s *sandbox) serveResponse(w http.ResponseWriter, r *http.Request) {
	// Lambda allows a little more than 6 MiB for what it wraps an answer in.
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload+101))
	if err != nil {
		refuse(w, http.StatusBadRequest, "RequestError", err.Error())
		return
	}
	id := r.PathValue("id")
	o := outcome{answer: body}
	status := http.StatusAccepted
	switch {
	case len(body) > MaxPayload+100:
		o = outcome{err: newFunctionError(id, TooLarge, "Response payload size exceeded maximum allowed payload size (6291556 bytes).")}
		status = http.StatusRequestEntityTooLarge
	case r.Trailer.Get("Lambda-Runtime-Function-Error-Type") != "":
		o = outcome{err: newFunctionError(id, r.Trailer.Get("Lambda-Runtime-Function-Error-Type"), "the response broke off")}
	}
	s.answer(w, id, status, o)
}

func (s *sandbox) serveError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload))
	if err != nil {
		refuse(w, http.StatusBadRequest, "RequestError", err.Error())
		return
	}
	id := r.PathValue("id")
	s.answer(w, id, http.StatusAccepted, outcome{err: reportedError(id, body)})
}

func (s *sandbox) answer(w http.ResponseWriter, id string, status int, o outcome) {
	if !s.finish(id, o) {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "no such invocation is running")
		return
	}
	if status != http.StatusAccepted {
		refuse(w, status, "RequestEntityTooLarge", "the response is too large")
		return
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"status":"OK"}`+"\n")
}

func (s *sandbox) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload))
	if err != nil {
		refuse(w, http.StatusBadRequest, "RequestError", err.Error())
		return
	}
	s.mu.Lock()
	s.initError = body
	s.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errorType":%q,"errorMessage":%q}`+"\n", kind, message)
}

// finish gives the invocation its outcome, if it is the one that runs.
func (s *sandbox) finish(id string, o outcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.id != id {
		return false
	}
	s.current.done <- o
	s.current = nil
	return true
}

// invoke runs one event in a sandbox that waits for one. At the deadline the
// process is killed, as Lambda does, and the sandbox is of no more use.
func (s *sandbox) invoke(payload []byte) ([]byte, error) {
	<-s.asked // the pool gives out only those that wait
	timeout := s.function.timeout()
	inv := &invocation{id: newID(), payload: payload, deadline: time.Now().Add(timeout), done: make(chan outcome, 1)}
	s.mu.Lock()
	s.current = inv
	s.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case s.next <- inv:
	case <-s.exited:
		return nil, errNotTaken
	case <-timer.C:
		s.kill()
		return nil, errNotTaken
	}
	defer s.function.interrupt(s, payload)()
	select {
	case o := <-inv.done:
		return o.answer, o.err
	case <-s.exited:
		select {
		case o := <-inv.done: // a panic is reported first
			return o.answer, o.err
		default:
			return nil, s.ended(inv.id)
		}
	case <-timer.C:
		s.kill()
		return nil, newFunctionError(inv.id, TimedOut, "Task timed out after %.2f seconds", timeout.Seconds())
	}
}

// settle waits until the runtime asks for the next event, without which an
// invocation is not over, and tells whether it did. One that goes on for
// longer than the function's timeout is killed.
func (s *sandbox) settle() bool {
	timer := time.NewTimer(s.function.timeout())
	defer timer.Stop()
	select {
	case <-s.asked:
		s.asks()
		return true
	case <-s.exited:
	case <-timer.C:
		s.kill()
	}
	return false
}

// kill ends the process with SIGKILL.
func (s *sandbox) kill() {
	s.killed.Store(true)
	select {
	case <-s.exited:
	default:
		child.Kill(s.cmd.Process)
	}
}

// close ends the process and the Runtime API.
func (s *sandbox) close() {
	s.kill()
	<-s.exited
	_ = s.server.Close()
}

// newID returns a random UUID, version 4.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newTrace returns the root of an X-Ray trace.
func newTrace() string {
	return fmt.Sprintf("Root=1-%08x-%s", time.Now().Unix(), strings.ReplaceAll(newID(), "-", "")[:24])
}

// wait waits for d, and tells whether ctx did not end before.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
