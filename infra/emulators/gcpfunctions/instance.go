package gcpfunctions

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hitolayer/hito/infra/emulators/child"
)

// An instance is one process of a function, which serves HTTP on a port of its own.
type instance struct {
	cmd       *exec.Cmd
	url       *url.URL
	proxy     *httputil.ReverseProxy
	output    child.Lines
	startTime time.Duration // from exec until the port answers
	requests  int           // that it has now; the function's lock guards it
	exited    chan struct{} // closed when the process is gone
}

// startInstance starts a process, and waits until its port answers.
func (f *Function) startInstance(ctx context.Context) (*instance, error) {
	for try := 1; ; try++ {
		port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		i, err := f.startOn(ctx, port)
		// Another process may have taken the port meanwhile.
		if err == nil || try == 3 || !f.Log.Contains(fmt.Sprintf(":%d: bind: address already in use", port)) {
			return i, err
		}
	}
}

func (f *Function) startOn(ctx context.Context, port int) (*instance, error) {
	i := &instance{
		url: &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}, output: child.Lines{Line: f.line}, exited: make(chan struct{}),
	}
	i.proxy = f.proxy(i)
	start := time.Now()
	for {
		i.cmd = exec.Command(f.Binary)
		i.cmd.Dir = filepath.Dir(f.Binary)
		i.cmd.Env = f.environment(port)
		i.cmd.Stdout, i.cmd.Stderr = &i.output, &i.output
		i.cmd.WaitDelay = time.Second // a child of its own may hold the pipe
		err := child.Start(i.cmd)
		// A file written a moment ago is busy while a process forked meanwhile has not called exec.
		if errors.Is(err, syscall.ETXTBSY) && wait(ctx, time.Millisecond) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("start an instance: %w", err)
		}
		break
	}
	go func() {
		_ = i.cmd.Wait() // ProcessState tells
		i.output.Flush()
		close(i.exited)
	}()
	if err := f.answers(ctx, i); err != nil {
		i.kill()
		<-i.exited
		return nil, fmt.Errorf("start an instance: %w; the function's log:\n%s", err, &f.Log)
	}
	i.startTime = time.Since(start)
	return i, nil
}

// answers waits until the port takes a connection, which is Cloud Run's default
// startup probe.
func (f *Function) answers(ctx context.Context, i *instance) error {
	ctx, cancel := context.WithTimeoutCause(ctx, or(f.Startup, 4*time.Minute), errors.New("its port does not answer"))
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp4", i.url.Host)
		select {
		case <-i.exited: // whoever answered, this one must be alive
			err = fmt.Errorf("it ended at once: %v", i.cmd.ProcessState)
			if conn != nil {
				_ = conn.Close()
			}
			return err
		default:
		}
		if err == nil {
			return conn.Close()
		}
		if !wait(ctx, 2*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

func (i *instance) kill() {
	select {
	case <-i.exited:
	default:
		child.Kill(i.cmd.Process)
	}
}

// errors logs what the proxy has to say beyond what it answers.
func (f *Function) errors() *log.Logger {
	return log.New(&child.Lines{Line: f.Log.Add}, "gcpfunctions: ", 0)
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// reserved are the variables that Cloud Run sets itself
// (cloud.google.com/run/docs/container-contract#env-vars).
var reserved = []string{"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}

// checkEnvironment refuses what Cloud Run would.
func checkEnvironment(env map[string]string) error {
	for name := range env {
		if name == "" || strings.Contains(name, "=") || strings.HasPrefix(name, "X_GOOGLE_") || slices.Contains(reserved, name) {
			return fmt.Errorf("the variable %q is reserved by Cloud Run", name)
		}
	}
	return nil
}

// environment is all that an instance's process sees: what Cloud Run sets, what the
// function was given, and LOCAL_ONLY, which has the functions framework listen on
// loopback only. Nothing of this process's own.
func (f *Function) environment(port int) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home"}
	for _, vars := range []map[string]string{f.Env, f.Endpoints} {
		for name, value := range vars {
			env = append(env, name+"="+value)
		}
	}
	if f.Target != "" {
		env = append(env, "FUNCTION_TARGET="+f.Target)
	}
	return append(env, "PORT="+strconv.Itoa(port), "LOCAL_ONLY=true", "K_SERVICE="+f.Name, "K_REVISION="+f.Name+"-00001-aaa", "K_CONFIGURATION="+f.Name)
}
