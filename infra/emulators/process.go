package emulators

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// startTime is how long an emulator may take until it serves. DynamoDB Local
// takes up to 4 s on an idle machine, and a test machine is not idle.
const startTime = 90 * time.Second

// Process is an emulator that runs.
type Process struct {
	// URL is where it serves, such as http://127.0.0.1:40123.
	URL string

	program Program
	cmd     *exec.Cmd
	log     *log
	gone    chan struct{} // closed when it has ended, and err is final
	err     error
}

// Start starts an emulator, installing it at need, and waits until it serves. It
// runs until Stop, or until ctx ends, or (on Linux) until the caller's process
// does. The error is a *MissingError when something has to be installed first.
func Start(ctx context.Context, program Program) (*Process, error) {
	c, err := program.command(ctx)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &Process{program: program, log: newLog(), gone: make(chan struct{})}
	if c.port != 0 {
		p.log.listens <- c.port
	}
	p.cmd = exec.CommandContext(ctx, c.path, c.args...)
	p.cmd.Dir = c.dir
	p.cmd.Env = environment(c.env)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.WaitDelay = 5 * time.Second
	endWithCaller(p.cmd)
	if err := p.run(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := p.ready(ctx); err != nil {
		p.Stop()
		if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
			if missing := program.explain(exit.ExitCode(), p.Log()); missing != nil {
				return nil, missing
			}
		}
		return nil, fmt.Errorf("start %s: %w; it logged:\n%s", program, err, p.Log())
	}
	return p, nil
}

// run starts the process on a thread that stays until the process has ended: on
// Linux the death of the thread that started it would end it.
func (p *Process) run() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	return <-started
}

// ready waits until the process has said where it listens, and answers there.
func (p *Process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it does not serve after %v", startTime))
	defer cancel()
	select {
	case port := <-p.log.listens:
		p.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	case <-p.gone:
		return fmt.Errorf("it ended at once: %w", p.Err())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		err := p.program.probe(ctx, p.URL)
		if err == nil {
			return p.Err() // whoever answered, this one must be alive
		}
		select {
		case <-p.gone:
			return fmt.Errorf("it ended at once: %w", p.Err())
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-poll.C:
		}
	}
}

// Stop ends the process, which has nothing to save, and waits until it is gone.
func (p *Process) Stop() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.gone
}

// Err returns nil while the process runs, and then says that it has ended.
func (p *Process) Err() error {
	select {
	case <-p.gone:
		if p.err == nil {
			return fmt.Errorf("%s has ended", p.program)
		}
		return fmt.Errorf("%s has ended: %w", p.program, p.err)
	default:
		return nil
	}
}

// Log returns the end of what the process printed.
func (p *Process) Log() string { return p.log.String() }

// environment is the caller's, without what would point an emulator at AWS, and
// with more.
func environment(more []string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "NODE_OPTIONS=")
	})
	return append(env, more...)
}
