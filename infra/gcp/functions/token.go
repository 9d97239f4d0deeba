package functions

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/api/idtoken"
	"google.golang.org/api/option"
)

// Token lets in requests that carry an OpenID Connect token of Google's for one
// service account and one audience, as Pub/Sub and Cloud Scheduler send it.
//
// https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
type Token struct {
	// Audience and Account, a service account's email, are the only ones let in.
	Audience, Account string
	// Checked says that Cloud Run has checked the token already, by IAM: it then
	// passes it on without its signature, and everything else is checked here. Where
	// Cloud Run does not check, whoever calls could leave the signature out.
	//
	// https://cloud.google.com/run/docs/troubleshooting#signature-removed
	Checked bool
	// Client fetches Google's keys, which are kept as long as Google says; nil is
	// one that waits for 5 s.
	Client *http.Client
	// Now is the clock that claims are held against, time.Now when nil. How long keys
	// are kept, and the end of what is signed, go by time.Now.
	Now func() time.Time

	once      sync.Once
	validator *idtoken.Validator
	err       error
}

// removed is what Cloud Run puts in the place of the signature.
const removed = "SIGNATURE_REMOVED_BY_GOOGLE"

// skew is by how much clocks may differ, except for the end of what is signed:
// idtoken allows nothing there.
const skew = time.Minute

// ErrKeys says that Google's keys cannot be had, so that a token cannot be judged.
var ErrKeys = errors.New("the keys that tokens are checked with cannot be had")

var (
	errNoToken = errors.New("no bearer token")
	errToken   = errors.New("the token is refused")
)

// Verify implements Verifier. Nothing of the token is in its error.
func (t *Token) Verify(ctx context.Context, authorization string) error {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return errNoToken
	}
	var p *idtoken.Payload
	var err error
	if parts := strings.Split(token, "."); t.Checked && len(parts) == 3 && parts[2] == removed {
		if p, err = idtoken.ParsePayload(token); err != nil {
			return fmt.Errorf("%w: it cannot be read", errToken)
		}
	} else if p, err = t.validate(ctx, token); err != nil {
		return err
	}
	return t.claims(p)
}

// validate checks the signature.
func (t *Token) validate(ctx context.Context, token string) (p *idtoken.Payload, err error) {
	t.once.Do(func() {
		client := *cmp.Or(t.Client, &http.Client{Timeout: 5 * time.Second})
		client.Transport = keys{client.Transport}
		t.validator, t.err = idtoken.NewValidator(context.WithoutCancel(ctx), option.WithHTTPClient(&client))
	})
	if t.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeys, t.err)
	}
	defer func() {
		if recover() != nil { // idtoken slices a signature without a look at its length
			p, err = nil, fmt.Errorf("%w: it cannot be read", errToken)
		}
	}()
	if p, err = t.validator.Validate(ctx, token, t.Audience); err == nil {
		return p, nil
	}
	if _, ok := errors.AsType[*url.Error](err); ok { // which is what http.Client has for whatever went wrong
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	return nil, errToken // what it says may quote the token
}

// claims checks what the token says.
func (t *Token) claims(p *idtoken.Payload) error {
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	at := now()
	email, _ := p.Claims["email"].(string)
	verified, _ := p.Claims["email_verified"].(bool)
	switch {
	case p.Issuer != "https://accounts.google.com" && p.Issuer != "accounts.google.com":
		return fmt.Errorf("%w: it is not Google's", errToken)
	case t.Audience == "" || p.Audience != t.Audience:
		return fmt.Errorf("%w: it is for another audience than %q", errToken, t.Audience)
	case t.Account == "" || email != t.Account || !verified:
		return fmt.Errorf("%w: it is not of %s", errToken, t.Account)
	case at.After(time.Unix(p.Expires, 0).Add(skew)):
		return fmt.Errorf("%w: it has expired", errToken)
	case at.Before(time.Unix(p.IssuedAt, 0).Add(-skew)):
		return fmt.Errorf("%w: it is of the future", errToken)
	}
	return nil
}

// maxKeys is many times what Google's keys take.
const maxKeys = 1 << 20

// keys is a transport that fails unless it gets keys, whole: of an answer that
// turns out to be none, idtoken would say the same as of a token that is none.
type keys struct{ http.RoundTripper }

func (k keys) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := cmp.Or(k.RoundTripper, http.DefaultTransport).RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys))
	var set struct{ Keys []json.RawMessage }
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s", r.URL.Host, resp.Status)
	case err != nil:
		return nil, fmt.Errorf("read the answer of %s: %w", r.URL.Host, err)
	case json.Unmarshal(body, &set) != nil || len(set.Keys) == 0:
		return nil, fmt.Errorf("%s answers without keys", r.URL.Host)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
