package sts

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AWS stands in for AWS's Security Token Service, as far as it lets somebody act as
// a role by Google's word, and for Google's part in that: the metadata server that
// gives the word, and the key that it is signed with.
// Its exported fields are not to be changed while it serves.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
type AWS struct {
	// Role is the ARN of the role.
	Role string
	// Subject and Audience are what the role's trust policy asks for: a service
	// account's unique ID, as accounts.google.com:sub and :aud, and whom the token is
	// for, as accounts.google.com:oaud.
	Subject, Audience string
	// Caller is whose tokens the metadata server gives: Subject when empty.
	Caller string
	// Lifetime is how long tokens are good, an hour when 0.
	Lifetime time.Duration
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Fail, if set, may answer in place of the services, and reports whether it has.
	Fail func(w http.ResponseWriter, r *http.Request) bool

	mu       sync.Mutex
	given    map[string]time.Time // access keys, and when they end
	sessions []string
	asked    int
}

// Assumed returns how often somebody became the role.
func (a *AWS) Assumed() int { return len(a.Sessions()) }

// Sessions returns the names under which somebody became the role.
func (a *AWS) Sessions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.sessions)
}

// Asked returns how often the metadata server was asked who somebody is.
func (a *AWS) Asked() int { a.mu.Lock(); defer a.mu.Unlock(); return a.asked }

// Revoke makes all credentials that were given worthless.
func (a *AWS) Revoke() { a.mu.Lock(); defer a.mu.Unlock(); clear(a.given) }

// Good reports whether credentials by that access key were given and have not ended.
func (a *AWS) Good(accessKey string) bool { return a.check(accessKey) == "" }

// check returns the code by which AWS refuses an access key.
func (a *AWS) check(accessKey string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch ends, ok := a.given[accessKey]; {
	case !ok:
		return "UnrecognizedClientException"
	case !a.now().Before(ends):
		return "ExpiredTokenException"
	}
	return ""
}

// secretOf and sessionOf are what belongs to an access key.
func secretOf(accessKey string) string  { return "secret of " + accessKey }
func sessionOf(accessKey string) string { return "session of " + accessKey }

// Guard lets through to a service in a region, such as "kinesis", what is signed in
// the name of credentials that were given and have not ended. Whether their secret
// signed it, it does not check.
func (a *AWS) Guard(region, service string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		credential, _, _ = strings.Cut(credential, ",")
		scope := strings.Split(credential, "/") // key, day, region, service, aws4_request
		code := "IncompleteSignatureException"
		if len(scope) == 5 && scope[2] == region && scope[3] == service {
			if code = a.check(scope[0]); code == "" && r.Header.Get("X-Amz-Security-Token") != sessionOf(scope[0]) {
				code = "UnrecognizedClientException"
			}
		}
		if code == "" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"__type":%q,"message":"The security token included in the request is not taken"}`, code)
	})
}

func (a *AWS) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// IdentityPath is where the metadata server gives tokens.
const IdentityPath = "/computeMetadata/v1/instance/service-accounts/default/identity"

// sessionNames are the names of sessions that AWS takes.
var sessionNames = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// ServeHTTP implements http.Handler: the metadata server under its path, and STS.
func (a *AWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.Fail != nil && a.Fail(w, r) {
		return
	}
	if r.URL.Path == IdentityPath {
		a.identity(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	err := r.ParseForm()
	form := r.PostForm
	seconds, noNumber := strconv.Atoi(cmp.Or(form.Get("DurationSeconds"), "3600"))
	switch {
	case err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || form.Get("Action") != "AssumeRoleWithWebIdentity" || form.Get("Version") != "2011-06-15":
		a.refuse(w, http.StatusBadRequest, "InvalidAction", "Could not find operation")
	case r.Header.Get("Authorization") != "":
		a.refuse(w, http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	case !sessionNames.MatchString(form.Get("RoleSessionName")):
		a.refuse(w, http.StatusBadRequest, "ValidationError", "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint")
	case noNumber != nil || seconds < 900 || seconds > 3600:
		a.refuse(w, http.StatusBadRequest, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	default:
		a.assume(w, form.Get("WebIdentityToken"), form.Get("RoleArn"), form.Get("RoleSessionName"), time.Duration(seconds)*time.Second)
	}
}

// assume gives credentials for a token. Its refusals quote the token, which AWS's are
// not known not to do.
func (a *AWS) assume(w http.ResponseWriter, token, role, session string, lifetime time.Duration) {
	claims, err := a.verify(token)
	switch {
	case errors.Is(err, errExpired):
		a.refuse(w, http.StatusBadRequest, "ExpiredTokenException", "Token expired: "+token)
		return
	case err != nil:
		a.refuse(w, http.StatusBadRequest, "InvalidIdentityToken", err.Error()+": "+token)
		return
	case role != a.Role || claims.Subject != a.Subject || claims.Party != a.Subject || claims.Audience != a.Audience:
		a.refuse(w, http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
		return
	}
	a.mu.Lock()
	a.sessions = append(a.sessions, session)
	key, ends := fmt.Sprintf("ASIA%016d", len(a.sessions)), a.now().Add(lifetime)
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
		ARN:         strings.Replace(strings.Replace(role, ":iam:", ":sts:", 1), ":role/", ":assumed-role/", 1) + "/" + session,
		Credentials: credentials{key, secretOf(key), sessionOf(key), ends.UTC()},
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
	switch {
	case r.Header.Get("Metadata-Flavor") != "Google":
		http.Error(w, "Missing Metadata-Flavor:Google header.", http.StatusForbidden)
		return
	case audience == "":
		http.Error(w, "non-empty audience parameter required", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.asked++
	a.mu.Unlock()
	_, _ = io.WriteString(w, a.Token(audience))
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

const (
	googleIssuer = "https://accounts.google.com"
	googleHeader = `{"alg":"RS256","kid":"1","typ":"JWT"}`
)

// Token is a token of Google's for an audience.
func (a *AWS) Token(audience string) string {
	caller, lifetime := cmp.Or(a.Caller, a.Subject), cmp.Or(a.Lifetime, time.Hour)
	return sign(googleHeader, googleClaims{googleIssuer, audience, caller, caller, a.now().Unix(), a.now().Add(lifetime).Unix()})
}

func sign(header string, claims googleClaims) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	hash := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, googleKey(), crypto.SHA256, hash[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// googleKey is the key that all tokens of Google's are signed with.
var googleKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var errExpired = errors.New("expired")

// verify returns what a token says that Google signed, and that is good now.
func (a *AWS) verify(token string) (c googleClaims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("not a token")
	}
	var decoded [3][]byte
	for i, part := range parts {
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return c, errors.New("not a token")
		}
	}
	var header struct{ Alg, Kid string }
	if err := errors.Join(json.Unmarshal(decoded[0], &header), json.Unmarshal(decoded[1], &c)); err != nil || header.Alg != "RS256" || header.Kid != "1" {
		return c, errors.New("no key of Google's signs so")
	}
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&googleKey().PublicKey, crypto.SHA256, hash[:], decoded[2]) != nil {
		return c, errors.New("the signature is not Google's")
	}
	switch now := a.now().Unix(); {
	case c.Issuer != googleIssuer:
		return c, errors.New("the issuer is not Google")
	case c.Issued > now:
		return c, errors.New("it is of the future")
	case now >= c.Expires:
		return c, errExpired
	}
	return c, nil
}
