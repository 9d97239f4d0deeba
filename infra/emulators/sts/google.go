// Package sts stands in for the services by which one cloud takes another's word
// for who calls. Tests serve them; nothing deployed links it.
package sts

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Google stands in for Google's Security Token Service, as far as it exchanges
// requests signed on AWS for tokens, and for its IAM Service Account Credentials
// API, as far as such a token gets one of a service account's there. It also plays
// AWS's part: it knows the secret keys, and checks signatures by them.
// Its exported fields are not to be changed while it serves.
//
// https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds
type Google struct {
	// Provider is the pool's provider,
	// //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/X.
	Provider string
	// Role is the ARN of the role that the provider's attribute condition lets in,
	// arn:aws:sts::ACCOUNT:assumed-role/ROLE.
	Role string
	// Account is the service account that the role may act as.
	Account string
	// Keys are AWS's credentials by their access key ID.
	Keys map[string]AWSKey
	// Lifetime is how long tokens of the service account are good: an hour when 0.
	// FederatedLifetime is that of those by which they are got.
	Lifetime, FederatedLifetime time.Duration
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Fail, if set, may answer in place of the services, and reports whether it has.
	Fail func(w http.ResponseWriter, r *http.Request) bool

	mu        sync.Mutex
	federated map[string]googleGrant
	tokens    map[string]googleGrant
	shown     map[string]int // by signature
	calls     map[string]int // by the last part of the path
}

// AWSKey is an AWS credential.
type AWSKey struct {
	Secret, Session string
	// Role is whom it is of: arn:aws:sts::ACCOUNT:assumed-role/ROLE.
	Role string
	// Expires is when it ends, the zero time for never.
	Expires time.Time
}

// googleGrant is what a token is good for.
type googleGrant struct {
	scopes  []string
	expires time.Time
}

// Exchanges and Impersonations return how often each service was called.
func (g *Google) Exchanges() int { return g.called("token") }

// Impersonations returns how often a service account's token was asked for.
func (g *Google) Impersonations() int { return g.called(":generateAccessToken") }

func (g *Google) called(what string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[what]
}

// ShownAgain returns how many signed requests were shown more than once. Google
// takes them again until they expire; whoever shows them should not.
func (g *Google) ShownAgain() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, times := range g.shown {
		n += times - 1
	}
	return n
}

// Revoke makes all tokens of the service account worthless.
func (g *Google) Revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.tokens)
}

// Authorized reports whether a request's Authorization is that of the service
// account, for a scope.
func (g *Google) Authorized(authorization, scope string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	of, known := g.tokens[token]
	return ok && known && g.now().Before(of.expires) && slices.Contains(of.scopes, scope)
}

func (g *Google) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}

// maxGoogleBody is how much of a request is taken.
const maxGoogleBody = 64 << 10

// cloudScope is good for everything.
const cloudScope = "https://www.googleapis.com/auth/cloud-platform"

// ServeHTTP serves POST /v1/token and
// POST /v1/projects/-/serviceAccounts/EMAIL:generateAccessToken.
func (g *Google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGoogleBody))
	_, method, _ := strings.Cut(r.URL.Path, ":")
	impersonates := method != ""
	what := path.Base(r.URL.Path)
	if impersonates {
		what = ":" + method
	}
	g.mu.Lock()
	if g.calls == nil {
		g.calls, g.shown, g.federated, g.tokens = map[string]int{}, map[string]int{}, map[string]googleGrant{}, map[string]googleGrant{}
	}
	g.calls[what]++
	g.mu.Unlock()
	if g.Fail != nil && g.Fail(w, r) {
		return
	}
	switch {
	case err != nil || r.Method != http.MethodPost:
		apiError(w, http.StatusBadRequest, "INVALID_ARGUMENT", "not a call that is served here")
	case r.URL.Path == "/v1/token":
		g.exchange(w, r, body)
	case impersonates && method == "generateAccessToken" && strings.HasPrefix(r.URL.Path, accounts):
		g.impersonate(w, r, body)
	default:
		apiError(w, http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.")
	}
}

const accounts = "/v1/projects/-/serviceAccounts/"

