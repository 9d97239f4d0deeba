package gcpfunctions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"time"

	"github.com/hitolayer/hito/infra/emulators/child"
)

// A Function is one service of Cloud Run: up to MaxInstances processes of its
// server binary, started when they are needed and replaced when they end. As an
// http.Handler it is what stands behind Cloud Run's front. Close it when done with
// it; its fields must not change after the first request.
type Function struct {
	Name   string // of the service: K_SERVICE
	Target string // FUNCTION_TARGET; "" leaves it to Env
	Binary string // path of the executable; its folder is the working directory
	// Timeout is how long a request may take, until 504; 0 is 5 minutes, as on Cloud Run.
	Timeout time.Duration
	// Concurrency is how many requests an instance has at once; 0 is 80, as on Cloud Run.
	Concurrency int
	// MaxInstances is how many there may be; 0 is 4, far fewer than on Cloud Run.
	MaxInstances int
	// Startup is how long an instance has until its port answers; 0 is 4 minutes, as on Cloud Run.
	Startup time.Duration
	// Env are the function's own variables, checked as Cloud Run checks them.
	Env map[string]string
	// Endpoints are further variables that say where Google is, such as
	// PUBSUB_EMULATOR_HOST: what the function is not configured with in Google Cloud.
	Endpoints map[string]string
	// Interrupt is asked when a request was handed to an instance, and may have the
	// instance killed some time after, if it has not answered by then; nil never does.
	Interrupt func(*http.Request) (after time.Duration, kill bool)
	// Line is given each line the function writes, in addition to Log.
	Line func(line string)
	// Log has the lines the function wrote.
	Log child.Log

	transport *http.Transport

	mu       sync.Mutex // guards what follows
	live     []*instance
	running  int // processes, those that die included
	starting int
	waiting  int           // requests without an instance
	changed  chan struct{} // closed when something changes
	stats    Stats
	closed   bool
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
}

// Stats are what has happened to a function.
type Stats struct {
	Starts, Requests int
	Timeouts         int // answered 504
	Refused          int // answered 429: no instance had room
	Broken           int // answered 503: an instance did not start, or ended before it answered
	Killed           int // by Kill or Interrupt
	Most             int // requests that one instance had at once
	StartTimes       []time.Duration
	CPU              time.Duration // user and system time of the instances that have ended
}

// Stats returns what has happened so far.
func (f *Function) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.StartTimes = slices.Clone(s.StartTimes)
	return s
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func (f *Function) timeout() time.Duration { return or(f.Timeout, 5*time.Minute) }

func (f *Function) concurrency() int { return or(f.Concurrency, 80) }

func (f *Function) maxInstances() int { return or(f.MaxInstances, 4) }

func (f *Function) line(line string) {
	if line == "" { // the framework ends each request with one, when it sees K_SERVICE
		return
	}
	f.Log.Add(line)
	if f.Line != nil {
		f.Line(line)
	}
}

var (
	errTimeout = errors.New("gcpfunctions: the request took longer than the function's timeout")
	errNone    = errors.New("gcpfunctions: no instance has room")
	errClosed  = errors.New("gcpfunctions: the function is closed")
)

// maxBody is how many bytes a request may have, and queueTime how long it waits
// for an instance (cloud.google.com/run/quotas, …/run/docs/about-instance-autoscaling).
const (
	maxBody   = 32 << 20
	queueTime = 10 * time.Second
)

// ServeHTTP has an instance answer. What Cloud Run answers itself: 413 to what is
// too large, 429 when no instance had room for 10 s, 503 when an instance does not
// start or ends before it has answered, 504 after Timeout.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.stats.Requests++
	f.mu.Unlock()
	if r.ContentLength > maxBody {
		http.Error(w, "Request Entity Too Large", http.StatusRequestEntityTooLarge)
		return
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), f.timeout(), errTimeout)
	defer cancel()
	i, err := f.acquire(ctx)
	if err != nil {
		f.fail(w, r.WithContext(ctx), err)
		return
	}
	defer f.release(i)
	defer f.interrupt(i, r)()
	i.proxy.ServeHTTP(w, r.WithContext(ctx))
}

// fail answers for an instance that did not.
func (f *Function) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text, counter := http.StatusServiceUnavailable, "Service Unavailable", &f.stats.Broken
	switch {
	case errors.Is(context.Cause(r.Context()), errTimeout):
		status, text, counter = http.StatusGatewayTimeout, "upstream request timeout", &f.stats.Timeouts
	case errors.Is(err, errNone):
		status, text, counter = http.StatusTooManyRequests, "Rate exceeded.", &f.stats.Refused
	case r.Context().Err() != nil: // the caller is gone
		counter = new(int)
	default:
		f.Log.Add(fmt.Sprintf("gcpfunctions: %s %s: %v", r.Method, r.URL.Path, err))
	}
	f.mu.Lock()
	*counter++
	f.mu.Unlock()
	http.Error(w, text, status)
}

