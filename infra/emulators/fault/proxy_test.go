package fault

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kin "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// endpoint stands behind a proxy, answers every call with the same or as reply
// says, and keeps the bodies it got.
type endpoint struct {
	answer string
	reply  func(body []byte) string

	mu     sync.Mutex
	bodies []string
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	e.bodies = append(e.bodies, string(body))
	e.mu.Unlock()
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	answer := e.answer
	if e.reply != nil {
		answer = e.reply(body)
	}
	w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE([]byte(answer)))) // as DynamoDB does
	_, _ = io.WriteString(w, answer)
}

func (e *endpoint) got() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.bodies)
}

// before serves a proxy before an endpoint, and returns how a client reaches it
// as a caller who does not retry.
func before(t *testing.T, e *endpoint, identity string, rules ...Rule) (*Proxy, aws.Config) {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	p := &Proxy{Endpoint: server.URL, Random: rand.New(rand.NewPCG(7, 7)), Rules: rules}
	return p, config(Serve(t, p), identity)
}

func config(url, identity string) aws.Config {
	return aws.Config{
		Region:       "eu-west-1",
		BaseEndpoint: new(url),
		Credentials:  credentials.NewStaticCredentialsProvider(identity, "secret", ""),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// every returns a rule that befalls every call.
func every(kind Kind) Rule { return Rule{Kind: kind, Probability: 1} }

func describe(ctx context.Context, c aws.Config) error {
	_, err := kinesis.NewFromConfig(c).DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: new("raw")})
	return err
}

func getItem(ctx context.Context, c aws.Config) error {
	_, err := dynamodb.NewFromConfig(c).GetItem(ctx, &dynamodb.GetItemInput{TableName: new("hito"), Key: key("a")})
	return err
}

func receive(ctx context.Context, c aws.Config) error {
	_, err := sqs.NewFromConfig(c).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: new("https://sqs.eu-west-1.amazonaws.com/123456789012/actions")})
	return err
}

func getObject(ctx context.Context, c aws.Config) error {
	_, err := s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(ctx, &s3.GetObjectInput{Bucket: new("bucket"), Key: new("projects/keys.yaml")})
	return err
}

func getSecret(ctx context.Context, c aws.Config) error {
	_, err := secretsmanager.NewFromConfig(c).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: new("arn:aws:secretsmanager:eu-west-1:123456789012:secret:hito-keys-AbC3eF")})
	return err
}

func transact(ctx context.Context, c aws.Config) error {
	_, err := dynamodb.NewFromConfig(c).TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []ddb.TransactWriteItem{
		{Put: &ddb.Put{TableName: new("hito"), Item: key("a")}},
		{Update: &ddb.Update{TableName: new("hito"), Key: key("b"), UpdateExpression: new("ADD n :n")}},
		{ConditionCheck: &ddb.ConditionCheck{TableName: new("other"), Key: key("c"), ConditionExpression: new("attribute_exists(pk)")}},
	}})
	return err
}

func key(name string) map[string]ddb.AttributeValue {
	return map[string]ddb.AttributeValue{"pk": &ddb.AttributeValueMemberS{Value: name}}
}

