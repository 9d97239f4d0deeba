package aws

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/aws/retry"
)

const (
	// lifetime is how long credentials are good: what every role allows.
	lifetime = time.Hour
	// ahead is how long before their end credentials are replaced, up to twice that:
	// instances that began together do not ask together. Meanwhile they still work.
	ahead = 5 * time.Minute
	// margin is how long before their end they are used no more, since requests take time.
	margin = 10 * time.Second
	// refreshTimeout bounds a refresh with all its attempts, and attemptTimeout one.
	refreshTimeout, attemptTimeout = 10 * time.Second, 3 * time.Second
	// young are credentials that are not replaced though they were not taken: others
	// would not be either.
	young = time.Minute
)

var (
	// pause is how long nothing is asked after so many refreshes failed.
	pause = retry.Backoff{Base: time.Second, Most: 30 * time.Second}
	// between is how long to wait between the attempts of one.
	between = retry.Backoff{Base: 50 * time.Millisecond, Most: time.Second}
)

// API is what Credentials need of *sts.Client.
type API interface {
	AssumeRoleWithWebIdentity(context.Context, *sts.AssumeRoleWithWebIdentityInput, ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error)
}

// Credentials are those of a role on AWS, which a function on Google Cloud gets by
// Google's word. They are fetched anew ahead of their end, and as long as that fails,
// used until their end. The SDK's own cache has whoever needs some wait for new ones
// while the last still work, however long that takes; its provider asks for the token
// without a context.
//
// Role and STS must be set. They are safe for concurrent use, and must not be copied.
type Credentials struct {
	// Role is the role's ARN.
	Role string
	// Audience is whom tokens are made for: the role when empty.
	Audience string
	// Session names the sessions, in AWS's logs: "hito" when empty.
	Session string
	STS     API
	// Identity returns a token that says who the function is: that of Google's
	// metadata server when nil.
	Identity func(ctx context.Context, audience string) (token string, err error)
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	mu         sync.Mutex
	last       session
	refreshing chan struct{} // is closed when the refresh that is under way ends
	failed     int           // refreshes, one after the other
	err        error         // of the last one
	rests      time.Time     // until when none begins
}

// session is credentials: when they were got, and from when they are replaced.
type session struct {
	aws.Credentials
	got, due time.Time
}

// Retrieve implements aws.CredentialsProvider: it returns credentials that work now.
// It waits only when there are none, for as long as ctx allows. After a refresh that
// failed, it returns its error for a while, in which is no secret.
func (c *Credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	for {
		c.mu.Lock()
		now := c.now()
		c.refreshWhenDue(ctx, now)
		last, refreshing, err := c.last, c.refreshing, c.err
		c.mu.Unlock()
		if now.Before(last.Expires.Add(-margin)) {
			return last.Credentials, nil
		}
		if refreshing == nil {
			return aws.Credentials{}, err
		}
		select {
		case <-refreshing:
		case <-ctx.Done():
			return aws.Credentials{}, fmt.Errorf("wait for credentials of %s: %w", c.Role, ctx.Err())
		}
	}
}

// Fresh sees to it that there are credentials that work for a while, and does not
// wait for them: for those who may need some when nobody gives any.
func (c *Credentials) Fresh(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshWhenDue(ctx, c.now())
}

// Refused tells that credentials were not taken: the next Retrieve gets others,
// unless these are of the last minute.
func (c *Credentials) Refused(these aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.AccessKeyID == these.AccessKeyID && c.now().Sub(c.last.got) >= young {
		c.last = session{}
	}
}

// now has no monotonic part: that stands still while an instance is frozen.
func (c *Credentials) now() time.Time {
	if c.Now != nil {
		return c.Now().Round(0)
	}
	return time.Now().Round(0)
}

// refreshWhenDue begins a refresh unless one is under way, or none is due.
func (c *Credentials) refreshWhenDue(ctx context.Context, now time.Time) {
	if c.refreshing != nil || now.Before(c.rests) || now.Before(c.last.due) {
		return
	}
	c.refreshing = make(chan struct{})
	go c.refresh(context.WithoutCancel(ctx)) // it is not only for who needed it first
}

func (c *Credentials) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	var last session
	err := retry.Call{Backoff: between, Timeout: attemptTimeout}.Do(ctx, func(ctx context.Context) (err error) {
		last, err = c.fetch(ctx)
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed++
		c.err, c.rests = fmt.Errorf("act as %s: %w", c.Role, err), c.now().Add(pause.Delay(c.failed))
	} else {
		c.last, c.failed = last, 0
	}
	close(c.refreshing)
	c.refreshing = nil
}

// fetch gets credentials, by a token of its own.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func (c *Credentials) fetch(ctx context.Context) (session, error) {
	identity, audience := c.Identity, cmp.Or(c.Audience, c.Role)
	if identity == nil {
		identity = metadataIdentity
	}
	token, err := identity(ctx, audience)
	if err != nil {
		return session{}, err
	}
	out, err := c.STS.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &c.Role, RoleSessionName: aws.String(cmp.Or(c.Session, "hito")), WebIdentityToken: &token,
		DurationSeconds: aws.Int32(int32(lifetime.Seconds())),
	}, func(o *sts.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil {
		return session{}, refusal(err, token, audience)
	}
	now := c.now()
	if out.Credentials == nil || !now.Before(aws.ToTime(out.Credentials.Expiration).Add(-margin)) {
		return session{}, passing{fmt.Errorf("AWS's answer has no credentials that work after %s, by this clock", now.Format(time.RFC3339))}
	}
	got := aws.Credentials{
		AccessKeyID: aws.ToString(out.Credentials.AccessKeyId), SecretAccessKey: aws.ToString(out.Credentials.SecretAccessKey), SessionToken: aws.ToString(out.Credentials.SessionToken),
		Source: "accounts.google.com", CanExpire: true, Expires: *out.Credentials.Expiration,
	}
	return session{got, now, got.Expires.Add(-ahead - rand.N(ahead))}, nil
}

// passing is an error that may pass by itself.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// RetryableError is what package retry asks.
func (passing) RetryableError() bool { return true }

// told is an error with another text.
type told struct {
	error
	text string
}

func (t told) Error() string { return t.text }
func (t told) Unwrap() error { return t.error }

// refusal is an error of STS with what to do about it, and without the token, which
// what AWS says may quote.
func refusal(err error, token, audience string) error {
	text := err.Error()
	for part := range strings.SplitSeq(token, ".") {
		if part != "" {
			text = strings.ReplaceAll(text, part, "[secret]")
		}
	}
	err = told{err, text}
	answer, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	switch answer.ErrorCode() {
	case "AccessDenied", "AccessDeniedException":
		who := claims(token)
		return fmt.Errorf("%w: the role must exist, and its trust policy let in accounts.google.com with accounts.google.com:sub %q, accounts.google.com:aud %q and accounts.google.com:oaud %q", err, who.Subject, who.Party, audience)
	case "IDPCommunicationError", "InvalidIdentityToken", "ExpiredTokenException":
		// AWS cannot ask Google, or has not its newest keys; the metadata server gives
		// another token in time.
		return passing{err}
	}
	return err
}

// payload is what a token says of whom it is.
type payload struct {
	Subject string `json:"sub"`
	Party   string `json:"azp"`
}

// claims returns what a token says, for those who read errors: nothing is checked.
func claims(token string) (p payload) {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		text, _ := base64.RawURLEncoding.DecodeString(parts[1]) // then it says nothing
		_ = json.Unmarshal(text, &p)
	}
	return p
}
