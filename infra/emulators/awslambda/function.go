package awslambda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/emulators/child"
)

// A Function is one Lambda function: up to Concurrency sandboxes that run its
// bootstrap, started when they are needed and replaced when they end. Close it
// when done with it; its fields must not change after the first Invoke.
type Function struct {
	Name      string
	ARN       string // "": one of account 123456789012 in us-east-1; the region is read from it
	Bootstrap string // path of the executable; its folder is the working directory
	Handler   string
	MemoryMB  int           // what the function is told, not enforced; 0 is 128
	Timeout   time.Duration // 0 is 3 s, as on Lambda
	Init      time.Duration // until the bootstrap must ask for an event; 0 is 10 s, as on Lambda
	// Concurrency is how many invocations may run at once, more are throttled; 0 is 10.
	Concurrency int
	// Env are the function's own variables, checked as Lambda checks them.
	Env map[string]string
	// Endpoints are further variables that say where AWS is, such as
	// AWS_ENDPOINT_URL_KINESIS: what the function is not configured with in AWS.
	Endpoints map[string]string
	// Credentials are those of the function's role.
	Credentials aws.Credentials
	// Interrupt is asked when an event was handed to a sandbox, and may have
	// the sandbox killed some time after, if it has not answered by then; nil
	// never does.
	Interrupt func(payload []byte) (after time.Duration, kill bool)
	// Line is given each line the function writes, in addition to Log.
	Line func(line string)
	// Log has the lines the function wrote.
	Log child.Log

	mu       sync.Mutex // guards what follows
	idle     []*sandbox
	all      map[*sandbox]bool // all live ones
	live     int               // all, and those that start
	inFlight int               // invocations without an answer yet
	settling int               // sandboxes that have answered and not yet asked for more
	waiting  int               // invocations that wait for one of those
	changed  chan struct{}     // closed when something changes
	stats    Stats
	closed   bool
	tasks    sync.WaitGroup
}

// Stats are what has happened to a function.
type Stats struct {
	ColdStarts, Invocations, Errors, Throttles int
	Timeouts, Crashes                          int             // among Errors
	Killed                                     int             // by Kill or Interrupt
	InitTimes                                  []time.Duration // from exec to the first GET next, per cold start
	Busy                                       time.Duration   // sum of the invocations' durations, without cold starts
	CPU                                        time.Duration   // user and system time of the sandboxes that have ended
}

// Stats returns what has happened so far.
func (f *Function) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.InitTimes = slices.Clone(s.InitTimes)
	return s
}

func (f *Function) timeout() time.Duration {
	if f.Timeout > 0 {
		return f.Timeout
	}
	return 3 * time.Second
}

func (f *Function) initTimeout() time.Duration {
	if f.Init > 0 {
		return f.Init
	}
	return 10 * time.Second
}

func (f *Function) concurrency() int {
	if f.Concurrency > 0 {
		return f.Concurrency
	}
	return 10
}

func (f *Function) line(line string) {
	f.Log.Add(line)
	if f.Line != nil {
		f.Line(line)
	}
}

// Invoke runs the function once, synchronously. When ctx ends, Invoke returns
// and the function goes on, as in Lambda when its caller is gone.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if len(payload) > MaxPayload {
		return nil, ErrTooLarge
	}
	if err := f.enter(); err != nil {
		return nil, err
	}
	done := make(chan outcome, 1)
	go func() {
		answer, err := f.run(ctx, payload)
		f.leave(err)
		done <- outcome{answer, err}
	}()
	select {
	case o := <-done:
		return o.answer, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// enter counts an invocation in, or refuses it.
func (f *Function) enter() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	if f.changed == nil {
		f.changed, f.all = make(chan struct{}), make(map[*sandbox]bool)
		if err := checkEnvironment(f.Env); err != nil {
			f.changed = nil
			return fmt.Errorf("function %s: %w", f.Name, err)
		}
	}
	if f.inFlight >= f.concurrency() {
		f.stats.Throttles++
		return ErrThrottled
	}
	f.inFlight++
	f.stats.Invocations++
	f.tasks.Add(1)
	return nil
}

func (f *Function) leave(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inFlight--
	if e, ok := errors.AsType[*FunctionError](err); ok {
		f.stats.Errors++
		switch e.Type {
		case TimedOut, InitTimeout:
			f.stats.Timeouts++
		case ExitError:
			f.stats.Crashes++
		}
	}
	f.broadcast()
	f.tasks.Done()
}

