// Package environment makes the AWS SDK's configuration of a Lambda function from
// its environment variables, which is where Lambda puts all of it. The SDK's own
// package for that also looks in files, at metadata services and single sign-on:
// what a function never uses, but would carry through every cold start (0.5 MB
// of zip, a quarter of the time until it is ready).
package environment

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Lookup finds a variable, as os.LookupEnv does.
type Lookup = func(variable string) (value string, ok bool)

// Within a region a connection stands after milliseconds. One that does not after
// seconds is better tried anew.
const (
	connectTimeout = 2 * time.Second
	tlsTimeout     = 3 * time.Second
	// headerTimeout is the last resort: adapters have shorter timeouts of their own.
	headerTimeout = 15 * time.Second
	// idlePerHost is how many connections stay open to a service. The SDK keeps
	// 10, and opens all others anew for every burst.
	idlePerHost = 64
)

// Config returns the configuration by the variables the AWS SDKs share:
// AWS_REGION (or AWS_DEFAULT_REGION), AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
// AWS_SESSION_TOKEN, and those that choose endpoints: AWS_ENDPOINT_URL and
// AWS_ENDPOINT_URL_<SERVICE>, AWS_USE_DUALSTACK_ENDPOINT, AWS_USE_FIPS_ENDPOINT.
// Credentials are looked up for every request.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
func Config(lookup Lookup) (aws.Config, error) {
	v := variables{lookup}
	region := v.get("AWS_REGION")
	if region == "" {
		region = v.get("AWS_DEFAULT_REGION")
	}
	if region == "" {
		return aws.Config{}, errors.New("AWS_REGION is not set: Lambda sets it; elsewhere it must be given")
	}
	if !v.credentials().HasKeys() {
		return aws.Config{}, errNoCredentials
	}
	cfg := In(region, lookup)
	cfg.Credentials = v
	return cfg, nil
}

// In returns the configuration of a region without credentials, by the variables
// that choose endpoints: what is not on AWS gets credentials elsewhere.
func In(region string, lookup Lookup) aws.Config {
	v := variables{lookup}
	cfg := aws.Config{
		Region:        region,
		HTTPClient:    client(),
		ConfigSources: []any{v},
		// Checksums beside TLS and content MD5 cost time, and not every stand-in for
		// a service knows them.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}
	if url := v.get("AWS_ENDPOINT_URL"); url != "" {
		cfg.BaseEndpoint = &url
	}
	return cfg
}

// client returns the HTTP client that every service's client makes its own copy of.
func client() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = tlsTimeout
			t.ResponseHeaderTimeout = headerTimeout
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 4*idlePerHost, idlePerHost
		})
}

// variables are the credentials, and a source of configuration as the services'
// clients ask for it.
type variables struct{ lookup Lookup }

func (v variables) get(name string) string {
	value, _ := v.lookup(name)
	return value
}

var errNoCredentials = errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: Lambda sets them to the role's; elsewhere they must be given")

func (v variables) credentials() aws.Credentials {
	return aws.Credentials{
		AccessKeyID: v.get("AWS_ACCESS_KEY_ID"), SecretAccessKey: v.get("AWS_SECRET_ACCESS_KEY"), SessionToken: v.get("AWS_SESSION_TOKEN"),
		Source: "environment",
	}
}

// Retrieve implements aws.CredentialsProvider.
func (v variables) Retrieve(context.Context) (aws.Credentials, error) {
	c := v.credentials()
	if !c.HasKeys() {
		return aws.Credentials{}, errNoCredentials
	}
	return c, nil
}

// GetServiceBaseEndpoint returns a service's own endpoint. id is the SDK's name
// of the service, such as "Secrets Manager".
func (v variables) GetServiceBaseEndpoint(_ context.Context, id string) (url string, found bool, err error) {
	url = v.get("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(id, " ", "_")))
	return url, url != "", nil
}

// GetUseDualStackEndpoint tells whether endpoints shall be reachable by IPv6 too.
func (v variables) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	on, found, err := v.flag("AWS_USE_DUALSTACK_ENDPOINT")
	if !on {
		return aws.DualStackEndpointStateDisabled, found, err
	}
	return aws.DualStackEndpointStateEnabled, found, err
}

// GetUseFIPSEndpoint tells whether endpoints shall be those certified for FIPS 140.
func (v variables) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	on, found, err := v.flag("AWS_USE_FIPS_ENDPOINT")
	if !on {
		return aws.FIPSEndpointStateDisabled, found, err
	}
	return aws.FIPSEndpointStateEnabled, found, err
}

func (v variables) flag(name string) (on, found bool, err error) {
	text := v.get(name)
	if text == "" {
		return false, false, nil
	}
	on, err = strconv.ParseBool(text)
	return on, err == nil, err
}
