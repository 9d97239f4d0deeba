package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
	"github.com/hitolayer/hito/shared/stream/streamtest"
)

// deliveries is after how many a record goes to quarantine.
const deliveries = 5

// TestStreamConformance: what is published from Google Cloud is, on AWS, what package
// stream says, whatever becomes of credentials meanwhile.
func TestStreamConformance(t *testing.T) {
	kinesalite := emulators.Kinesalite(t)
	// Publishers have up to 32 calls under way at a time, each of which may be made twice:
	// only so much happens meanwhile that the second one finds good credentials.
	for name, c := range map[string]struct {
		every   int64         // so many calls,
		leap    time.Duration // time goes on by that,
		revokes bool          // and AWS forgets all credentials
	}{
		"Plain":   {every: 1},
		"Expires": {every: 1, leap: 40 * time.Second},
		"Revokes": {every: 100, leap: 2 * young, revokes: true},
	} {
		t.Run(name, func(t *testing.T) {
			var clock, calls atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(clock.Load())) }
			a := newAWS()
			a.Now = now
			google := httptest.NewServer(a)
			t.Cleanup(google.Close)
			t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(google.URL, "http://"))
			guarded := a.Guard(region, "kinesis", through(t, kinesalite))
			kinesis := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1)%c.every == 0 {
					clock.Add(int64(c.leap))
					if c.revokes {
						a.Revoke()
					}
				}
				guarded.ServeHTTP(w, r)
			}))
			t.Cleanup(kinesis.Close)
			env := map[string]string{"AWS_ENDPOINT_URL_STS": google.URL, "AWS_ENDPOINT_URL_KINESIS": kinesis.URL, "K_SERVICE": "hito-relay"}
			publishers := 0
			streamtest.Run(t, func(t *testing.T) streamtest.Stream {
				u := &underTest{client: awskinesis.New(awskinesis.Options{
					Region: region, BaseEndpoint: &kinesalite, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: patient{},
				})}
				u.create(t)
				p, err := NewPublisher(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, role, region, u.name)
				if err != nil {
					t.Fatal(err)
				}
				p.Credentials.Now = now
				u.Publisher = p
				publishers++
				return u
			}, streamtest.Features{
				KeyAffinity: true, CountsAttempts: true, MaxAttempts: deliveries, MaxRecordBytes: 1<<20 - 256, Patience: time.Minute,
			})
			if n := a.Assumed(); n < publishers || (n > publishers) != (c.leap > 0) {
				t.Errorf("%d publishers assumed the role %d times", publishers, n)
			}
		})
	}
}

// patient ends no request before its answer is there: kinesalite exits when its
// caller hangs up.
type patient struct{}

func (patient) Do(r *http.Request) (*http.Response, error) {
	return http.DefaultClient.Do(r.WithContext(context.WithoutCancel(r.Context())))
}

// RoundTrip implements http.RoundTripper.
func (patient) RoundTrip(r *http.Request) (*http.Response, error) {
	return http.DefaultTransport.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
}

// through passes requests on.
func through(t *testing.T, to string) http.Handler {
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: patient{}, ErrorLog: log.New(io.Discard, "", 0),
	}
}

var streams atomic.Int64

// underTest is a stream with a consumer in small: of what a shard gives it delivers
// one Kinesis record at a time, until it is done or goes to quarantine.
type underTest struct {
	*Publisher
	client *awskinesis.Client
	name   string

	mu      sync.Mutex
	entries []quarantine.Entry
}

func (u *underTest) create(t *testing.T) {
	t.Helper()
	u.name = fmt.Sprint("peer-", streams.Add(1))
	if _, err := u.client.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: &u.name, ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		out, err := u.client.DescribeStreamSummary(t.Context(), &awskinesis.DescribeStreamSummaryInput{StreamName: &u.name})
		if err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("stream %s is not there: %v", u.name, err)
		}
	}
}

func (u *underTest) Consume(t *testing.T, h stream.Handler) {
	shards, err := u.client.ListShards(t.Context(), &awskinesis.ListShardsInput{StreamName: &u.name})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var consumers sync.WaitGroup
	for _, s := range shards.Shards {
		it, err := u.client.GetShardIterator(t.Context(), &awskinesis.GetShardIteratorInput{StreamName: &u.name, ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		consumers.Go(func() {
			for iterator := it.ShardIterator; ctx.Err() == nil; {
				out, err := u.client.GetRecords(context.WithoutCancel(ctx), &awskinesis.GetRecordsInput{ShardIterator: iterator})
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range out.Records {
					if err := u.deliver(ctx, h, r); err != nil {
						t.Error(err)
					}
				}
				iterator = out.NextShardIterator
				select {
				case <-time.After(5 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		consumers.Wait()
	})
}

func (u *underTest) deliver(ctx context.Context, h stream.Handler, r types.Record) error {
	left, err := pack.Open(r.Data)
	if err != nil {
		return err
	}
	for i := range left {
		left[i].ID = fmt.Sprint(*r.SequenceNumber, ".", i)
	}
	for attempt := 1; len(left) > 0; attempt++ {
		for i := range left {
			left[i].Attempt = attempt
		}
		err := stream.Call(ctx, h, left)
		failures, ok := err.(stream.Failures)
		if err != nil && !ok {
			for i := range left {
				failures = append(failures, stream.Failure{Index: i, Err: err})
			}
		}
		var again []stream.Record
		for _, f := range failures {
			if r := left[f.Index]; attempt < deliveries && !stream.IsPermanent(f.Err) {
				again = append(again, r)
			} else {
				u.put(quarantine.Of(quarantine.Score, &r, f.Err))
			}
		}
		left = again
	}
	return nil
}

func (u *underTest) put(e quarantine.Entry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.ContainsFunc(u.entries, func(there quarantine.Entry) bool { return there.ID == e.ID }) {
		e.Body = bytes.Clone(e.Body)
		u.entries = append(u.entries, e)
	}
}

func (u *underTest) Quarantined(*testing.T) []quarantine.Entry {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.entries)
}

// TestNoStream: what AWS says of a stream that is not there is told.
func TestNoStream(t *testing.T) {
	a := newAWS()
	guarded := httptest.NewServer(a.Guard(region, "kinesis", through(t, emulators.Kinesalite(t))))
	t.Cleanup(guarded.Close)
	p, _ := publisher(a)
	kinesis := p.Client.(client).kinesis.(*awskinesis.Client).Options()
	kinesis.HTTPClient, kinesis.BaseEndpoint = http.DefaultClient, &guarded.URL
	p.Client, p.Stream = client{awskinesis.New(kinesis), p.Credentials}, "nowhere"
	err := p.Publish(t.Context(), one)
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); !missing || stream.IsPermanent(err) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}
