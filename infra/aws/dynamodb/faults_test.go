package dynamodb

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/hitolayer/hito/infra/aws/dynamodb/dynamodbtest"
	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/infra/emulators"
)

// quick makes tests with faults short.
var quick = retry.Call{Timeout: 2 * time.Second, Backoff: retry.Backoff{Base: time.Millisecond, Most: 20 * time.Millisecond}}

// wire is a connection to DynamoDB that goes wrong: at random, by its rates
// (0 to 1), and where hooks say so.
type wire struct {
	throttle float64 // refused
	broken   float64 // the request is lost
	lost     float64 // the answer is lost: the request took effect
	slow     float64 // the answer comes after the attempt's time
	partial  float64 // some of a BatchGetItem is left over
	conflict float64 // a transaction is cancelled because of another

	// before and after, if any, are called with each operation and its request.
	before, after func(operation string, body []byte) error

	mu     sync.Mutex
	random *rand.Rand
	calls  map[string]int
}

func (w *wire) draw() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.random == nil {
		w.random = rand.New(rand.NewPCG(1, 2))
	}
	return w.random.Float64()
}

func (w *wire) count(operation string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[operation]
}

// client returns a client through the wire to the emulator.
func (w *wire) client(t testing.TB, options ...func(*dynamodb.Options)) API {
	endpoint := emulators.SharedDynamoDB(t)
	return NewClient(dynamodbtest.Config(endpoint), append([]func(*dynamodb.Options){dynamodbtest.Options, func(o *dynamodb.Options) {
		o.HTTPClient = &http.Client{Transport: w}
	}}, options...)...)
}

var transport = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 100
	return t
}()

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

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
	switch {
	case w.draw() < w.throttle:
		return answer(r, 400, `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}`), nil
	case w.draw() < w.broken:
		return nil, errors.New("connection reset by peer")
	case operation == "TransactWriteItems" && w.draw() < w.conflict:
		var in struct{ TransactItems []json.RawMessage }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		reasons := strings.Repeat(`{"Code":"None"},`, len(in.TransactItems)-1) + `{"Code":"TransactionConflict","Message":"by another"}`
		return answer(r, 400, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"cancelled","CancellationReasons":[`+reasons+`]}`), nil
	}
	var left string
	if operation == "BatchGetItem" && w.draw() < w.partial {
		if body, left, err = w.leaveSome(body); err != nil {
			return nil, err
		}
	}
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	response, err := transport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if w.after != nil && response.StatusCode == http.StatusOK {
		if err := w.after(operation, body); err != nil {
			return nil, err
		}
	}
	switch {
	case w.draw() < w.lost:
		return nil, errors.New("unexpected EOF")
	case w.draw() < w.slow:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	text := string(content)
	if left != "" && response.StatusCode == http.StatusOK {
		text = strings.Replace(text, `"UnprocessedKeys":{}`, `"UnprocessedKeys":`+left, 1)
	}
	response.Body, response.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return response, nil
}

// leaveSome takes some of the keys out of a BatchGetItem's request, all but one.
func (w *wire) leaveSome(body []byte) (rest []byte, left string, err error) {
	type keys struct {
		ConsistentRead bool
		Keys           []json.RawMessage
	}
	var in struct{ RequestItems map[string]keys }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, "", err
	}
	unread := make(map[string]keys)
	for name, k := range in.RequestItems {
		if len(k.Keys) < 2 {
			return body, "", nil
		}
		n := 1 + int(w.draw()*float64(len(k.Keys)-1))
		unread[name] = keys{k.ConsistentRead, k.Keys[n:]}
		in.RequestItems[name] = keys{k.ConsistentRead, k.Keys[:n]}
	}
	rest, err = json.Marshal(in)
	if err != nil {
		return nil, "", err
	}
	l, err := json.Marshal(unread)
	return rest, string(l), err
}
