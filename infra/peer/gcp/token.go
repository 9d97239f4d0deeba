package gcp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/backoff"
)

const (
	// ahead is how long before its end a token is replaced, while it still works;
	// margin how long before it is used no more, since requests take time.
	ahead, margin = 5 * time.Minute, 10 * time.Second
	// refreshTimeout bounds a refresh with all its attempts, and attemptTimeout one.
	refreshTimeout, attemptTimeout = 10 * time.Second, 3 * time.Second
	// young is a token that is not replaced though it was not taken: another would
	// not be either.
	young = time.Minute
)

// Where Google's token services are, and what their tokens are for: the first only
// to get the second.
const (
	stsURL      = "https://sts.googleapis.com"
	iamURL      = "https://iamcredentials.googleapis.com"
	iamScope    = "https://www.googleapis.com/auth/iam"
	pubsubScope = "https://www.googleapis.com/auth/pubsub"
)

// pause is how long nothing is asked of Google after so many refreshes failed.
var pause = backoff.Backoff{Base: time.Second, Most: 30 * time.Second}

// Token is the access token of a service account on Google Cloud, which a function
// on AWS gets with its own credentials: Google's Security Token Service takes a
// signed request by them for who they are, and gives a token to act as the account
// with. Nothing is stored. The token is fetched anew ahead of its end, and as long
// as that fails, used until its end.
//
// Credentials, Region and Identity must be set. It is safe for concurrent use, and
// must not be copied.
//
// https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds
type Token struct {
	Credentials aws.CredentialsProvider
	// Region is the AWS region whose STS Google asks who signed.
	Region   string
	Identity Identity
	// STS and IAM are where Google's Security Token Service and its IAM Service
	// Account Credentials API are, without a slash at the end: Google's when empty.
	STS, IAM string
	// Transport carries the requests, nil for one that all calls share.
	Transport http.RoundTripper
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	mu         sync.Mutex
	last       access
	refreshing chan struct{} // is closed when the refresh that is under way ends
	failed     int           // refreshes, one after the other
	err        error         // of the last one
	rests      time.Time     // until when none begins
}

// access is a token.
type access struct {
	token        string
	got, expires time.Time
}

// denied is an error that will not pass by itself soon.
type denied struct{ error }

func (d denied) Unwrap() error { return d.error }

// Access returns a token that works now. It waits only when there is none, for as
// long as ctx allows. After a refresh that failed, it returns its error for a while.
func (t *Token) Access(ctx context.Context) (string, error) {
	for {
		t.mu.Lock()
		now := t.now()
		t.refreshWhenDue(ctx, now)
		last, refreshing, err := t.last, t.refreshing, t.err
		t.mu.Unlock()
		if now.Before(last.expires.Add(-margin)) {
			return last.token, nil
		}
		if refreshing == nil {
			return "", err
		}
		select {
		case <-refreshing:
		case <-ctx.Done():
			return "", fmt.Errorf("wait for a token of %s: %w", t.Identity.Account, ctx.Err())
		}
	}
}

// Fresh sees to it that there is a token that works for a while, and does not wait
// for it: for those who may need one when Google gives none out.
func (t *Token) Fresh(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refreshWhenDue(ctx, t.now())
}

// Refused tells that a token was not taken: the next Access gets another, unless
// that would be the second within a minute.
func (t *Token) Refused(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last.token == token && t.now().Sub(t.last.got) >= young {
		t.last = access{}
	}
}

// now has no monotonic part: that stands still while a sandbox is frozen.
func (t *Token) now() time.Time {
	if t.Now != nil {
		return t.Now().Round(0)
	}
	return time.Now().Round(0)
}

// refreshWhenDue begins a refresh unless one is under way, or none is due.
func (t *Token) refreshWhenDue(ctx context.Context, now time.Time) {
	if t.refreshing != nil || now.Before(t.rests) || now.Before(t.last.expires.Add(-ahead)) {
		return
	}
	t.refreshing = make(chan struct{})
	go t.refresh(context.WithoutCancel(ctx)) // it is not only for who needed it first
}