// The SDK must see what it would see of AWS: the type, the code and the status.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		rule   Rule
		call   func(context.Context, aws.Config) error
		code   string
		status int
		typed  error
	}{
		{"kinesis", every(Throttle), describe, "ProvisionedThroughputExceededException", 400, nil},
		{"kinesis", Rule{Kind: Throttle, Code: "LimitExceededException", Nth: []int{1}}, describe, "LimitExceededException", 400, &kin.LimitExceededException{}},
		{"kinesis", every(Internal), describe, "InternalFailure", 500, nil},
		{"kinesis", every(Unavailable), describe, "ServiceUnavailable", 503, nil},
		{"dynamodb", every(Throttle), getItem, "ProvisionedThroughputExceededException", 400, &ddb.ProvisionedThroughputExceededException{}},
		{"dynamodb", Rule{Kind: Throttle, Code: "ThrottlingException", Nth: []int{1}}, getItem, "ThrottlingException", 400, &ddb.ThrottlingException{}},
		{"dynamodb", every(Internal), getItem, "InternalServerError", 500, &ddb.InternalServerError{}},
		{"dynamodb", every(Conflict), transact, "TransactionCanceledException", 400, &ddb.TransactionCanceledException{}},
		{"sqs", every(Throttle), receive, "RequestThrottled", 400, &sqstypes.RequestThrottled{}},
		{"sqs", every(Unavailable), receive, "ServiceUnavailable", 503, nil},
		{"s3", every(Throttle), getObject, "SlowDown", 503, nil},
		{"s3", every(Internal), getObject, "InternalError", 500, nil},
		{"secretsmanager", every(Throttle), getSecret, "ThrottlingException", 400, nil},
		{"secretsmanager", every(Internal), getSecret, "InternalServiceError", 500, nil},
	} {
		t.Run(c.name+" "+c.code, func(t *testing.T) {
			e := &endpoint{answer: "{}"}
			_, client := before(t, e, "beacon", c.rule)
			err := c.call(t.Context(), client)
			api, ok := errors.AsType[smithy.APIError](err)
			if !ok || api.ErrorCode() != c.code {
				t.Fatalf("got %v, want the code %s", err, c.code)
			}
			if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); !ok || answer.HTTPStatusCode() != c.status {
				t.Errorf("got %v, want the status %d", err, c.status)
			}
			if c.typed != nil && !isType(err, c.typed) {
				t.Errorf("got %v, want a %T", err, c.typed)
			}
			if got := e.got(); len(got) > 0 {
				t.Errorf("the refused call had an effect: %v", got)
			}
		})
	}
}

// isType looks for an error of want's type in err's chain.
func isType(err, want error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if reflect.TypeOf(err) == reflect.TypeOf(want) {
			return true
		}
	}
	return false
}

func TestConflictSaysWhichItem(t *testing.T) {
	_, client := before(t, &endpoint{answer: "{}"}, "beacon", every(Conflict))
	canceled, ok := errors.AsType[*ddb.TransactionCanceledException](transact(t.Context(), client))
	if !ok || len(canceled.CancellationReasons) != 3 {
		t.Fatal("not canceled with three reasons:", canceled)
	}
	for i, want := range []string{"None", "None", "TransactionConflict"} {
		if got := aws.ToString(canceled.CancellationReasons[i].Code); got != want {
			t.Errorf("reason %d is %s, want %s", i, got, want)
		}
	}
	// What cannot conflict goes through.
	if err := getItem(t.Context(), client); err != nil {
		t.Error(err)
	}
}

func TestDrops(t *testing.T) {
	for kind, effects := range map[Kind]int{DropBefore: 0, DropAfter: 1} {
		t.Run(string(kind), func(t *testing.T) {
			e := &endpoint{answer: "{}"}
			p, client := before(t, e, "beacon", Rule{Kind: kind, Nth: []int{1}})
			err := getItem(t.Context(), client)
			if _, answered := errors.AsType[smithy.APIError](err); err == nil || answered {
				t.Errorf("got %v, want a connection that breaks", err)
			}
			if got := e.got(); len(got) != effects {
				t.Errorf("%d effects, want %d", len(got), effects)
			}
			if err := getItem(t.Context(), client); err != nil {
				t.Error(err)
			}
			calls := p.Calls()
			if len(calls) != 2 || calls[0].Fault != kind || calls[0].Status != 0 || calls[1].Fault != "" || calls[1].Status != 200 {
				t.Errorf("recorded %+v", calls)
			}
		})
	}
}

func TestSlow(t *testing.T) {
	e := &endpoint{answer: "{}"}
	p, client := before(t, e, "beacon", Rule{Kind: Slow, Nth: []int{1}, Delay: time.Hour}, Rule{Kind: Slow, Nth: []int{2}, Delay: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(e.got()) == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel() // the caller's patience ends when the effect is there
	}()
	if err := getItem(ctx, client); err == nil {
		t.Error("answered at once")
	}
	if err := getItem(t.Context(), client); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(p.Calls()) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the slow call does not end with its caller")
		}
	}
}

