package environment

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

func lookup(vars map[string]string) Lookup {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

func lambda(more map[string]string) map[string]string {
	vars := map[string]string{"AWS_REGION": "eu-west-3", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_SESSION_TOKEN": "TOKEN"}
	maps.Copy(vars, more)
	return vars
}

func TestIncomplete(t *testing.T) {
	for _, without := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		vars := lambda(nil)
		delete(vars, without)
		if _, err := Config(lookup(vars)); err == nil || !strings.Contains(err.Error(), without) {
			t.Errorf("without %s: %v", without, err)
		}
	}
	vars := lambda(map[string]string{"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-west-2"})
	if cfg, err := Config(lookup(vars)); err != nil || cfg.Region != "us-west-2" {
		t.Errorf("with AWS_DEFAULT_REGION: region %q, %v", cfg.Region, err)
	}
}

// stand answers every request and keeps what it was asked.
type stand struct {
	*httptest.Server
	requests chan *http.Request
}

func newStand(t *testing.T) stand {
	requests := make(chan *http.Request, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		requests <- r
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(s.Close)
	return stand{s, requests}
}

// TestEndpoints asks real clients whom they call, and as whom.
func TestEndpoints(t *testing.T) {
	all, secrets := newStand(t), newStand(t)
	vars := lambda(map[string]string{"AWS_ENDPOINT_URL": all.URL, "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets.URL})
	cfg, err := Config(lookup(vars))
	if err != nil {
		t.Fatal(err)
	}
	name := "x"
	if _, err := kinesis.NewFromConfig(cfg).DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name}); err != nil {
		t.Fatal(err)
	}
	for service, s := range map[string]stand{"kinesis": all, "secretsmanager": secrets} {
		if len(s.requests) != 1 {
			t.Fatalf("%s was asked %d times", service, len(s.requests))
		}
		r := <-s.requests
		if got := r.Header.Get("Authorization"); !strings.Contains(got, "Credential=AKID/") || !strings.Contains(got, "/eu-west-3/"+service+"/") {
			t.Errorf("%s: signed %q", service, got)
		}
		if got := r.Header.Get("X-Amz-Security-Token"); got != "TOKEN" {
			t.Errorf("%s: session token %q", service, got)
		}
	}
	vars["AWS_SESSION_TOKEN"] = "NEXT" // credentials are looked up for every request
	if c, err := cfg.Credentials.Retrieve(t.Context()); err != nil || c.SessionToken != "NEXT" {
		t.Errorf("credentials %v, %v", c.SessionToken, err)
	}
}

// TestRegionalEndpoints: without endpoints of its own, a client calls the
// region's, of the kind asked for.
func TestRegionalEndpoints(t *testing.T) {
	for name, c := range map[string]struct {
		vars map[string]string
		want string
	}{
		"plain":     {nil, "s3.eu-west-3.amazonaws.com"},
		"dualstack": {map[string]string{"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "s3.dualstack.eu-west-3.amazonaws.com"},
		"fips":      {map[string]string{"AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "us-east-1"}, "s3-fips.us-east-1.amazonaws.com"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := Config(lookup(lambda(c.vars)))
			if err != nil {
				t.Fatal(err)
			}
			var host string
			cfg.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
				host = r.URL.Host
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}}, nil
			})
			bucket, key := "bucket", "key"
			if _, err := s3.NewFromConfig(cfg).GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key}); err != nil {
				t.Fatal(err)
			}
			if host != "bucket."+c.want {
				t.Errorf("calls %s, want bucket.%s", host, c.want)
			}
		})
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