// exchange is https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token.
func (g *Google) exchange(w http.ResponseWriter, r *http.Request, body []byte) {
	form, err := url.ParseQuery(string(body))
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		oauthError(w, http.StatusBadRequest, "invalid_request", "the body is not a form")
		return
	}
	for field, want := range map[string]string{
		"grant_type":           "urn:ietf:params:oauth:grant-type:token-exchange",
		"requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
		"subject_token_type":   "urn:ietf:params:aws:token-type:aws4_request",
	} {
		if got := form.Get(field); got != want {
			oauthError(w, http.StatusBadRequest, "invalid_request", fmt.Sprintf("%s is %q", field, got))
			return
		}
	}
	if r.Header.Get("Authorization") != "" || form.Get("scope") == "" {
		oauthError(w, http.StatusBadRequest, "invalid_request", "it has an Authorization, or no scope")
		return
	}
	if form.Get("audience") != g.Provider {
		oauthError(w, http.StatusBadRequest, "invalid_target", `The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn't exist.`)
		return
	}
	role, err := g.caller(form.Get("subject_token"))
	if err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_grant", "Invalid AWS request: "+err.Error())
		return
	}
	if role != g.Role {
		oauthError(w, http.StatusForbidden, "unauthorized_client", "The given credential is rejected by the attribute condition.")
		return
	}
	lifetime := cmp.Or(g.FederatedLifetime, time.Hour)
	token := g.give(g.federated, googleGrant{strings.Fields(form.Get("scope")), g.now().Add(lifetime)})
	googleAnswer(w, http.StatusOK, map[string]any{
		"access_token": token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": int(lifetime.Seconds()),
	})
}

func (g *Google) give(to map[string]googleGrant, of googleGrant) (token string) {
	token = "ya29." + rand.Text()
	g.mu.Lock()
	defer g.mu.Unlock()
	to[token] = of
	return token
}

