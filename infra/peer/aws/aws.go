// Package aws is AWS as Google Cloud's functions see it: the other cloud, whose
// streams they publish on. No key is stored: Google's metadata server says in a
// token who a function is, and AWS's Security Token Service takes that for the
// right to act as a role, for an hour.
//
// The role's trust policy lets in federated accounts.google.com, when
// accounts.google.com:sub is the service account's unique ID and
// accounts.google.com:oaud is the role's own ARN, for which alone tokens are made.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
package aws

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"cloud.google.com/go/compute/metadata"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/aws/environment"
	"github.com/hitolayer/hito/infra/aws/kinesis"
)

// Publisher returns the publisher on a Kinesis stream of a region, by its name or
// ARN, acting as a role by its ARN. Nothing is called yet.
func Publisher(lookup environment.Lookup, role, region, stream string) *kinesis.Publisher {
	cfg := environment.In(region, lookup)
	session, _ := lookup("K_SERVICE") // set by Cloud Run
	cfg.Credentials = aws.NewCredentialsCache(newActor(cfg, role, session, identity{role}))
	return &kinesis.Publisher{Client: awskinesis.NewFromConfig(cfg), Stream: stream}
}

const (
	// ahead is how long before their end credentials are replaced, up to twice that:
	// instances that began together do not ask together. Meanwhile they still work.
	ahead = 5 * time.Minute
	// margin is how long before their end they are used no more.
	margin = 10 * time.Second
	// pause is until when nothing is asked again after an attempt that failed.
	pause = 15 * time.Second
	// timeout bounds getting credentials, with all attempts.
	timeout = 10 * time.Second
)

// actor gets credentials to act as a role, for an aws.CredentialsCache, which has
// one ask for all. As long as there are no new ones, the last are good until their end.
type actor struct {
	role string
	sts  *stscreds.WebIdentityRoleProvider

	mu   sync.Mutex
	ends time.Time // the last ones
}

func newActor(cfg aws.Config, role, session string, who stscreds.IdentityTokenRetriever) *actor {
	cfg.Credentials = aws.AnonymousCredentials{} // the token says who calls
	return &actor{role: role, sts: stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(cfg), role, who, func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName, o.Duration = session, time.Hour
	})}
}

// Retrieve implements aws.CredentialsProvider. Nothing of the token is in its error.
func (a *actor) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := a.sts.Retrieve(ctx)
	if refusal, ok := errors.AsType[smithy.APIError](err); ok { // what it says may quote the token
		return aws.Credentials{}, fmt.Errorf("act as %s: AWS answers %s: the role's trust policy must name this function's service account, by its unique ID, in accounts.google.com:sub, and the role's ARN in accounts.google.com:oaud", a.role, refusal.ErrorCode())
	} else if err != nil {
		return aws.Credentials{}, fmt.Errorf("act as %s: %w", a.role, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ends = c.Expires
	c.Expires = c.Expires.Add(-ahead - rand.N(ahead))
	return c, nil
}

// HandleFailToRefresh implements aws.HandleFailRefreshCredentialsCacheStrategy.
func (a *actor) HandleFailToRefresh(_ context.Context, last aws.Credentials, err error) (aws.Credentials, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := time.Until(a.ends) - margin
	if !last.HasKeys() || left <= 0 {
		return aws.Credentials{}, err
	}
	last.Expires = time.Now().Add(min(left, pause))
	return last, nil
}

// identity is a token that says who the function is, for one audience.
type identity struct{ audience string }

// GetIdentityToken implements stscreds.IdentityTokenRetriever.
func (i identity) GetIdentityToken() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout/2)
	defer cancel()
	token, err := metadata.GetWithContext(ctx, "instance/service-accounts/default/identity?format=full&audience="+url.QueryEscape(i.audience))
	if err != nil {
		return nil, fmt.Errorf("ask Google's metadata server who this is: %w", err)
	}
	return []byte(token), nil
}
