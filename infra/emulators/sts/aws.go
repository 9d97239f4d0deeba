// Package sts stands in for the services by which one cloud takes another's word
// for who calls. Tests serve them; nothing deployed links it.
package sts

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AWS stands in for AWS's Security Token Service, as far as it lets somebody act as
// a role by Google's word, and for Google's part in that: the metadata server that
// gives the word. Its exported fields are not to be changed while it serves.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
type AWS struct {
	// Role is the ARN of the role.
	Role string
	// Subject and Audience are what the role's trust policy asks for: a service
	// account's unique ID, and whom the token is for.
	Subject, Audience string
	// Caller is whose tokens the metadata server gives: Subject when empty.
	Caller string
	// Lifetime is how long tokens are good, an hour when 0.
	Lifetime time.Duration
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Fail, if set, may answer in place of the services, and reports whether it has.
	Fail func(w http.ResponseWriter, r *http.Request) bool

	once    sync.Once
	key     *rsa.PrivateKey
	mu      sync.Mutex
	given   map[string]time.Time // access keys, and when they end
	assumed int
	asked   int
}

// Assumed returns how often somebody became the role.
func (a *AWS) Assumed() int { a.mu.Lock(); defer a.mu.Unlock(); return a.assumed }

// Asked returns how often the metadata server was asked who somebody is.
func (a *AWS) Asked() int { a.mu.Lock(); defer a.mu.Unlock(); return a.asked }

// Good reports whether credentials by that access key were given and have not ended.
func (a *AWS) Good(accessKey string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	ends, ok := a.given[accessKey]
	return ok && a.now().Before(ends)
}

func (a *AWS) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// ServeHTTP implements http.Handler: the metadata server under its path, and STS.
func (a *AWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.Fail != nil && a.Fail(w, r) {
		return
	}
	if r.URL.Path == "/computeMetadata/v1/instance/service-accounts/default/identity" {
		a.identity(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil || r.URL.Path != "/" || r.PostForm.Get("Action") != "AssumeRoleWithWebIdentity" {
		a.refuse(w, http.StatusBadRequest, "InvalidAction", "no such action")
		return
	}
	seconds, err := strconv.Atoi(r.PostForm.Get("DurationSeconds"))
	if err != nil || seconds < 900 || seconds > 3600 {
		a.refuse(w, http.StatusBadRequest, "ValidationError", "DurationSeconds")
		return
	}
	claims, err := a.verify(r.PostForm.Get("WebIdentityToken"))
	switch {
	case errors.Is(err, errExpired):
		a.refuse(w, http.StatusBadRequest, "ExpiredTokenException", "the token has expired: "+r.PostForm.Get("WebIdentityToken"))
		return
	case err != nil:
		a.refuse(w, http.StatusBadRequest, "InvalidIdentityToken", err.Error()+": "+r.PostForm.Get("WebIdentityToken"))
		return
	case r.PostForm.Get("RoleArn") != a.Role || claims.Issuer != "https://accounts.google.com" || claims.Subject != a.Subject || claims.Audience != a.Audience:
		a.refuse(w, http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
		return
	}
	a.mu.Lock()
	a.assumed++
	key, ends := fmt.Sprintf("ASIA%016d", a.assumed), a.now().Add(time.Duration(seconds)*time.Second)
	if a.given == nil {
		a.given = make(map[string]time.Time)
	}
	a.given[key] = ends
	a.mu.Unlock()
	type credentials struct {
		AccessKeyID     string    `xml:"AccessKeyId"`
		SecretAccessKey string    `xml:"SecretAccessKey"`
		SessionToken    string    `xml:"SessionToken"`
		Expiration      time.Time `xml:"Expiration"`
	}
	w.Header().Set("Content-Type", "text/xml")
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName     xml.Name    `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
		ARN         string      `xml:"AssumeRoleWithWebIdentityResult>AssumedRoleUser>Arn"`
		Credentials credentials `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}{
		ARN:         a.Role + "/" + r.PostForm.Get("RoleSessionName"),
		Credentials: credentials{key, "secret of " + key, "session of " + key, ends.UTC()},
	})
}

func (a *AWS) refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Type    string   `xml:"Error>Type"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
	}{Type: "Sender", Code: code, Message: message})
}

// identity is the metadata server's answer.
// https://cloud.google.com/compute/docs/instances/verifying-instance-identity
func (a *AWS) identity(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Metadata-Flavor", "Google")
	audience := r.URL.Query().Get("audience")
	if r.Header.Get("Metadata-Flavor") != "Google" || audience == "" {
		http.Error(w, "no audience, or no header Metadata-Flavor", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.asked++
	a.mu.Unlock()
	_, _ = w.Write([]byte(a.Token(audience)))
}

// googleClaims is what is looked at of a token.
type googleClaims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	Party    string `json:"azp"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// Token is a token of Google's for an audience.
func (a *AWS) Token(audience string) string {
	subject := a.Caller
	if subject == "" {
		subject = a.Subject
	}
	lifetime := a.Lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	payload, err := json.Marshal(googleClaims{"https://accounts.google.com", audience, subject, subject, a.now().Unix(), a.now().Add(lifetime).Unix()})
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT","kid":"1"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	hash := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.private(), crypto.SHA256, hash[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (a *AWS) private() *rsa.PrivateKey {
	a.once.Do(func() {
		var err error
		if a.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	})
	return a.key
}

var errExpired = errors.New("expired")

func (a *AWS) verify(token string) (c googleClaims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("not a token")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err == nil {
		err = rsa.VerifyPKCS1v15(&a.private().PublicKey, crypto.SHA256, hash[:], signature)
	}
	if err != nil {
		return c, fmt.Errorf("signature: %w", err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	if err == nil && a.now().Unix() > c.Expires {
		err = errExpired
	}
	return c, err
}
