package retry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
)

// TestKindOf asks of errors as the SDK makes them of real answers.
func TestKindOf(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		code   string
		want   Kind
	}{
		"Throughput":     {400, "ProvisionedThroughputExceededException", Throttle},
		"Limit":          {400, "LimitExceededException", Throttle},
		"KMSThrottling":  {400, "KMSThrottlingException", Throttle},
		"Throttling":     {400, "ThrottlingException", Throttle},
		"TooMany":        {429, "", Throttle},
		"Unavailable":    {503, "", Throttle},
		"Internal":       {500, "InternalFailure", Failure},
		"Unknown500":     {500, "", Failure},
		"BadGateway":     {502, "", Failure},
		"GatewayTimeout": {504, "", Failure},
		"RequestTimeout": {408, "", Failure},
		"Timeout":        {400, "RequestTimeoutException", Failure},
		"NotFound":       {400, "ResourceNotFoundException", Never},
		"Denied":         {400, "AccessDeniedException", Never},
		"Validation":     {400, "ValidationException", Never},
		"Argument":       {400, "InvalidArgumentException", Never},
		"Iterator":       {400, "ExpiredIteratorException", Never},
		"KMSDisabled":    {400, "KMSDisabledException", Never},
		"Token":          {400, "UnrecognizedClientException", Never},
		"Unknown400":     {400, "", Never},
	} {
		t.Run(name, func(t *testing.T) {
			err := call(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				w.WriteHeader(c.status)
				if c.code != "" {
					fmt.Fprintf(w, `{"__type":%q,"message":"because"}`, c.code)
				}
			})
			if got := KindOf(err); got != c.want {
				t.Errorf("%v is %d, want %d", err, got, c.want)
			}
			if named := Named(err); errors.Is(named, ErrThrottled) != (c.want == Throttle) || !errors.Is(named, err) {
				t.Errorf("named: %v", named)
			}
		})
	}
}

// TestKindOfBrokenAnswers: a call that reached AWS, or not, and gave no answer.
func TestKindOfBrokenAnswers(t *testing.T) {
	hijack := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, err = conn.Write([]byte(answer))
			}
			if err == nil {
				err = conn.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"Closed":     hijack(""),
		"CutHeader":  hijack("HTTP/1.1 200 OK\r\nContent-"),
		"CutBody":    hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Records\":[{"),
		"NotJSON":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"CutFailure": hijack("HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\n{\"__type\":"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(t, h); KindOf(err) != Failure {
				t.Errorf("%v is %d", err, KindOf(err))
			}
		})
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // nobody listens
	if err := put(t.Context(), server.URL); KindOf(err) != Failure {
		t.Errorf("%v is %d", err, KindOf(err))
	}
}

func TestKindOfTime(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := put(ctx, server.URL); KindOf(err) != Failure {
		t.Errorf("a call out of time: %v is %d", err, KindOf(err))
	}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, stop)
	if err := put(ctx, server.URL); KindOf(err) != Never {
		t.Errorf("a call that was cancelled: %v is %d", err, KindOf(err))
	}
}

func call(t *testing.T, h http.HandlerFunc) error {
	server := httptest.NewServer(h)
	defer server.Close()
	err := put(t.Context(), server.URL)
	if err == nil {
		t.Fatal("the call succeeded")
	}
	return err
}

func put(ctx context.Context, url string) error {
	client := kinesis.New(kinesis.Options{
		Region: "eu-west-1", BaseEndpoint: &url, Retryer: sdk.NopRetryer{}, HTTPClient: &http.Client{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	_, err := client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: sdk.String("raw"), PartitionKey: sdk.String("1"), Data: []byte("1")})
	return err
}

func TestDelay(t *testing.T) {
	for _, jitter := range []float64{0, 0.5, 0.999999} {
		b := Backoff{Base: 100 * time.Millisecond, Most: time.Second, Jitter: func() float64 { return jitter }}
		for failed, most := range map[int]time.Duration{0: 100, 1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 6: 1000, 1 << 30: 1000} {
			most *= time.Millisecond
			want := most/2 + time.Duration(jitter*float64(most/2))
			if got := b.Delay(failed); got != want {
				t.Errorf("delay %d with jitter %v is %v, want %v", failed, jitter, got, want)
			}
		}
	}
	if d := (Backoff{}).Delay(1); d < 50*time.Millisecond || d > 100*time.Millisecond {
		t.Errorf("the zero value waits %v", d)
	}
	if d := (Backoff{Base: time.Minute, Jitter: func() float64 { return 0 }}).Delay(9); d != 30*time.Second {
		t.Errorf("a base above the most waits %v", d)
	}
}

func TestDo(t *testing.T) {
	busy := &smithy.GenericAPIError{Code: "ThrottlingException"}
	for name, c := range map[string]struct {
		errs  []error // then success
		calls int
		want  error
	}{
		"AtOnce":      {nil, 1, nil},
		"AfterSome":   {[]error{busy, busy, busy}, 4, nil},
		"Never":       {[]error{busy, &smithy.GenericAPIError{Code: "AccessDenied"}}, 2, errors.New("AccessDenied")},
		"OutOfTime":   {[]error{busy, busy, busy, busy, busy, busy, busy, busy, busy}, 5, ErrThrottled},
		"CallTimeout": {[]error{context.DeadlineExceeded}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				n := 0
				latest := Backoff{Jitter: func() float64 { return 0.999 }}
				err := Call{Backoff: latest, Timeout: time.Second}.Do(ctx, func(ctx context.Context) error {
					if d, ok := ctx.Deadline(); !ok || time.Until(d) > time.Second {
						t.Error("an attempt has no bound of its own")
					}
					if n++; n <= len(c.errs) {
						return c.errs[n-1]
					}
					return nil
				})
				if (err == nil) != (c.want == nil) || c.want == ErrThrottled && !errors.Is(err, c.want) {
					t.Errorf("got %v", err)
				}
				if n != c.calls {
					t.Errorf("%d calls, want %d", n, c.calls)
				}
				if ctx.Err() != nil {
					t.Error("no time is left for the caller")
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Call{}).Do(ctx, func(context.Context) error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
