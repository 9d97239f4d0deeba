package gcpfunctions

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// An Issuer gives out OIDC tokens of service accounts with the claims that Google's
// have (cloud.google.com/docs/authentication/token-types#id), signed with a key of
// its own.
type Issuer struct {
	// Now is its clock; nil is time.Now.
	Now func() time.Time

	once   sync.Once
	key    *rsa.PrivateKey
	id     string // of the key
	mu     sync.Mutex
	tokens map[[2]string]issued // by account and audience
}

// Claims are what a token says.
type Claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Party     string `json:"azp"`
	Subject   string `json:"sub"`
	Email     string `json:"email"`
	Verified  bool   `json:"email_verified"`
	IssuedAt  int64  `json:"iat"` // seconds since 1970
	ExpiresAt int64  `json:"exp"`
}

type issued struct {
	token string
	at    time.Time
}

const (
	issuerName = "https://accounts.google.com"
	tokenTime  = time.Hour
	// removed is what Cloud Run leaves of a signature it has checked
	// (cloud.google.com/run/docs/troubleshooting#signature-removed).
	removed = "SIGNATURE_REMOVED_BY_GOOGLE"
)

func (i *Issuer) now() time.Time {
	if i.Now != nil {
		return i.Now()
	}
	return time.Now()
}

func (i *Issuer) init() {
	i.once.Do(func() {
		var err error
		if i.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err) // there is no randomness
		}
		sum := sha256.Sum256(i.key.N.Bytes())
		i.id, i.tokens = hex.EncodeToString(sum[:20]), make(map[[2]string]issued)
	})
}

// Token returns a service account's token for an audience, which is good for an
// hour. For half of it the same one is given again.
func (i *Issuer) Token(account, audience string) string {
	i.init()
	i.mu.Lock()
	defer i.mu.Unlock()
	now, of := i.now(), [2]string{account, audience}
	if t, ok := i.tokens[of]; ok && now.Sub(t.at) < tokenTime/2 && !now.Before(t.at) {
		return t.token
	}
	sum := sha256.Sum256([]byte(account))
	subject := fmt.Sprintf("1%020d", binary.BigEndian.Uint64(sum[:])) // the account's number
	token := i.Sign(Claims{
		Issuer: issuerName, Audience: audience, Party: subject, Subject: subject, Email: account, Verified: true,
		IssuedAt: now.Unix(), ExpiresAt: now.Add(tokenTime).Unix(),
	})
	i.tokens[of] = issued{token, now}
	return token
}

// Sign returns a token that says what it is told to, for tests of what is refused.
func (i *Issuer) Sign(c Claims) string {
	i.init()
	text := encode(map[string]string{"alg": "RS256", "kid": i.id, "typ": "JWT"}) + "." + encode(c)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // the key is large enough
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// Verify returns what a token of this issuer's says, if it has not expired.
func (i *Issuer) Verify(token string) (*Claims, error) {
	i.init()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token has not three parts")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("the token's signature: %w", err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&i.key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
		return nil, fmt.Errorf("the token's signature: %w", err)
	}
	var c Claims
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return nil, fmt.Errorf("the token's claims: %w", err)
	}
	if now := i.now().Unix(); c.Issuer != issuerName || c.ExpiresAt <= now || c.IssuedAt > now+60 {
		return nil, fmt.Errorf("the token is not of %s, or not of now: %+v", issuerName, c)
	}
	return &c, nil
}

// ServeHTTP serves the public key as a JSON Web Key Set, as
// https://www.googleapis.com/oauth2/v3/certs does.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.init()
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "public, max-age=3600, must-revalidate, no-transform")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{ // the client may be gone
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": i.id, "n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes()),
	}}})
}
