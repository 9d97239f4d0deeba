// Package fault stands between a client and an AWS endpoint: it makes calls fail
// in the ways in which AWS makes them fail, which no emulator does, and records
// who called what.
package fault

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// Proxy is an HTTP handler that passes calls on to an AWS endpoint, but for the
// faults. It knows the JSON protocols of Kinesis, DynamoDB, SQS and Secrets
// Manager, and S3; other calls pass through, and can be refused, dropped and
// slowed. Of CBOR it reads nothing. Bodies are held in memory, so that it is not
// for event streams.
//
// Its fields are not changed once it serves. The same calls in the same order,
// with the same Random, meet the same faults.
type Proxy struct {
	// Endpoint is the URL of what stands behind, such as http://127.0.0.1:4567.
	Endpoint string
	// Random decides what is left to chance; nil means a fixed seed. It is used
	// by one call at a time.
	Random *rand.Rand
	// Rules are the faults at first; SetRules replaces them.
	Rules []Rule

	once      sync.Once
	transport *http.Transport
	endpoint  *url.URL
	broken    error
	streams   streamOf

	mu    sync.Mutex
	rules []Rule
	seen  []int // how many calls each rule was about
	calls []Call
}

// Serve serves a proxy on a loopback port until the test ends, and returns its URL.
func Serve(t testing.TB, p *Proxy) string {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections() // a slow answer has nobody left to wait for it
		server.Close()
		p.Close()
	})
	return server.URL
}

// Close closes the idle connections to the endpoint.
func (p *Proxy) Close() {
	p.init()
	p.transport.CloseIdleConnections()
}

func (p *Proxy) init() {
	p.once.Do(func() {
		p.transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute}
		p.endpoint, p.broken = url.Parse(p.Endpoint)
		p.streams = streamOf{new(sync.Map)}
		if p.Random == nil {
			p.Random = rand.New(rand.NewPCG(1, 1))
		}
		p.rules = slices.Clone(p.Rules)
		p.seen = make([]int, len(p.rules))
	})
}

// SetRules replaces the rules; their counts of calls start anew.
func (p *Proxy) SetRules(rules ...Rule) {
	p.init()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = slices.Clone(rules)
	p.seen = make([]int, len(rules))
}

// Calls returns the calls so far, in the order in which they ended.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// decide returns the rule that strikes a call, if any, and, for a partial
// failure, the entries to withhold.
func (p *Proxy) decide(c *request) (rule *Rule, withhold []bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.rules {
		r := &p.rules[i]
		if !r.about(c) {
			continue
		}
		p.seen[i]++
		if !slices.Contains(r.Nth, p.seen[i]) && (r.Probability <= 0 || p.Random.Float64() >= r.Probability) {
			continue
		}
		if rule != nil {
			continue // every rule counts every call it is about
		}
		rule = new(*r)
		if r.Kind == Partial {
			withhold = p.choose(c.Entries, r.Share)
		}
	}
	return rule, withhold
}

// choose says of each entry whether it is withheld: at least one is.
func (p *Proxy) choose(entries int, share float64) []bool {
	if share == 0 {
		share = 0.5
	}
	withhold := make([]bool, entries)
	for i := range withhold {
		withhold[i] = p.Random.Float64() < share
	}
	if !slices.Contains(withhold, true) {
		withhold[p.Random.IntN(entries)] = true
	}
	return withhold
}

func (p *Proxy) record(c *request, answered *answer) {
	if answered != nil {
		c.Status = answered.status
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, c.Call)
}

// ServeHTTP passes a call on, or has it fail.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.init()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := parse(r, body, p.streams)
	a := p.answer(c)
	p.record(c, a)
	if a == nil {
		panic(http.ErrAbortHandler) // closes the connection
	}
	a.write(w, r.Method)
}

// answer returns what the caller gets; nil is a closed connection.
func (p *Proxy) answer(c *request) *answer {
	rule, withhold := p.decide(c)
	if rule == nil {
		return p.forward(c, c.body)
	}
	c.Fault = rule.Kind
	switch rule.Kind {
	case Throttle:
		return throttled(c, rule.Code)
	case Internal:
		return internal(c)
	case Unavailable:
		return unavailable(c)
	case Conflict:
		return conflict(c)
	case DropBefore:
		return nil
	case DropAfter:
		p.forward(c, c.body)
		return nil
	case Slow:
		a := p.forward(c, c.body)
		wait := time.NewTimer(rule.Delay)
		defer wait.Stop()
		select {
		case <-wait.C:
			return a
		case <-c.http.Context().Done():
			return nil
		}
	case Partial:
		return p.partial(c, withhold)
	default:
		return failure(http.StatusBadGateway, fmt.Errorf("there is no kind of fault called %q", rule.Kind))
	}
}

// forward makes the call with a body, its own or another.
func (p *Proxy) forward(c *request, body []byte) *answer {
	if p.broken != nil {
		return failure(http.StatusBadGateway, p.broken)
	}
	out := c.http.Clone(c.http.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = p.endpoint.Scheme, p.endpoint.Host
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.ContentLength = int64(len(body))
	out.TransferEncoding = nil
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	out.Header.Del("Connection")
	out.Header.Del("Expect") // has been answered
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		return failure(http.StatusBadGateway, err)
	}
	defer resp.Body.Close()
	answered, err := io.ReadAll(resp.Body)
	if err != nil {
		return failure(http.StatusBadGateway, err)
	}
	p.streams.learn(c, answered)
	return &answer{status: resp.StatusCode, header: resp.Header, body: answered}
}
