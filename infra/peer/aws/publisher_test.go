package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/hitolayer/hito/infra/aws/environment"
	"github.com/hitolayer/hito/infra/aws/kinesis"
	"github.com/hitolayer/hito/infra/emulators/sts"
	"github.com/hitolayer/hito/shared/stream"
)

// taker is a Kinesis that takes everything.
type taker struct{ taken atomic.Int32 }

func (k *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n := strings.Count(string(body), `"PartitionKey"`)
	k.taken.Add(int32(n))
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, _ = fmt.Fprintf(w, `{"FailedRecordCount":0,"Records":[%s]}`, strings.TrimSuffix(strings.Repeat(`{"SequenceNumber":"1","ShardId":"shardId-000000000000"},`, n), ","))
}

// publisher returns a publisher by AWS and Google on wires, within a test's bubble.
func publisher(a *sts.AWS) (*Publisher, *taker) {
	k := &taker{}
	c, _ := within(a)
	cfg := environment.In(region, nothing)
	cfg.HTTPClient = &wire{Handler: a.Guard(region, "kinesis", k)}
	return &Publisher{kinesis.Publisher{Client: client{awskinesis.NewFromConfig(cfg), c}, Stream: "s", Patience: 20 * time.Second}, c}, k
}

var one = []stream.Record{{Project: "p", Key: "a:1", Events: 1, Time: 1, Data: []byte("x")}}

// publishes publishes n times at the same time.
func publishes(t *testing.T, p *Publisher, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if err := p.Publish(t.Context(), one); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestNotTaken: credentials that Kinesis does not take any more, whatever the clock
// says, are replaced once for all.
func TestNotTaken(t *testing.T) {
	for name, end := range map[string]func(a *sts.AWS, clock *atomic.Int64){
		"expired": func(_ *sts.AWS, clock *atomic.Int64) { clock.Store(int64(time.Hour)) },
		"revoked": func(a *sts.AWS, _ *atomic.Int64) { a.Revoke() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAWS()
				var clock atomic.Int64 // by how much AWS's is ahead
				a.Now = func() time.Time { return time.Now().Add(time.Duration(clock.Load())) }
				p, k := publisher(a)
				publishes(t, p, 10)
				time.Sleep(2 * young)
				end(a, &clock)
				publishes(t, p, 10)
				publishes(t, p, 10)
				if a.Assumed() != 2 || k.taken.Load() != 30 {
					t.Errorf("assumed %d times, %d records taken", a.Assumed(), k.taken.Load())
				}
			})
		})
	}
}

// TestNeverTaken: AWS is not asked for others again and again.
func TestNeverTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAWS()
		p, _ := publisher(a)
		calls := 0
		p.Client = client{revoking{p.Client.(client).kinesis, a, &calls}, p.Credentials}
		for range 100 {
			if err := p.Publish(t.Context(), one); err == nil || stream.IsPermanent(err) || !strings.Contains(err.Error(), "UnrecognizedClient") {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := a.Assumed(); n != 2 || calls != 100+n-1 {
			t.Errorf("assumed %d times, %d calls", n, calls)
		}
	})
}

// revoking takes no credentials.
type revoking struct {
	kinesis.API
	a     *sts.AWS
	calls *int
}

func (r revoking) PutRecords(ctx context.Context, in *awskinesis.PutRecordsInput, options ...func(*awskinesis.Options)) (*awskinesis.PutRecordsOutput, error) {
	*r.calls++
	r.a.Revoke()
	return r.API.PutRecords(ctx, in, options...)
}

// TestNoCredentials: records fail for a while, not for good, and are tried for as
// long as there is time when it may help.
func TestNoCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(c *Credentials)
		waits bool
	}{
		"denied": {func(c *Credentials) { c.Audience = "another" }, false},
		"no metadata": {func(c *Credentials) {
			c.Identity = func(context.Context, string) (string, error) { return "", passing{errors.New("away")} }
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, k := publisher(newAWS())
				p.Patience = 3 * time.Second
				c.spoil(p.Credentials)
				begin := time.Now()
				err := p.Publish(t.Context(), one)
				failures, ok := err.(stream.Failures)
				if !ok || len(failures) != 1 || stream.IsPermanent(err) || !strings.Contains(err.Error(), role) || k.taken.Load() != 0 {
					t.Errorf("%v", err)
				}
				if waited := time.Since(begin); waited > p.Patience || (waited > 0) != c.waits {
					t.Errorf("waited %v", waited)
				}
				time.Sleep(time.Minute) // a refresh may be under way
			})
		})
	}
}

