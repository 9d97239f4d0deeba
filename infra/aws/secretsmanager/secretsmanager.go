// Package secretsmanager reads the document of secret keys from AWS Secrets Manager.
package secretsmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/shared/project"
)

// API is what a Secret asks of *secretsmanager.Client: see NewClient.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// NewClient returns a client which leaves it to Secret to try again.
func NewClient(cfg aws.Config) *secretsmanager.Client {
	return secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) { o.Retryer = aws.NopRetryer{} })
}

// defaultEvery has a thousand sandboxes look at a secret for about $1.50 a day
// (https://aws.amazon.com/secrets-manager/pricing, November 2026: $0.05 per 10,000 calls).
const defaultEvery = 5 * time.Minute

// attempts is how a call is tried until it succeeds, within patience.
var attempts = retry.Call{Timeout: 2 * time.Second, Backoff: retry.Backoff{Base: 50 * time.Millisecond, Most: 500 * time.Millisecond}}

const defaultPatience = 4 * time.Second

// Secret is a document in a secret, of which the current version counts. Its
// errors and tags tell nothing of the value.
type Secret struct {
	Client API
	// ID is the secret's name or ARN.
	ID string
	// Every is how long the secret is taken as unchanged without a look, since
	// each costs: 5 minutes when 0.
	Every time.Duration
	// Patience bounds a Fetch with all its attempts, 4 s when 0.
	Patience time.Duration
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	mu     sync.Mutex
	tag    string // of the version fetched last
	looked time.Time
}

var _ project.Source = (*Secret)(nil)

// Fetch implements project.Source. The tag is the version's id.
func (s *Secret) Fetch(ctx context.Context, tag string) (data []byte, newTag string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	began := now().Round(0) // by the wall clock: the other may stand while a sandbox is frozen
	if tag != "" && tag == s.tag && began.Sub(s.looked) < cmp.Or(s.Every, defaultEvery) {
		return nil, tag, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Patience, defaultPatience))
	defer cancel()
	var out *secretsmanager.GetSecretValueOutput
	if err := attempts.Do(ctx, func(ctx context.Context) (err error) {
		out, err = s.Client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.ID})
		return err
	}); err != nil {
		return nil, "", s.explain(err)
	}
	data = out.SecretBinary
	if out.SecretString != nil {
		data = []byte(*out.SecretString)
	}
	if len(data) == 0 {
		return nil, "", fmt.Errorf("get secret %s: its current version has no value", s.ID)
	}
	s.tag, s.looked = aws.ToString(out.VersionId), began
	if s.tag == tag && tag != "" {
		return nil, tag, nil
	}
	return data, s.tag, nil
}

// explain says what to do about a secret that is not there. What could not be
// read of an answer is left out, since it may be a part of the secret.
func (s *Secret) explain(err error) error {
	if _, unread := errors.AsType[*smithy.DeserializationError](err); unread {
		return fmt.Errorf("get secret %s: the answer could not be read", s.ID)
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "ResourceNotFoundException" {
		return fmt.Errorf("get secret %s: there is none of that name with a value: create it, or put the keys document into it: %w", s.ID, err)
	}
	return fmt.Errorf("get secret %s: %w", s.ID, err)
}