// broadcast wakes those who wait for a sandbox. The function is locked.
func (f *Function) broadcast() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// run finds a sandbox for the event and has it answer.
func (f *Function) run(ctx context.Context, payload []byte) ([]byte, error) {
	for {
		s, err := f.acquire(ctx)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		answer, err := s.invoke(payload)
		f.mu.Lock()
		f.stats.Busy += time.Since(start)
		f.settling++
		f.mu.Unlock()
		f.tasks.Go(func() { f.release(s) })
		if !errors.Is(err, errNotTaken) {
			return answer, err
		}
	}
}

// interrupt asks whether to kill a sandbox that was just handed an event, and
// does it later unless stopped.
func (f *Function) interrupt(s *sandbox, payload []byte) (stop func() bool) {
	if f.Interrupt == nil {
		return func() bool { return false }
	}
	after, kill := f.Interrupt(payload)
	if !kill {
		return func() bool { return false }
	}
	return time.AfterFunc(after, func() {
		f.mu.Lock()
		f.stats.Killed++
		f.mu.Unlock()
		s.kill()
	}).Stop
}

// acquire returns a sandbox that waits for an event, a new one if need be.
func (f *Function) acquire(ctx context.Context) (*sandbox, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.closed {
		if n := len(f.idle); n > 0 {
			s := f.idle[n-1] // the one used last
			f.idle = f.idle[:n-1]
			return s, nil
		}
		// One that is about to ask for more is better than a cold start.
		if f.settling <= f.waiting && f.live < f.concurrency() {
			return f.start(ctx)
		}
		f.waiting++
		changed := f.changed
		f.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		f.mu.Lock()
		f.waiting--
		if err != nil {
			return nil, err
		}
	}
	return nil, ErrClosed
}

// start starts a sandbox. The function is locked, and unlocked meanwhile.
func (f *Function) start(ctx context.Context) (*sandbox, error) {
	f.live++
	f.stats.ColdStarts++
	f.mu.Unlock()
	s, err := f.startSandbox(ctx)
	f.mu.Lock()
	if err != nil {
		f.live--
		f.broadcast()
		return nil, err
	}
	f.stats.InitTimes = append(f.stats.InitTimes, s.initTime)
	f.all[s] = true
	f.tasks.Go(func() { f.bury(s) })
	if f.closed {
		s.kill()
		return nil, ErrClosed
	}
	return s, nil
}

// release makes a sandbox idle as soon as it asks for more.
func (f *Function) release(s *sandbox) {
	settled := s.settle()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settling--
	if settled && f.all[s] && !s.killed.Load() {
		f.idle = append(f.idle, s)
	}
	f.broadcast()
}

// bury forgets a sandbox when its process ends.
func (f *Function) bury(s *sandbox) {
	<-s.exited
	_ = s.server.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, s)
	f.idle = slices.DeleteFunc(f.idle, func(i *sandbox) bool { return i == s })
	f.live--
	if state := s.cmd.ProcessState; state != nil {
		f.stats.CPU += state.UserTime() + state.SystemTime()
	}
	f.broadcast()
}

// Kill kills one sandbox with SIGKILL, of those that run an invocation if any
// does: the one that pick chooses among n, such as rand.IntN. It tells whether
// there was one.
func (f *Function) Kill(pick func(n int) int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	var busy, idle []*sandbox
	for s := range f.all {
		if slices.Contains(f.idle, s) {
			idle = append(idle, s)
		} else {
			busy = append(busy, s)
		}
	}
	if len(busy) == 0 {
		busy = idle
	}
	if len(busy) == 0 {
		return false
	}
	slices.SortFunc(busy, func(a, b *sandbox) int { return a.cmd.Process.Pid - b.cmd.Process.Pid })
	f.stats.Killed++
	s := busy[pick(len(busy))]
	f.idle = slices.DeleteFunc(f.idle, func(i *sandbox) bool { return i == s }) // it gets no more events while it dies
	s.kill()
	return true
}

// Close ends all sandboxes, and the invocations that run in them.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	for s := range f.all {
		s.kill()
	}
	if f.changed != nil {
		f.broadcast()
	}
	f.mu.Unlock()
	f.tasks.Wait()
}
