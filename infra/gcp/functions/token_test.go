package functions

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// google is Google's keys: an http.RoundTripper that answers as its two addresses do.
type google struct {
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	maxAge  int // seconds
	fetched atomic.Int64
	// answer, if set, is given instead of keys.
	answer func() (*http.Response, error)
}

var newKeys = sync.OnceValues(func() (*rsa.PrivateKey, *ecdsa.PrivateKey) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return r, e
})

func newGoogle() *google {
	r, e := newKeys()
	return &google{rsa: r, ecdsa: e, maxAge: 3600}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (g *google) RoundTrip(r *http.Request) (*http.Response, error) {
	g.fetched.Add(1)
	if g.answer != nil {
		return g.answer()
	}
	var key map[string]string
	switch r.URL.String() {
	case "https://www.googleapis.com/oauth2/v3/certs":
		key = map[string]string{"kid": "r", "kty": "RSA", "alg": "RS256", "n": b64(g.rsa.N.Bytes()), "e": b64(big.NewInt(int64(g.rsa.E)).Bytes())}
	case "https://www.gstatic.com/iap/verify/public_key-jwk":
		point, err := g.ecdsa.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		key = map[string]string{"kid": "e", "kty": "EC", "alg": "ES256", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	default:
		return nil, fmt.Errorf("nothing is at %s", r.URL)
	}
	body, err := json.Marshal(map[string]any{"keys": []any{key}})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Cache-Control": {fmt.Sprintf("public, max-age=%d, must-revalidate", g.maxAge)}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: r,
	}, nil
}

// sign signs as alg says.
func (g *google) sign(alg, kid string, claims map[string]any) string {
	header, err := json.Marshal(map[string]string{"alg": alg, "typ": "JWT", "kid": kid})
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	text := b64(header) + "." + b64(payload)
	hash := sha256.Sum256([]byte(text))
	var signature []byte
	switch alg {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(rand.Reader, g.rsa, crypto.SHA256, hash[:])
	case "ES256":
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, g.ecdsa, hash[:])
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case "HS256": // with what is public, as if it were a shared secret
		mac := hmac.New(sha256.New, g.rsa.N.Bytes())
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	}
	if err != nil {
		panic(err)
	}
	return text + "." + b64(signature)
}

func (g *google) token() *Token {
	return &Token{Audience: "https://score", Account: "push@p.iam.gserviceaccount.com", Client: &http.Client{Transport: g}}
}

