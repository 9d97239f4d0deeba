package dynamodb

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/hitolayer/hito/infra/aws/dynamodb/dynamodbtest"
	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/emulators/fault"
)

// quick makes tests with faults short.
var quick = retry.Call{Timeout: 2 * time.Second, Backoff: retry.Backoff{Base: time.Millisecond, Most: 20 * time.Millisecond}}

// everyFault is what a network and a busy service do.
var everyFault = []fault.Rule{
	{Kind: fault.Throttle, Probability: .03},
	{Kind: fault.Internal, Probability: .01},
	{Kind: fault.DropBefore, Probability: .03},
	{Kind: fault.DropAfter, Probability: .05},
	{Kind: fault.Partial, Probability: .3},
	{Kind: fault.Conflict, Probability: .05},
}

// faulty returns a client of the emulator through a proxy that breaks the rules.
func faulty(t testing.TB, rules []fault.Rule, options ...func(*dynamodb.Options)) API {
	t.Helper()
	endpoint := fault.Serve(t, &fault.Proxy{Endpoint: emulators.SharedDynamoDB(t), Rules: rules})
	return NewClient(dynamodbtest.Config(endpoint), append([]func(*dynamodb.Options){dynamodbtest.Options}, options...)...)
}

// wire is a client's connection, with hooks in it.
type wire struct {
	// before and after, if any, are called with each operation and its request;
	// after only when it succeeded. An error is what becomes of the request.
	before, after func(operation string, body []byte) error

	mu    sync.Mutex
	calls map[string]int
}

// count returns how many requests there were.
func (w *wire) count(operation string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[operation]
}

// client returns a client through the wire to the emulator.
func (w *wire) client(t testing.TB) API {
	t.Helper()
	return NewClient(dynamodbtest.Config(emulators.SharedDynamoDB(t)), dynamodbtest.Options, func(o *dynamodb.Options) {
		o.HTTPClient = &http.Client{Transport: w}
	})
}

var transport = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 100
	return t
}()

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	if w.calls == nil {
		w.calls = make(map[string]int)
	}
	w.calls[operation]++
	w.mu.Unlock()
	if w.before != nil {
		if err := w.before(operation, body); err != nil {
			return nil, err
		}
	}
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
	response, err := transport.RoundTrip(out)
	if err != nil || w.after == nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	if err := w.after(operation, body); err != nil {
		return nil, errors.Join(err, response.Body.Close())
	}
	return response, nil
}
