package sts

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	awsRole   = "arn:aws:iam::123456789012:role/hito-peer-relay"
	awsCaller = "108888888888888888888"
)

func newAWS() *AWS { return &AWS{Role: awsRole, Subject: awsCaller, Audience: awsRole} }

// assume asks to become the role, as changed.
func assume(a *AWS, token string, change func(r *http.Request, form url.Values)) (status int, answer string) {
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {awsRole},
		"RoleSessionName": {"hito-relay"}, "DurationSeconds": {"3600"}, "WebIdentityToken": {token},
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(r, form)
	}
	r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestAWSAssumes(t *testing.T) {
	a := newAWS()
	token := a.Token(awsRole)
	for range 2 { // the same token does again until it expires
		if status, answer := assume(a, token, nil); status != http.StatusOK || !strings.Contains(answer, "assumed-role/hito-peer-relay/hito-relay") {
			t.Fatalf("%d %s", status, answer)
		}
	}
	if a.Assumed() != 2 || a.Sessions()[1] != "hito-relay" || !a.Good("ASIA0000000000000002") || a.Good("ASIA0000000000000003") {
		t.Errorf("sessions %v", a.Sessions())
	}
	a.Revoke()
	if a.Good("ASIA0000000000000001") {
		t.Error("good though it is revoked")
	}
}

// withSignatureOf returns a token with another one's signature.
func withSignatureOf(token, other string) string {
	return token[:strings.LastIndex(token, ".")] + other[strings.LastIndex(other, "."):]
}