// claims are those of a right token, with some changed; nil takes one away.
func claims(change map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{
		"iss": "https://accounts.google.com", "aud": "https://score", "azp": "113774264463038321964", "sub": "113774264463038321964",
		"email": "push@p.iam.gserviceaccount.com", "email_verified": true, "iat": now, "exp": now + 3600,
	}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// TestToken: only Google's, for this audience, of this account, now.
func TestToken(t *testing.T) {
	now := time.Now().Unix()
	g := newGoogle()
	right := g.sign("RS256", "r", claims(nil))
	parts := strings.Split(right, ".")
	other := strings.Split(g.sign("RS256", "r", claims(map[string]any{"sub": "somebody"})), ".")
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"right":                {right, nil},
		"of IAP's keys":        {g.sign("ES256", "e", claims(nil)), nil},
		"the other issuer":     {g.sign("RS256", "r", claims(map[string]any{"iss": "accounts.google.com"})), nil},
		"just expired":         {g.sign("RS256", "r", claims(map[string]any{"exp": now - 5})), errToken}, // idtoken's clock has no tolerance
		"clocks that differ":   {g.sign("RS256", "r", claims(map[string]any{"iat": now + 30})), nil},
		"of the future":        {g.sign("RS256", "r", claims(map[string]any{"iat": now + 120})), errToken},
		"expired":              {g.sign("RS256", "r", claims(map[string]any{"iat": now - 7200, "exp": now - 3600})), errToken},
		"without expiry":       {g.sign("RS256", "r", claims(map[string]any{"exp": nil})), errToken},
		"another issuer":       {g.sign("RS256", "r", claims(map[string]any{"iss": "https://accounts.google.com.example"})), errToken},
		"no issuer":            {g.sign("RS256", "r", claims(map[string]any{"iss": nil})), errToken},
		"another audience":     {g.sign("RS256", "r", claims(map[string]any{"aud": "https://enrich"})), errToken},
		"no audience":          {g.sign("RS256", "r", claims(map[string]any{"aud": nil})), errToken},
		"several audiences":    {g.sign("RS256", "r", claims(map[string]any{"aud": []string{"https://score"}})), errToken},
		"another account":      {g.sign("RS256", "r", claims(map[string]any{"email": "push@q.iam.gserviceaccount.com"})), errToken},
		"no account":           {g.sign("RS256", "r", claims(map[string]any{"email": nil})), errToken},
		"an account not known": {g.sign("RS256", "r", claims(map[string]any{"email_verified": false})), errToken},
		"verified in words":    {g.sign("RS256", "r", claims(map[string]any{"email_verified": "true"})), errToken},
		"another key":          {g.sign("RS256", "x", claims(nil)), errToken},
		"the other's key":      {g.sign("RS256", "e", claims(nil)), errToken},
		"alg none":             {g.sign("none", "r", claims(nil)), errToken},
		"alg None":             {g.sign("None", "", claims(nil)), errToken},
		"alg HS256":            {g.sign("HS256", "r", claims(nil)), errToken},
		"another's signature":  {parts[0] + "." + parts[1] + "." + other[2], errToken},
		"changed claims":       {parts[0] + "." + other[1] + "." + parts[2], errToken},
		"no signature":         {parts[0] + "." + parts[1] + ".", errToken},
		"a signature removed":  {parts[0] + "." + parts[1] + "." + removed, errToken},
		"ES256 of 5 bytes":     {b64([]byte(`{"alg":"ES256","kid":"e"}`)) + "." + parts[1] + ".AAAAAAA", errToken},
		"two parts":            {parts[0] + "." + parts[1], errToken},
		"junk":                 {"a.b.c", errToken},
	} {
		t.Run(name, func(t *testing.T) {
			token := g.token()
			for range 2 {
				err := token.Verify(t.Context(), "Bearer "+c.token)
				if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || errors.Is(err, ErrKeys) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if err != nil && (strings.Contains(err.Error(), parts[1]) || len(parts) > 2 && strings.Contains(err.Error(), parts[2]) || strings.Contains(err.Error(), "113774264463038321964")) {
					t.Errorf("the error tells the token: %v", err)
				}
			}
		})
	}
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic " + right, right} {
		if err := g.token().Verify(t.Context(), header); !errors.Is(err, errNoToken) {
			t.Errorf("%.20q: %v", header, err)
		}
	}
	if err := g.token().Verify(t.Context(), "bearer "+right); err != nil {
		t.Errorf("the scheme's case matters: %v", err)
	}
	for _, nobody := range []*Token{{Account: g.token().Account, Client: &http.Client{Transport: g}}, {Audience: "https://score", Client: &http.Client{Transport: g}}} {
		if err := nobody.Verify(t.Context(), "Bearer "+right); err == nil {
			t.Errorf("%q %q lets in", nobody.Audience, nobody.Account)
		}
	}
}