// Start starts an instance before it is needed, and waits until its port answers.
func (f *Function) Start(ctx context.Context) error {
	f.mu.Lock()
	started, err := f.start()
	f.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-started:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// acquire returns an instance with room for a request, a new one if need be.
func (f *Function) acquire(ctx context.Context) (*instance, error) {
	queue := time.NewTimer(queueTime)
	defer queue.Stop()
	var started <-chan error // of the instance started for this request
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if i := f.roomy(); i != nil {
			i.requests++
			f.stats.Most = max(f.stats.Most, i.requests)
			return i, nil
		}
		if started == nil && f.waiting >= f.starting*f.concurrency() && len(f.live)+f.starting < f.maxInstances() {
			var err error
			if started, err = f.start(); err != nil {
				return nil, err
			}
		}
		full := queue.C
		if started != nil { // a start takes what it takes
			full = nil
		}
		f.waiting++
		changed := f.changed
		f.mu.Unlock()
		var err error
		select {
		case err = <-started:
			started = nil
		case <-changed:
			select {
			case err = <-started:
				started = nil
			default:
			}
		case <-full:
			err = errNone
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		f.mu.Lock()
		f.waiting--
		if err != nil {
			return nil, err
		}
	}
}

// roomy returns the instance with the fewest requests, or nil if all are full. The
// function is locked.
func (f *Function) roomy() *instance {
	var best *instance
	for _, i := range f.live {
		if i.requests < f.concurrency() && (best == nil || i.requests < best.requests) {
			best = i
		}
	}
	return best
}

// start starts an instance, and returns where its error or nil comes. The function
// is locked.
func (f *Function) start() (<-chan error, error) {
	if f.closed {
		return nil, errClosed
	}
	if f.changed == nil {
		if err := checkEnvironment(f.Env); err != nil {
			return nil, fmt.Errorf("function %s: %w", f.Name, err)
		}
		f.changed = make(chan struct{})
		f.ctx, f.cancel = context.WithCancel(context.Background())
		f.transport = &http.Transport{MaxIdleConnsPerHost: f.concurrency(), DisableCompression: true}
	}
	f.starting++
	f.stats.Starts++
	done := make(chan error, 1)
	f.tasks.Go(func() {
		i, err := f.startInstance(f.ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.starting--
		if err == nil {
			f.stats.StartTimes = append(f.stats.StartTimes, i.startTime)
			f.live = append(f.live, i)
			f.running++
			f.tasks.Go(func() { f.bury(i) })
			if f.closed {
				i.kill()
			}
		} else {
			err = fmt.Errorf("function %s: %w", f.Name, err)
		}
		f.broadcast()
		done <- err
	})
	return done, nil
}

// broadcast wakes those who wait. The function is locked.
func (f *Function) broadcast() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Function) release(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i.requests--
	f.broadcast()
}

// bury forgets an instance when its process ends.
func (f *Function) bury(i *instance) {
	<-i.exited
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live = slices.DeleteFunc(f.live, func(other *instance) bool { return other == i })
	if state := i.cmd.ProcessState; state != nil {
		f.stats.CPU += state.UserTime() + state.SystemTime()
	}
	f.running--
	f.broadcast()
}

// interrupt asks whether to kill an instance that was just handed a request, and
// does it later unless stopped.
func (f *Function) interrupt(i *instance, r *http.Request) (stop func() bool) {
	if f.Interrupt == nil {
		return func() bool { return false }
	}
	after, kill := f.Interrupt(r)
	if !kill {
		return func() bool { return false }
	}
	return time.AfterFunc(after, func() { f.killInstance(i) }).Stop
}

// Kill kills the instance that has most requests with SIGKILL, and tells whether
// there was an instance.
func (f *Function) Kill() bool {
	f.mu.Lock()
	var most *instance
	for _, i := range f.live {
		if most == nil || i.requests > most.requests {
			most = i
		}
	}
	f.mu.Unlock()
	return most != nil && f.killInstance(most)
}

// Ended tells whether no instance runs any more, so that Stats has the CPU of all.
func (f *Function) Ended() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running == 0 && f.starting == 0
}

func (f *Function) killInstance(i *instance) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.Index(f.live, i)
	if at < 0 {
		return false
	}
	f.live = slices.Delete(f.live, at, at+1) // it gets no more requests while it dies
	f.stats.Killed++
	i.kill()
	return true
}

// Close ends all instances, and the requests that they have.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	for _, i := range f.live {
		i.kill()
	}
	if f.changed != nil {
		f.cancel()
		f.broadcast()
	}
	f.mu.Unlock()
	f.tasks.Wait()
	if f.transport != nil {
		f.transport.CloseIdleConnections()
	}
}

// proxy passes requests on to an instance.
func (f *Function) proxy(i *instance) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(i.url)
			p.Out.Host = p.In.Host
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} { // the front's
				p.Out.Header[name] = p.In.Header[name]
			}
		},
		Transport: f.transport, FlushInterval: -1, ErrorHandler: f.fail, ErrorLog: f.errors(),
	}
}