// TestNewPublisher: it calls the services in the stream's region, says who it is by
// Google's word, and signs by what it gets for that.
func TestNewPublisher(t *testing.T) {
	a := newAWS()
	k := &taker{}
	google := httptest.NewServer(a)
	t.Cleanup(google.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(google.URL, "http://")) // its client reads it
	lookup := func(variables map[string]string) environment.Lookup {
		return func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
	}
	p, err := NewPublisher(lookup(map[string]string{"K_SERVICE": "hito-relay"}), role, region, "arn:aws:kinesis:"+region+":123456789012:stream/enriched")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var hosts []string
	services := a.Guard(region, "kinesis", k)
	through := func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		hosts = append(hosts, r.URL.String())
		mu.Unlock()
		w := httptest.NewRecorder()
		if strings.HasPrefix(r.URL.Host, "sts.") {
			a.ServeHTTP(w, r)
		} else {
			services.ServeHTTP(w, r)
		}
		return w.Result(), nil
	}
	rewire(p, through)
	publishes(t, p, 1)
	if got := strings.Join(hosts, " "); got != "https://sts.ap-northeast-1.amazonaws.com/ https://123456789012.data-kinesis.ap-northeast-1.amazonaws.com/" {
		t.Errorf("called %s", got)
	}
	if k.taken.Load() != 1 || a.Asked() != 1 || a.Sessions()[0] != "hito-relay" {
		t.Errorf("%d taken, asked %d times, sessions %q", k.taken.Load(), a.Asked(), a.Sessions())
	}

	// Emulators in their place.
	there := httptest.NewServer(services)
	t.Cleanup(there.Close)
	p, err = NewPublisher(lookup(map[string]string{"AWS_ENDPOINT_URL_STS": google.URL, "AWS_ENDPOINT_URL_KINESIS": there.URL}), role, region, "enriched")
	if err != nil {
		t.Fatal(err)
	}
	p.Fresh(t.Context())
	publishes(t, p, 20)
	if k.taken.Load() != 21 || a.Assumed() != 2 || a.Sessions()[1] != "hito" {
		t.Errorf("%d taken, sessions %q", k.taken.Load(), a.Sessions())
	}
}

// TestNewPublisherRefuses: what cannot work is said before the first event.
func TestNewPublisherRefuses(t *testing.T) {
	for _, c := range []struct{ role, region, stream, want string }{
		{"", region, "s", "not a role"},
		{"hito-peer-relay", region, "s", "not a role"},
		{"arn:aws:iam::123:role/x", region, "s", "not a role"},
		{"arn:aws:sts::123456789012:assumed-role/x/y", region, "s", "not a role"},
		{role, "", "s", "region"},
		{role, region, "", "stream"},
		{role, region, "arn:aws:kinesis:us-east-1:123456789012:stream/s", "not a stream in " + region},
		{role, region, "arn:aws:sqs:" + region + ":123456789012:s", "not a stream"},
	} {
		if _, err := NewPublisher(nothing, c.role, c.region, c.stream); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := NewPublisher(nothing, "arn:aws-cn:iam::123456789012:role/a/path/x", region, "s"); err != nil {
		t.Error(err)
	}
}

// TestMetadata: what the metadata server does not say, or says wrong.
func TestMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
		passes bool
	}{
		"no account": {http.StatusNotFound, "", false},
		"forbidden":  {http.StatusForbidden, "no", false},
		"a page":     {http.StatusOK, "<html>", true},
		"too much":   {http.StatusTooManyRequests, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			}))
			t.Cleanup(s.Close)
			t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(s.URL, "http://"))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // its client tries again, for up to 3 s
			defer cancel()
			_, err := metadataIdentity(ctx, role)
			if _, passes := errors.AsType[passing](err); err == nil || passes != c.passes || !strings.Contains(err.Error(), "metadata server") || strings.Contains(err.Error(), "html") {
				t.Errorf("%v", err)
			}
		})
	}
}

// rewire has all of a publisher's requests go through f.
func rewire(p *Publisher, f func(*http.Request) (*http.Response, error)) {
	c := p.Client.(client)
	records := c.kinesis.(*awskinesis.Client).Options()
	records.HTTPClient = doer(f)
	p.Client = client{awskinesis.New(records), c.credentials}
	tokens := p.Credentials.STS.(*awssts.Client).Options()
	tokens.HTTPClient = doer(f)
	p.Credentials.STS = awssts.New(tokens)
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

var _ aws.CredentialsProvider = (*Credentials)(nil)