// TestTokenThatCloudRunChecked has no signature left; everything else is checked.
func TestTokenThatCloudRunChecked(t *testing.T) {
	g := newGoogle()
	strip := func(token string) string { return token[:strings.LastIndex(token, ".")+1] + removed }
	for name, c := range map[string]struct {
		change map[string]any
		ok     bool
	}{
		"right": {nil, true}, "another audience": {map[string]any{"aud": "x"}, false}, "another account": {map[string]any{"email": "x"}, false},
		"expired":        {map[string]any{"exp": time.Now().Add(-2 * skew).Unix()}, false},
		"just expired":   {map[string]any{"exp": time.Now().Add(-skew / 2).Unix()}, true},
		"another issuer": {map[string]any{"iss": "x"}, false},
	} {
		token := g.token()
		token.Checked = true
		if err := token.Verify(t.Context(), "Bearer "+strip(g.sign("RS256", "r", claims(c.change)))); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := g.fetched.Load(); n != 0 {
		t.Errorf("keys were fetched %d times", n)
	}
	token := g.token()
	token.Checked = true
	forged := g.sign("HS256", "r", claims(nil))
	if err := token.Verify(t.Context(), "Bearer "+forged); err == nil {
		t.Error("a signature that is there is not checked")
	}
	if err := token.Verify(t.Context(), "Bearer "+g.sign("RS256", "r", claims(nil))); err != nil {
		t.Errorf("signed as well: %v", err)
	}
}

// TestKeysAreKept as long as Google says.
func TestKeysAreKept(t *testing.T) {
	g := newGoogle()
	token, right := g.token(), g.sign("RS256", "r", claims(nil))
	verify := func() {
		if err := token.Verify(t.Context(), "Bearer "+right); err != nil {
			t.Error(err)
		}
	}
	verify()
	var callers sync.WaitGroup
	for range 32 {
		callers.Go(func() {
			for range 10 {
				verify()
			}
		})
	}
	callers.Wait()
	if n := g.fetched.Load(); n != 1 {
		t.Errorf("keys were fetched %d times", n)
	}
	// With them, Google may be away.
	g.answer = func() (*http.Response, error) { return nil, errors.New("away") }
	verify()
	g = newGoogle()
	g.maxAge, token = 0, g.token()
	verify()
	verify()
	if n := g.fetched.Load(); n != 2 {
		t.Errorf("keys that expire at once were fetched %d times", n)
	}
}

// TestKeysThatCannotBeHad: nobody is let in, and the message comes again.
func TestKeysThatCannotBeHad(t *testing.T) {
	respond := func(status int, body string) func() (*http.Response, error) {
		return func() (*http.Response, error) {
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		}
	}
	for name, answer := range map[string]func() (*http.Response, error){
		"away":     func() (*http.Response, error) { return nil, errors.New("no route to host") },
		"an error": respond(503, "later"),
		"not JSON": respond(200, "<html>"),
		"too much": func() (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(endless{})}, nil
		},
		"cut short":  respond(200, `{"keys":[`),
		"redirected": respond(302, ""),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle()
			g.answer = answer
			u := newSettler(nil)
			r := request(t, "/", packed(t, "a"), false)
			right := g.sign("RS256", "r", claims(nil))
			r.Header.Set("Authorization", "Bearer "+right)
			token := g.token()
			w := httptest.NewRecorder()
			(&Push{Settler: &u.Settler, Token: token, Log: quiet}).ServeHTTP(w, r)
			if w.Code != http.StatusServiceUnavailable {
				t.Errorf("status %d", w.Code)
			}
			g.answer = nil // it comes back
			if err := token.Verify(t.Context(), "Bearer "+right); err != nil {
				t.Error(err)
			}
		})
	}
}

// FuzzToken: nothing is let in that Google did not sign, and nothing panics.
func FuzzToken(f *testing.F) {
	g := newGoogle()
	right := g.sign("RS256", "r", claims(nil))
	for _, s := range []string{right, g.sign("ES256", "e", claims(nil)), g.sign("HS256", "r", claims(nil)), "a.b.c", "..", right[:strings.LastIndex(right, ".")+1] + removed} {
		f.Add(s)
	}
	token, checked := g.token(), g.token()
	checked.Checked = true
	f.Fuzz(func(t *testing.T, s string) {
		err := token.Verify(t.Context(), "Bearer "+s)
		if err == nil && strings.Count(s, ".") != 2 {
			t.Errorf("let in: %q", s)
		}
		if err == nil && strings.HasSuffix(s, removed) {
			t.Errorf("let in without a signature: %q", s)
		}
		_ = checked.Verify(t.Context(), "Bearer "+s)
	})
}
