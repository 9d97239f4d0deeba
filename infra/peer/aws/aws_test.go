package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/infra/aws/environment"
	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/emulators/sts"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

const arn = "arn:aws:iam::123456789012:role/hito-peer-relay"

func newAWS() *sts.AWS {
	return &sts.AWS{Role: arn, Subject: "108888888888888888888", Audience: arn}
}

// serve serves AWS and Google's metadata server, and returns what a function there
// has in its environment.
func serve(t *testing.T, a *sts.AWS, kinesis string) environment.Lookup {
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://")) // metadata's client reads it
	variables := map[string]string{"AWS_ENDPOINT_URL_STS": server.URL, "AWS_ENDPOINT_URL_KINESIS": kinesis, "K_SERVICE": "hito-relay"}
	return func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	}
}

// TestPublisher: records are on the stream, put there by credentials of the role.
func TestPublisher(t *testing.T) {
	kinesalite := emulators.Kinesalite(t)
	target, err := url.Parse(kinesalite)
	if err != nil {
		t.Fatal(err)
	}
	a := newAWS()
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	var refused atomic.Int64
	guarded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, scope, _ := strings.Cut(credential, "/")
		if !a.Good(key) || r.Header.Get("X-Amz-Security-Token") != "session of "+key || !strings.Contains(scope, "/ap-northeast-1/kinesis/") {
			refused.Add(1)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"UnrecognizedClientException"}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(guarded.Close)
	// Whoever makes the stream, and reads it.
	cfg := environment.In("ap-northeast-1", func(string) (string, bool) { return "", false })
	cfg.BaseEndpoint = &kinesalite
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
	})
	client := awskinesis.NewFromConfig(cfg)
	name, one := "enriched", int32(1)
	if _, err := client.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: &name, ShardCount: &one}); err != nil {
		t.Fatal(err)
	}
	if err := awskinesis.NewStreamExistsWaiter(client, func(o *awskinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	}).
		Wait(t.Context(), &awskinesis.DescribeStreamInput{StreamName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}

	p := Publisher(serve(t, a, guarded.URL), arn, "ap-northeast-1", name)
	var publishing sync.WaitGroup
	for i := range 8 { // at once, with one becoming the role
		publishing.Go(func() {
			if err := p.Publish(t.Context(), []stream.Record{{Project: "p", Key: fmt.Sprint("a:", i), Events: 1, Time: 1, Data: fmt.Append(nil, "r", i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	publishing.Wait()
	if a.Assumed() != 1 || a.Asked() != 1 || refused.Load() != 0 {
		t.Errorf("assumed %d times, asked %d times, refused %d times", a.Assumed(), a.Asked(), refused.Load())
	}
	shards, err := client.ListShards(t.Context(), &awskinesis.ListShardsInput{StreamName: &name})
	if err != nil {
		t.Fatal(err)
	}
	from, err := client.GetShardIterator(t.Context(), &awskinesis.GetShardIteratorInput{StreamName: &name, ShardId: shards.Shards[0].ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetRecords(t.Context(), &awskinesis.GetRecordsInput{ShardIterator: from.ShardIterator})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range got.Records {
		records, err := pack.Open(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		n += len(records)
	}
	if n != 8 {
		t.Errorf("%d records on the stream", n)
	}
}

// TestRefused: who is not let in is told what to do, and nothing of the token.
func TestRefused(t *testing.T) {
	for name, spoil := range map[string]func(a *sts.AWS){
		"another audience": func(a *sts.AWS) { a.Audience = "arn:aws:iam::123456789012:role/other" },
		"another caller":   func(a *sts.AWS) { a.Caller = "109999999999999999999" },
		"another role":     func(a *sts.AWS) { a.Role = "arn:aws:iam::123456789012:role/other" },
		"expired":          func(a *sts.AWS) { a.Lifetime = -time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAWS()
			spoil(a)
			p := Publisher(serve(t, a, "http://127.0.0.1:1"), arn, "us-east-1", "s")
			p.Patience = 20 * time.Second
			err := p.Publish(t.Context(), []stream.Record{{Project: "p", Key: "a:1", Events: 1, Data: []byte("x")}})
			if err == nil || stream.IsPermanent(err) || !strings.Contains(err.Error(), "trust policy") || !strings.Contains(err.Error(), arn) {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "eyJ") {
				t.Errorf("the error tells the token: %v", err)
			}
			if a.Assumed() != 0 {
				t.Error("the role was assumed")
			}
		})
	}
}

// TestReplayed: a token that was good once is not when it has expired.
func TestReplayed(t *testing.T) {
	a := newAWS()
	now := time.Now()
	a.Now = func() time.Time { return now }
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	old := word(a.Token(arn))
	cfg := environment.In("us-east-1", func(string) (string, bool) { return "", false })
	cfg.BaseEndpoint = &server.URL
	if _, err := newActor(cfg, arn, "hito-relay", old).Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := newActor(cfg, arn, "hito-relay", old).Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "ExpiredToken") {
		t.Errorf("an old token is taken: %v", err)
	}
}

type word string

func (w word) GetIdentityToken() ([]byte, error) { return []byte(w), nil }

type words func() ([]byte, error)

func (w words) GetIdentityToken() ([]byte, error) { return w() }

// inProcess carries requests to a handler without a network.
type inProcess struct{ http.Handler }

func (h inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestAhead: credentials are replaced while they work, and used until their end
// when there are no others.
func TestAhead(t *testing.T) {
	a := newAWS()
	a.Token("") // makes its key outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		cfg := environment.In("us-east-1", func(string) (string, bool) { return "", false })
		cfg.HTTPClient = inProcess{a}
		cfg.RetryMaxAttempts = 1
		away := false
		who := words(func() ([]byte, error) {
			if away {
				return nil, errors.New("the metadata server is away")
			}
			return []byte(a.Token(arn)), nil
		})
		cache := aws.NewCredentialsCache(newActor(cfg, arn, "hito-relay", who))
		good := func() {
			t.Helper()
			c, err := cache.Retrieve(t.Context())
			if err != nil || !a.Good(c.AccessKeyID) {
				t.Fatalf("%v: %v", c.AccessKeyID, err)
			}
		}
		good()
		time.Sleep(time.Hour - 2*ahead - time.Second)
		good()
		if n := a.Assumed(); n != 1 {
			t.Fatalf("assumed %d times", n)
		}
		time.Sleep(ahead + 2*time.Second)
		good()
		if n := a.Assumed(); n != 2 {
			t.Fatalf("assumed %d times", n)
		}
		away = true
		for range 55 {
			time.Sleep(time.Minute)
			good()
		}
		time.Sleep(4*time.Minute + 30*time.Second)
		good()
		time.Sleep(30 * time.Second)
		if c, err := cache.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "metadata server is away") {
			t.Fatalf("%q: %v", c.AccessKeyID, err)
		}
		away = false
		good()
	})
}