// TestAWSRefuses: what a role's trust policy does not let in, or STS does not take.
func TestAWSRefuses(t *testing.T) {
	now := time.Now()
	claims := func() googleClaims {
		return googleClaims{googleIssuer, awsRole, awsCaller, awsCaller, now.Unix(), now.Add(time.Hour).Unix()}
	}
	for name, c := range map[string]struct {
		header string
		claims func(*googleClaims)
		change func(*http.Request, url.Values)
		code   string
	}{
		"issuer":    {claims: func(c *googleClaims) { c.Issuer = "https://accounts.example" }, code: "InvalidIdentityToken"},
		"future":    {claims: func(c *googleClaims) { c.Issued = now.Add(time.Minute).Unix() }, code: "InvalidIdentityToken"},
		"expired":   {claims: func(c *googleClaims) { c.Expires = now.Unix() }, code: "ExpiredTokenException"},
		"audience":  {claims: func(c *googleClaims) { c.Audience += "-other" }, code: "AccessDenied"},
		"subject":   {claims: func(c *googleClaims) { c.Subject = "109" }, code: "AccessDenied"},
		"party":     {claims: func(c *googleClaims) { c.Party = "109" }, code: "AccessDenied"},
		"algorithm": {header: `{"alg":"none","kid":"1"}`, code: "InvalidIdentityToken"},
		"key":       {header: `{"alg":"RS256","kid":"2"}`, code: "InvalidIdentityToken"},
		"signature": {change: func(_ *http.Request, f url.Values) {
			f.Set("WebIdentityToken", withSignatureOf(f.Get("WebIdentityToken"), newAWS().Token("x")))
		}, code: "InvalidIdentityToken"},
		"no token":     {change: func(_ *http.Request, f url.Values) { f.Set("WebIdentityToken", "x") }, code: "InvalidIdentityToken"},
		"not base64":   {change: func(_ *http.Request, f url.Values) { f.Set("WebIdentityToken", "?.?.?") }, code: "InvalidIdentityToken"},
		"role":         {change: func(_ *http.Request, f url.Values) { f.Set("RoleArn", awsRole+"-other") }, code: "AccessDenied"},
		"session":      {change: func(_ *http.Request, f url.Values) { f.Set("RoleSessionName", "a b") }, code: "ValidationError"},
		"no session":   {change: func(_ *http.Request, f url.Values) { f.Del("RoleSessionName") }, code: "ValidationError"},
		"too short":    {change: func(_ *http.Request, f url.Values) { f.Set("DurationSeconds", "899") }, code: "ValidationError"},
		"too long":     {change: func(_ *http.Request, f url.Values) { f.Set("DurationSeconds", "3601") }, code: "ValidationError"},
		"no number":    {change: func(_ *http.Request, f url.Values) { f.Set("DurationSeconds", "1h") }, code: "ValidationError"},
		"another call": {change: func(_ *http.Request, f url.Values) { f.Set("Action", "AssumeRole") }, code: "InvalidAction"},
		"version":      {change: func(_ *http.Request, f url.Values) { f.Del("Version") }, code: "InvalidAction"},
		"path":         {change: func(r *http.Request, _ url.Values) { r.URL.Path = "/x" }, code: "InvalidAction"},
		"signed":       {change: func(r *http.Request, _ url.Values) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }, code: "InvalidClientTokenId"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAWS()
			a.Now = func() time.Time { return now }
			of := claims()
			if c.claims != nil {
				c.claims(&of)
			}
			header := c.header
			if header == "" {
				header = googleHeader
			}
			if status, answer := assume(a, sign(header, of), c.change); status/100 != 4 || !strings.Contains(answer, "<Code>"+c.code+"</Code>") {
				t.Errorf("%d %s", status, answer)
			}
			if a.Assumed() != 0 {
				t.Error("the role was assumed")
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	a := newAWS()
	for _, c := range []struct {
		query, flavor string
		want          int
	}{
		{"?audience=x&format=full", "Google", http.StatusOK},
		{"?audience=x", "", http.StatusForbidden},
		{"", "Google", http.StatusBadRequest},
	} {
		r := httptest.NewRequest(http.MethodGet, IdentityPath+c.query, nil)
		r.Header.Set("Metadata-Flavor", c.flavor)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%q: %d %s", c.query, w.Code, w.Body)
		} else if c.want == http.StatusOK {
			if got, err := a.verify(w.Body.String()); err != nil || got.Audience != "x" || got.Subject != awsCaller {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
	if a.Asked() != 1 {
		t.Errorf("asked %d times", a.Asked())
	}
}

// TestGuard: only credentials that were given, and have not ended, get through.
func TestGuard(t *testing.T) {
	now := time.Now()
	a := newAWS()
	a.Now = func() time.Time { return now }
	if status, answer := assume(a, a.Token(awsRole), nil); status != http.StatusOK {
		t.Fatal(answer)
	}
	guard := a.Guard("eu-west-3", "kinesis", http.NotFoundHandler())
	ask := func(credential, token string) (status int, answer string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+credential+", SignedHeaders=host, Signature=0")
		r.Header.Set("X-Amz-Security-Token", token)
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	const key, scope = "ASIA0000000000000001", "/20261128/eu-west-3/kinesis/aws4_request"
	for _, c := range []struct{ credential, token, code string }{
		{key + scope, sessionOf(key), ""},
		{key + scope, "", "UnrecognizedClientException"},
		{"ASIA" + scope, sessionOf("ASIA"), "UnrecognizedClientException"},
		{key + "/20261128/eu-west-1/kinesis/aws4_request", sessionOf(key), "IncompleteSignatureException"},
		{key + "/20261128/eu-west-3/sqs/aws4_request", sessionOf(key), "IncompleteSignatureException"},
		{key, sessionOf(key), "IncompleteSignatureException"},
	} {
		status, answer := ask(c.credential, c.token)
		if through := status == http.StatusNotFound; through != (c.code == "") || !strings.Contains(answer, c.code) {
			t.Errorf("%+v: %d %s", c, status, answer)
		}
	}
	now = now.Add(time.Hour)
	if status, answer := ask(key+scope, sessionOf(key)); status != http.StatusBadRequest || !strings.Contains(answer, "ExpiredTokenException") {
		t.Errorf("%d %s", status, answer)
	}
}