// strikes returns which of a hundred calls are struck.
func strikes(t *testing.T, seed uint64, rules ...Rule) []Kind {
	server := httptest.NewServer(&endpoint{answer: "{}"})
	defer server.Close()
	p := &Proxy{Endpoint: server.URL, Random: rand.New(rand.NewPCG(seed, 0)), Rules: rules}
	client := config(Serve(t, p), "beacon")
	var kinds []Kind
	for range 50 {
		_ = getItem(t.Context(), client)
		_ = describe(t.Context(), client)
	}
	for _, c := range p.Calls() {
		kinds = append(kinds, c.Fault)
	}
	return kinds
}

func TestChanceIsSeeded(t *testing.T) {
	rules := []Rule{{Kind: Throttle, Action: "dynamodb:Get*", Probability: 0.3}, {Kind: Internal, Probability: 0.2}}
	first := strikes(t, 1, rules...)
	if again := strikes(t, 1, rules...); !slices.Equal(first, again) {
		t.Errorf("the same seed gives other faults:\n%v\n%v", first, again)
	}
	if other := strikes(t, 2, rules...); slices.Equal(first, other) {
		t.Error("another seed gives the same faults")
	}
	count := map[Kind]int{}
	for i, kind := range first {
		if kind == Throttle && i%2 == 1 {
			t.Error("a call is throttled that the rule is not about")
		}
		count[kind]++
	}
	if count[Throttle] < 5 || count[Throttle] > 25 || count[Internal] < 8 || count[Internal] > 32 {
		t.Errorf("unlikely: %v", count)
	}
}

func TestRulesChooseCalls(t *testing.T) {
	e := &endpoint{answer: "{}"}
	p, beacon := before(t, e, "beacon",
		Rule{Kind: Internal, Identity: "score", Action: "dynamodb:GetItem", Resource: "hi*", Nth: []int{2}},
		Rule{Kind: Internal, Identity: "score", Action: "dynamodb:GetItem", Resource: "other", Probability: 1})
	score := config(*beacon.BaseEndpoint, "score")
	for range 3 {
		if err := getItem(t.Context(), beacon); err != nil {
			t.Error("another's call is refused:", err)
		}
	}
	for i, want := range []bool{false, true, false} {
		if err := getItem(t.Context(), score); (err != nil) != want {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	p.SetRules(Rule{Kind: Throttle, Nth: []int{1}})
	if err := getItem(t.Context(), score); err == nil {
		t.Error("the new rule does not count from its beginning")
	}
	p.SetRules()
	if err := getItem(t.Context(), score); err != nil {
		t.Error(err)
	}
}

// What stands behind must get the very request: its body, its signature, its host.
func TestPassesOnUnchanged(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Amzn-Requestid", "abc")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	}))
	defer server.Close()
	url := Serve(t, &Proxy{Endpoint: server.URL})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/a%2Fb/c?x=1&y", strings.NewReader("\x00\x01binary"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/lambda/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answered, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPut || got.RequestURI != "/a%2Fb/c?x=1&y" || got.Host != req.Host || got.Header.Get("Authorization") != req.Header.Get("Authorization") || string(body) != "\x00\x01binary" {
		t.Errorf("got %s %s of %s with %v: %q", got.Method, got.RequestURI, got.Host, got.Header, body)
	}
	if resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Amzn-Requestid") != "abc" || string(answered) != "short and stout" {
		t.Errorf("answered %s %v %q", resp.Status, resp.Header, answered)
	}
}

func TestEndpointIsGone(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	err := getItem(t.Context(), config(Serve(t, &Proxy{Endpoint: server.URL}), "beacon"))
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); !ok || answer.HTTPStatusCode() != http.StatusBadGateway {
		t.Errorf("got %v, want 502", err)
	}
}