// impersonate is
// https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken.
func (g *Google) impersonate(w http.ResponseWriter, r *http.Request, body []byte) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	g.mu.Lock()
	of, known := g.federated[token]
	g.mu.Unlock()
	if !known || !g.now().Before(of.expires) {
		apiError(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.")
		return
	}
	if !slices.Contains(of.scopes, cloudScope) && !slices.Contains(of.scopes, "https://www.googleapis.com/auth/iam") {
		apiError(w, http.StatusForbidden, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
		return
	}
	if r.URL.Path != accounts+g.Account+":generateAccessToken" {
		apiError(w, http.StatusForbidden, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).")
		return
	}
	var in struct {
		Scope    []string
		Lifetime string
	}
	lifetime := time.Hour
	err := json.Unmarshal(body, &in)
	if err == nil && in.Lifetime != "" {
		lifetime, err = time.ParseDuration(in.Lifetime)
	}
	if err != nil || len(in.Scope) == 0 || lifetime <= 0 || lifetime > time.Hour {
		apiError(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Request contains an invalid argument.")
		return
	}
	if g.Lifetime != 0 {
		lifetime = g.Lifetime
	}
	expires := g.now().Add(lifetime).UTC().Truncate(time.Second)
	googleAnswer(w, http.StatusOK, map[string]string{"accessToken": g.give(g.tokens, googleGrant{in.Scope, expires}), "expireTime": expires.Format(time.RFC3339)})
}

// caller returns the role of who signed a request for GetCallerIdentity, which is
// bound to the provider.
func (g *Google) caller(subject string) (role string, err error) {
	text, err := url.PathUnescape(subject)
	if err != nil {
		return "", errors.New("it is not URL-encoded")
	}
	var in struct {
		URL, Method string
		Headers     []struct{ Key, Value string }
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return "", errors.New("it is not JSON")
	}
	to, err := url.Parse(in.URL)
	if err != nil {
		return "", errors.New("its URL is none")
	}
	region := strings.TrimSuffix(strings.TrimPrefix(to.Host, "sts."), ".amazonaws.com")
	if to.Host != "sts."+region+".amazonaws.com" || region == "" || strings.Contains(region, ".") || to.Scheme != "https" || to.User != nil || strings.Trim(to.Path, "/") != "" ||
		to.Query().Encode() != "Action=GetCallerIdentity&Version=2011-06-15" || in.Method != http.MethodPost {
		return "", errors.New("it does not ask a region's AWS STS for GetCallerIdentity")
	}
	headers := map[string]string{}
	for _, h := range in.Headers {
		key := strings.ToLower(h.Key)
		if _, twice := headers[key]; twice {
			return "", fmt.Errorf("header %s is there twice", key)
		}
		headers[key] = h.Value
	}
	if headers["host"] != to.Host {
		return "", errors.New("its host is not the URL's")
	}
	if target := headers["x-goog-cloud-target-resource"]; strings.TrimPrefix(target, "https:") != g.Provider {
		return "", fmt.Errorf("its x-goog-cloud-target-resource is %q", target)
	}
	return g.verify(in.Method, to, region, headers)
}

// signatureSkew is how far from now AWS takes a signature's time to be.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html
const signatureSkew = 15 * time.Minute

// verify checks a request's signature as AWS does, and returns whose it is.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (g *Google) verify(method string, to *url.URL, region string, headers map[string]string) (role string, err error) {
	const algorithm, timeForm = "AWS4-HMAC-SHA256", "20060102T150405Z"
	fields := map[string]string{}
	given, ok := strings.CutPrefix(headers["authorization"], algorithm+" ")
	for field := range strings.SplitSeq(given, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if !ok || len(scope) != 5 {
		return "", errors.New("its Authorization is not a signature")
	}
	at, err := time.Parse(timeForm, headers["x-amz-date"])
	day := at.Format("20060102")
	if err != nil || !slices.Equal(scope[1:], []string{day, region, "sts", "aws4_request"}) {
		return "", fmt.Errorf("it is signed for %s, at %q", strings.Join(scope[1:], "/"), headers["x-amz-date"])
	}
	key, known := g.Keys[scope[0]]
	if !known {
		return "", errors.New("InvalidClientTokenId: The security token included in the request is invalid")
	}
	signed := strings.Split(fields["SignedHeaders"], ";")
	for _, must := range []string{"host", "x-amz-date", "x-goog-cloud-target-resource", "x-amz-security-token"} {
		if _, there := headers[must]; there && !slices.Contains(signed, must) {
			return "", fmt.Errorf("%s is not signed", must)
		}
	}
	if !slices.IsSorted(signed) {
		return "", errors.New("its SignedHeaders are not sorted")
	}
	var request strings.Builder
	request.WriteString(method + "\n/\n" + to.Query().Encode() + "\n")
	for _, name := range signed {
		request.WriteString(name + ":" + strings.Join(strings.Fields(headers[name]), " ") + "\n")
	}
	request.WriteString("\n" + fields["SignedHeaders"] + "\n" + hexSHA256(nil))
	sum := []byte("AWS4" + key.Secret)
	for _, part := range append(scope[1:], algorithm+"\n"+headers["x-amz-date"]+"\n"+strings.Join(scope[1:], "/")+"\n"+hexSHA256([]byte(request.String()))) {
		mac := hmac.New(sha256.New, sum)
		mac.Write([]byte(part))
		sum = mac.Sum(nil)
	}
	if signature, err := hex.DecodeString(fields["Signature"]); err != nil || !hmac.Equal(signature, sum) {
		return "", errors.New("SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided")
	}
	g.mu.Lock()
	g.shown[fields["Signature"]]++
	g.mu.Unlock()
	now := g.now()
	if at.Before(now.Add(-signatureSkew)) || at.After(now.Add(signatureSkew)) {
		return "", fmt.Errorf("SignatureDoesNotMatch: Signature expired: %s", headers["x-amz-date"])
	}
	if headers["x-amz-security-token"] != key.Session {
		return "", errors.New("InvalidClientTokenId: The security token included in the request is invalid")
	}
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return "", errors.New("ExpiredToken: The security token included in the request is expired")
	}
	return key.Role, nil
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func googleAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

func oauthError(w http.ResponseWriter, status int, code, description string) {
	googleAnswer(w, status, map[string]string{"error": code, "error_description": description})
}

func apiError(w http.ResponseWriter, status int, code, message string) {
	googleAnswer(w, status, map[string]any{"error": map[string]any{"code": status, "status": code, "message": message}})
}