func (t *Token) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	last, err := t.fetch(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed++
		t.err, t.rests = err, t.now().Add(pause.Delay(t.failed))
	} else {
		t.last, t.failed, t.err, t.rests = last, 0, nil, time.Time{}
	}
	close(t.refreshing)
	t.refreshing = nil
}

// fetch gets a token.
func (t *Token) fetch(ctx context.Context) (access, error) {
	federated, err := try(ctx, t.exchange)
	if err != nil {
		err = fmt.Errorf("exchange AWS credentials at %s: %w", t.Identity.Provider, err)
		if !passes(err) {
			err = denied{fmt.Errorf("%w: that provider must exist and trust this AWS account, and its attribute condition this function's role", err)}
		}
		return access{}, err
	}
	got, err := try(ctx, func(ctx context.Context) (access, error) { return t.impersonate(ctx, federated) })
	if err != nil {
		err = fmt.Errorf("act as %s: %w", t.Identity.Account, err)
		if !passes(err) {
			err = denied{fmt.Errorf("%w: that service account must exist, and give this function's role, as %s tells it, roles/iam.workloadIdentityUser", err, t.Identity.Provider)}
		}
	}
	return got, err
}

var between = backoff.Backoff{Base: 50 * time.Millisecond, Most: time.Second}

// try calls f until it succeeds, fails for good, or ctx leaves no time.
func try[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	for failed := 1; ; failed++ {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		got, err := f(attempt)
		cancel()
		if err == nil {
			return got, nil
		}
		if _, end := errors.AsType[denied](err); end || !passes(err) || ctx.Err() != nil {
			return got, err
		}
		if end := between.Wait(ctx, failed); end != nil {
			return got, fmt.Errorf("after %d attempts, %w: %w", failed, end, err)
		}
	}
}

// exchange returns the token of whom the AWS credentials are of. Each attempt signs
// anew: what was shown once is not shown again.
//
// https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
func (t *Token) exchange(ctx context.Context) (string, error) {
	shown, secrets, err := subject(ctx, t.Credentials, t.Region, t.Identity.Provider, t.now())
	if err != nil {
		return "", denied{err}
	}
	form := url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"audience":             {t.Identity.Provider},
		"scope":                {iamScope},
		"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"subject_token_type":   {"urn:ietf:params:aws:token-type:aws4_request"},
		"subject_token":        {shown},
	}
	req, err := post(ctx, cmp.Or(t.STS, stsURL)+"/v1/token", "application/x-www-form-urlencoded", "", []byte(form.Encode()))
	if err != nil {
		return "", denied{err}
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := call(client(t.Transport), req, &answer, append(secrets, shown)...); err != nil {
		return "", err
	}
	if answer.Token == "" {
		return "", errors.New("the answer has no token")
	}
	return answer.Token, nil
}

// impersonate returns a token of the service account.
//
// https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
func (t *Token) impersonate(ctx context.Context, federated string) (access, error) {
	body, err := json.Marshal(map[string]any{"scope": []string{pubsubScope}, "lifetime": "3600s"})
	if err != nil {
		return access{}, denied{err}
	}
	req, err := post(ctx, cmp.Or(t.IAM, iamURL)+"/v1/projects/-/serviceAccounts/"+t.Identity.Account+":generateAccessToken", "application/json", federated, body)
	if err != nil {
		return access{}, denied{err}
	}
	var answer struct {
		Token   string    `json:"accessToken"`
		Expires time.Time `json:"expireTime"`
	}
	if err := call(client(t.Transport), req, &answer, federated); err != nil {
		return access{}, err
	}
	now := t.now()
	if answer.Token == "" || !now.Before(answer.Expires.Add(-margin)) {
		return access{}, fmt.Errorf("the answer has no token that works after %s, by this clock", now.Format(time.RFC3339))
	}
	return access{token: answer.Token, got: now, expires: answer.Expires}, nil
}
