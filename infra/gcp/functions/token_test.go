package functions

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"google.golang.org/api/idtoken"

	"github.com/hitolayer/hito/shared/stream"
)

const (
	audience = "hito-score"
	account  = "hito-push@mycompany.iam.gserviceaccount.com"
	subject  = "110169484474386276334"
)

// Where Google publishes the keys of its service accounts, and those of ES256.
const (
	rsaKeys = "https://www.googleapis.com/oauth2/v3/certs"
	ecKeys  = "https://www.gstatic.com/iap/verify/public_key-jwk"
)

type pair struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

// signers are Google's keys, and those of somebody else: making them takes time.
var signers = sync.OnceValue(func() (both [2]pair) {
	for i := range both {
		r, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		both[i] = pair{r, e}
	}
	return both
})

// google is what fetches Google's keys.
type google struct {
	mu      sync.Mutex
	asked   map[string]int // by URL
	answers func(*http.Request) (*http.Response, error)
}

// newGoogle answers as Google does, with keys that are good for an hour.
func newGoogle() *google { return &google{asked: map[string]int{}, answers: published} }

func (g *google) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.asked[r.URL.String()]++
	answers := g.answers
	g.mu.Unlock()
	return answers(r)
}

// answer has g answer so from now on.
func (g *google) answer(answers func(*http.Request) (*http.Response, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers = answers
}

func (g *google) times(url string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[url]
}

func (g *google) token() *Token {
	return &Token{Audience: audience, Account: account, Client: &http.Client{Transport: g, Timeout: 5 * time.Second}}
}

func answered(status int, body io.Reader) (*http.Response, error) {
	h := http.Header{"Cache-Control": {"public, max-age=3600, must-revalidate, no-transform"}, "Content-Type": {"application/json; charset=UTF-8"}}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: h, Body: io.NopCloser(body)}, nil
}

// published are the keys as Google publishes them.
func published(r *http.Request) (*http.Response, error) {
	key := signers()[0]
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	point, err := key.ec.PublicKey.Bytes() // 4, X and Y
	if err != nil {
		return nil, err
	}
	var keys []map[string]string
	switch r.URL.String() {
	case rsaKeys:
		keys = []map[string]string{
			{"alg": "RS256", "kty": "RSA", "use": "sig", "kid": "other", "n": number(signers()[1].rsa.N), "e": "AQAB"},
			{"alg": "RS256", "kty": "RSA", "use": "sig", "kid": "r1", "n": number(key.rsa.N), "e": number(big.NewInt(int64(key.rsa.E)))},
		}
	case ecKeys:
		keys = []map[string]string{{
			"alg": "ES256", "crv": "P-256", "kty": "EC", "use": "sig", "kid": "e1",
			"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
		}}
	default:
		return answered(http.StatusNotFound, strings.NewReader("no such keys"))
	}
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		return nil, err
	}
	return answered(http.StatusOK, strings.NewReader(string(body)))
}

// claims are what a token says that is let in.
// https://cloud.google.com/docs/authentication/token-types#id
func claims(at time.Time) map[string]any {
	return map[string]any{
		"iss": "https://accounts.google.com", "aud": audience, "azp": subject, "sub": subject, "email": account, "email_verified": true,
		"iat": at.Unix(), "exp": at.Add(time.Hour).Unix(),
	}
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// text is what is signed of a token.
func text(alg, kid string, claims map[string]any) string {
	return encode(map[string]string{"alg": alg, "kid": kid, "typ": "JWT"}) + "." + encode(claims)
}

func signed(text string, signature []byte) string {
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func rs256(key *rsa.PrivateKey, text string) string {
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed(text, signature)
}

func es256(key *ecdsa.PrivateKey, text string) string {
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed(text, signature)
}

// stripped is a token as Cloud Run passes it on.
func stripped(claims map[string]any) string { return text("RS256", "r1", claims) + "." + removed }

// right is a token that is let in.
func right() string { return rs256(signers()[0].rsa, text("RS256", "r1", claims(time.Now()))) }

func with(edit func(map[string]any)) map[string]any {
	c := claims(time.Now())
	edit(c)
	return c
}

func TestTokenLetsIn(t *testing.T) {
	key := signers()[0]
	for name, authorization := range map[string]string{
		"RS256":             "Bearer " + right(),
		"ES256":             "Bearer " + es256(key.ec, text("ES256", "e1", claims(time.Now()))),
		"a scheme's case":   "bearer " + right(),
		"the issuer's name": "Bearer " + rs256(key.rsa, text("RS256", "r1", with(func(c map[string]any) { c["iss"] = "accounts.google.com" }))),
	} {
		for _, checked := range []bool{false, true} {
			token := newGoogle().token()
			token.Checked = checked
			if err := token.Verify(t.Context(), authorization); err != nil {
				t.Errorf("%s, checked %v: %v", name, checked, err)
			}
		}
	}
	g := newGoogle()
	token := g.token()
	token.Checked = true
	if err := token.Verify(t.Context(), "Bearer "+stripped(claims(time.Now()))); err != nil || g.times(rsaKeys) != 0 {
		t.Errorf("without its signature, which Cloud Run has checked: %v, after %d calls for keys", err, g.times(rsaKeys))
	}
}

// tells tells whether an error has anything in it of a token.
func tells(err error, token string) bool {
	said := fmt.Sprintf("%v %+v %#v", err, err, err)
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 3 && strings.Contains(said, part) {
			return true
		}
		plain, _ := base64.RawURLEncoding.DecodeString(part) // as far as it goes
		var members map[string]any
		_ = json.Unmarshal(plain, &members)
		for _, v := range members {
			if v != audience && v != account && len(fmt.Sprint(v)) > 3 && strings.Contains(said, fmt.Sprint(v)) {
				return true
			}
		}
	}
	return false
}

// TestClaimsAreRefused: each is refused for what it says, whether signed by Google
// or checked by Cloud Run, and nothing that it says is told.
func TestClaimsAreRefused(t *testing.T) {
	for name, edit := range map[string]func(map[string]any){
		"another issuer":         func(c map[string]any) { c["iss"] = "https://accounts.google.com.evil.example" },
		"IAP's issuer":           func(c map[string]any) { c["iss"] = "https://cloud.google.com/iap" },
		"no issuer":              func(c map[string]any) { delete(c, "iss") },
		"another audience":       func(c map[string]any) { c["aud"] = "hito-enrich" },
		"an audience's case":     func(c map[string]any) { c["aud"] = "Hito-Score" },
		"no audience":            func(c map[string]any) { delete(c, "aud") },
		"several audiences":      func(c map[string]any) { c["aud"] = []string{audience, "hito-enrich"} },
		"another account":        func(c map[string]any) { c["email"] = "hito-push@other.iam.gserviceaccount.com" },
		"no account":             func(c map[string]any) { delete(c, "email") },
		"accounts in a list":     func(c map[string]any) { c["email"] = []string{account} },
		"an unverified email":    func(c map[string]any) { c["email_verified"] = false },
		"email_verified missing": func(c map[string]any) { delete(c, "email_verified") },
		"email_verified as text": func(c map[string]any) { c["email_verified"] = "true" },
		"expired":                func(c map[string]any) { c["exp"] = time.Now().Add(-2 * skew).Unix() },
		"no end":                 func(c map[string]any) { delete(c, "exp") },
		"of the future":          func(c map[string]any) { c["iat"] = time.Now().Add(2 * skew).Unix() },
		"of the far future":      func(c map[string]any) { c["iat"], c["exp"] = int64(1)<<60, int64(1)<<61 },
		"no claims at all":       func(c map[string]any) { clear(c) },
	} {
		for form, s := range map[string]string{
			"RS256":    rs256(signers()[0].rsa, text("RS256", "r1", with(edit))),
			"ES256":    es256(signers()[0].ec, text("ES256", "e1", with(edit))),
			"stripped": stripped(with(edit)),
		} {
			token := newGoogle().token()
			token.Checked = true
			if err := token.Verify(t.Context(), "Bearer "+s); !errors.Is(err, errToken) || errors.Is(err, ErrKeys) || tells(err, s) {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
	// A Token that was told of nobody lets nobody in, even a token for nobody.
	for name, change := range map[string]func(*Token){"audience": func(x *Token) { x.Audience = "" }, "account": func(x *Token) { x.Account = "" }} {
		c := claims(time.Now())
		token := newGoogle().token()
		token.Checked = true
		change(token)
		c["aud"], c["email"] = token.Audience, token.Account
		for form, s := range map[string]string{"signed": rs256(signers()[0].rsa, text("RS256", "r1", c)), "stripped": stripped(c)} {
			if err := token.Verify(t.Context(), "Bearer "+s); !errors.Is(err, errToken) {
				t.Errorf("no %s, %s: %v", name, form, err)
			}
		}
	}
}

// TestSignaturesAreRefused: all of these say what is let in, and none has Google's
// signature under it.
func TestSignaturesAreRefused(t *testing.T) {
	key, other, fine := signers()[0], signers()[1], claims(time.Now())
	der, err := x509.MarshalPKIXPublicKey(&key.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	hs256 := func(secret []byte) string {
		what := text("HS256", "r1", fine)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(what))
		return signed(what, mac.Sum(nil))
	}
	rs, es := text("RS256", "r1", fine), text("ES256", "e1", fine)
	flip := func(token string) string {
		what, last, _ := strings.Cut(token[len(rs):], ".")
		signature, err := base64.RawURLEncoding.DecodeString(last)
		if err != nil {
			t.Fatal(err)
		}
		signature[len(signature)/2] ^= 1
		return signed(token[:len(rs)]+what, signature)
	}
	for name, s := range map[string]string{
		"alg none":                          text("none", "r1", fine) + ".",
		"alg none, with a signature":        text("none", "r1", fine) + rs256(key.rsa, rs)[len(rs):],
		"alg None":                          text("None", "", fine) + ".",
		"no alg":                            text("", "r1", fine) + ".",
		"no signature":                      rs + ".",
		"HS256 with the public key":         hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with the public key's bytes": hs256(der),
		"HS256 with the modulus":            hs256(key.rsa.N.Bytes()),
		"HS256 with nothing":                hs256(nil),
		"RS512":                             rs256(key.rsa, text("RS512", "r1", fine)),
		"an unknown kid":                    rs256(key.rsa, text("RS256", "r2", fine)),
		"no kid":                            rs256(key.rsa, text("RS256", "", fine)),
		"another key of Google's":           rs256(key.rsa, text("RS256", "other", fine)),
		"somebody else's key":               rs256(other.rsa, rs),
		"somebody else's key, ES256":        es256(other.ec, es),
		"ES256 by the kid of RS256":         es256(key.ec, text("ES256", "r1", fine)),
		"RS256 by the kid of ES256":         rs256(key.rsa, text("RS256", "e1", fine)),
		"a signature of RS256 for ES256":    es + rs256(key.rsa, es)[len(es):],
		"a bit of the signature":            flip(rs256(key.rsa, rs)),
		"other claims under a signature":    text("RS256", "r1", with(func(c map[string]any) { c["sub"] = "somebody" })) + rs256(key.rsa, rs)[len(rs):],
		"ES256, nothing":                    es + ".",
		"ES256, a byte":                     signed(es, []byte{1}),
		"ES256, 31 bytes":                   signed(es, make([]byte, 31)),
		"ES256, 32 bytes":                   signed(es, make([]byte, 32)),
		"ES256, zeros":                      signed(es, make([]byte, 64)),
		"ES256, long":                       signed(es, make([]byte, 1<<16)),
		"junk":                              "junk.junk.junk",
		"no base64":                         "?.?.?",
		"three empty parts":                 "..",
		"JSON that is no token":             encode("RS256") + "." + encode(fine) + ".AAAA",
		"a time that is none":               rs256(key.rsa, text("RS256", "r1", with(func(c map[string]any) { c["exp"] = 31337.25 }))),
		"claims that are none":              strings.Split(rs, ".")[0] + "." + encode([]int{1}) + ".AAAA",
		"two parts":                         rs,
		"four parts":                        rs256(key.rsa, rs) + ".AAAA",
		"removed":                           stripped(fine),
		"removed, and more":                 rs + "." + removed + ".",
		"nearly removed":                    rs + "." + removed + "_",
		"removed in small letters":          rs + "." + strings.ToLower(removed),
	} {
		for _, checked := range []bool{false, true} {
			if checked && name == "removed" {
				continue
			}
			token := newGoogle().token()
			token.Checked = checked
			if err := token.Verify(t.Context(), "Bearer "+s); !errors.Is(err, errToken) || errors.Is(err, ErrKeys) || tells(err, s) {
				t.Errorf("%s, checked %v: %v", name, checked, err)
			}
		}
	}
	token := newGoogle().token()
	token.Checked = true
	for _, s := range []string{"." + "." + removed, "junk.junk." + removed, "x." + encode([]int{1}) + "." + removed, "x." + encode("hush-hush") + "." + removed, "x." + encode(map[string]any{"exp": 31337.25}) + "." + removed} {
		if err := token.Verify(t.Context(), "Bearer "+s); !errors.Is(err, errToken) || tells(err, s) {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, authorization := range []string{"", "Bearer", "Bearer ", right(), "Basic " + right(), "Bearer" + right(), "Bearer\t" + right()} {
		if err := token.Verify(t.Context(), authorization); !errors.Is(err, errNoToken) || tells(err, authorization) {
			t.Errorf("%.20s: %v", authorization, err)
		}
	}
}

// TestTokenTimes: clocks may differ by a minute, but a signed token's end is its end.
func TestTokenTimes(t *testing.T) {
	key := signers()[0].rsa
	synctest.Test(t, func(t *testing.T) {
		token := newGoogle().token()
		token.Checked = true
		now := time.Now()
		for _, c := range []struct {
			issued, ends         time.Duration // from now
			ifSigned, ifStripped bool
		}{
			{0, time.Hour, true, true},
			{skew, time.Hour, true, true},
			{skew + time.Second, time.Hour, false, false},
			{-time.Hour, 0, true, true},
			{-time.Hour, -time.Second, false, true},
			{-time.Hour, -skew, false, true},
			{-time.Hour, -skew - time.Second, false, false},
		} {
			says := claims(now)
			says["iat"], says["exp"] = now.Add(c.issued).Unix(), now.Add(c.ends).Unix()
			if err := token.Verify(t.Context(), "Bearer "+rs256(key, text("RS256", "r1", says))); (err == nil) != c.ifSigned {
				t.Errorf("issued %s from now, good until %s, signed: %v", c.issued, c.ends, err)
			}
			if err := token.Verify(t.Context(), "Bearer "+stripped(says)); (err == nil) != c.ifStripped {
				t.Errorf("issued %s from now, good until %s, without its signature: %v", c.issued, c.ends, err)
			}
		}
	})
	// Now is the clock that claims are held against.
	token := newGoogle().token()
	token.Checked = true
	for at, want := range map[time.Duration]bool{-time.Hour: false, 0: true, time.Hour: true, 2 * time.Hour: false} {
		token.Now = func() time.Time { return time.Now().Add(at) }
		if err := token.Verify(t.Context(), "Bearer "+stripped(claims(time.Now()))); (err == nil) != want {
			t.Errorf("%s later: %v", at, err)
		}
	}
}

// TestKeysAreKept for as long as Google says, and no longer.
func TestKeysAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGoogle()
		token := g.token()
		verify := func(want bool) {
			t.Helper()
			if err := token.Verify(t.Context(), "Bearer "+right()); (err == nil) != want {
				t.Error(err)
			}
			if err := token.Verify(t.Context(), "Bearer "+rs256(signers()[1].rsa, text("RS256", "unknown", claims(time.Now())))); err == nil {
				t.Error("somebody else's token is let in")
			}
		}
		for range 100 {
			verify(true)
		}
		time.Sleep(59 * time.Minute)
		verify(true)
		if n := g.times(rsaKeys); n != 1 || g.times(ecKeys) != 0 {
			t.Errorf("the keys were fetched %d times in an hour, by many requests", n)
		}
		time.Sleep(2 * time.Minute)
		for range 100 {
			verify(true)
		}
		if n := g.times(rsaKeys); n != 2 {
			t.Errorf("the keys were fetched %d times in two hours", n)
		}
		time.Sleep(61 * time.Minute)
		g.answer(func(*http.Request) (*http.Response, error) {
			return answered(http.StatusOK, strings.NewReader(`{"keys":[]}`))
		})
		verify(false) // a key that Google has withdrawn
	})
}

// TestKeysAway: while the keys cannot be had no token is judged, the request comes
// again, and the next one finds them as soon as they are there.
func TestKeysAway(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	for name, trouble := range map[string]func(*http.Request) (*http.Response, error){
		"no connection": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"500":           func(*http.Request) (*http.Response, error) { return answered(500, strings.NewReader(`{"keys":[{}]}`)) },
		"404":           func(*http.Request) (*http.Response, error) { return answered(404, strings.NewReader("gone")) },
		"a redirection": func(*http.Request) (*http.Response, error) {
			resp, err := answered(302, strings.NewReader(""))
			resp.Header.Set("Location", rsaKeys+"?")
			return resp, err
		},
		"it hangs": hang,
		"it hangs in the middle": func(r *http.Request) (*http.Response, error) {
			return answered(200, io.MultiReader(strings.NewReader(`{"keys":[`), readerFunc(func([]byte) (int, error) {
				<-r.Context().Done()
				return 0, r.Context().Err()
			})))
		},
		"broken off": func(*http.Request) (*http.Response, error) {
			return answered(200, io.MultiReader(strings.NewReader(`{"keys":[`), iotest.ErrReader(io.ErrUnexpectedEOF)))
		},
		"no JSON": func(*http.Request) (*http.Response, error) {
			return answered(200, strings.NewReader("<html>log in first</html>"))
		},
		"nothing":            func(*http.Request) (*http.Response, error) { return answered(200, strings.NewReader("")) },
		"no keys":            func(*http.Request) (*http.Response, error) { return answered(200, strings.NewReader(`{"keys":[]}`)) },
		"keys that are none": func(*http.Request) (*http.Response, error) { return answered(200, strings.NewReader(`{"keys":7}`)) },
		"endless": func(*http.Request) (*http.Response, error) {
			return answered(200, io.MultiReader(strings.NewReader(`{"keys":["`), endless{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGoogle()
				u := newSettler(func(context.Context, []stream.Record) error { return nil })
				p := &Push{Settler: &u.Settler, Token: g.token(), Log: u.Log}
				push := func(token string) int {
					r := request(t, "/", packed(t, "a"), true)
					r.Header.Set("Authorization", "Bearer "+token)
					w := httptest.NewRecorder()
					p.ServeHTTP(w, r)
					return w.Code
				}
				g.answer(trouble)
				s := right()
				if err := p.Token.Verify(t.Context(), "Bearer "+s); !errors.Is(err, ErrKeys) || errors.Is(err, errToken) || tells(err, s) {
					t.Errorf("error %v", err)
				}
				if status := push(s); status != http.StatusServiceUnavailable {
					t.Errorf("the push is answered %d", status)
				}
				g.answer(published)
				if status := push(s); status != http.StatusNoContent {
					t.Errorf("once the keys are there, the push is answered %d: %s", status, &u.log)
				}
				if status := push(s[:len(s)-10]); status != http.StatusUnauthorized {
					t.Errorf("and half a token %d", status)
				}
			})
		})
	}
	// Whatever ends the request ends its wait for keys.
	synctest.Test(t, func(t *testing.T) {
		g := newGoogle()
		g.answer(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began, s := time.Now(), right()
		if err := g.token().Verify(ctx, "Bearer "+s); !errors.Is(err, ErrKeys) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestNothingIsToldOfJunk: what was said of a token that is none, once its request
// had ended, quoted it.
func TestNothingIsToldOfJunk(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := rs256(signers()[0].rsa, text("hush-hush", "r1", claims(time.Now())))
	if err := newGoogle().token().Verify(ctx, "Bearer "+s); !errors.Is(err, errToken) || tells(err, s) {
		t.Errorf("junk, once the request has ended: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestKeysWithoutAClient: a Token that is given no client gives up after 5 s.
func TestKeysWithoutAClient(t *testing.T) {
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	g := newGoogle()
	http.DefaultTransport = g
	token := &Token{Audience: audience, Account: account}
	if err := token.Verify(t.Context(), "Bearer "+right()); err != nil || g.times(rsaKeys) != 1 {
		t.Errorf("%v after %d calls", err, g.times(rsaKeys))
	}
	synctest.Test(t, func(t *testing.T) {
		g.answer(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		began := time.Now()
		token := &Token{Audience: audience, Account: account}
		if err := token.Verify(t.Context(), "Bearer "+right()); !errors.Is(err, ErrKeys) || time.Since(began) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestTokensAtATime: one Token judges the tokens of many requests at a time, each
// for itself.
func TestTokensAtATime(t *testing.T) {
	g := newGoogle()
	token := g.token()
	token.Checked = true
	key := signers()[0]
	foreign := maps.Clone(claims(time.Now()))
	foreign["aud"] = "hito-enrich"
	tokens := map[string]bool{
		right(): true,
		es256(key.ec, text("ES256", "e1", claims(time.Now()))):           true,
		stripped(claims(time.Now())):                                     true,
		rs256(key.rsa, text("RS256", "r1", foreign)):                     false,
		rs256(signers()[1].rsa, text("RS256", "r1", claims(time.Now()))): false,
		signed(text("ES256", "e1", claims(time.Now())), []byte{1}):       false,
		rs256(key.rsa, text("RS256", "not there", claims(time.Now()))):   false,
		text("none", "r1", claims(time.Now())) + ".":                     false,
		stripped(foreign): false,
		text("RS256", "r1", claims(time.Now())) + "." + removed + " ":   false,
		es256(signers()[1].ec, text("ES256", "e1", claims(time.Now()))): false,
	}
	var asking sync.WaitGroup
	for range 8 {
		for s, want := range tokens {
			asking.Go(func() {
				for range 5 {
					if err := token.Verify(t.Context(), "Bearer "+s); (err == nil) != want {
						t.Errorf("%s: %v", s, err)
					}
				}
			})
		}
	}
	asking.Wait()
}

// FuzzToken: whatever is sent as a token gives an answer, and none is let in that
// Google has not signed. Where Cloud Run has checked it, it says at least what is
// right.
func FuzzToken(f *testing.F) {
	fine := claims(time.Now())
	header := func(alg, kid string) string { return encode(map[string]string{"alg": alg, "kid": kid}) }
	for _, checked := range []bool{false, true} {
		for by := range byNobody + 1 {
			f.Add("Bearer", header("RS256", "r1"), encode(fine), "", by, checked)
			f.Add("Bearer", header("ES256", "e1"), encode(fine), "AAAA", by, checked)
			f.Add("Bearer", header("ES256", "e1"), encode(with(func(c map[string]any) { c["aud"] = "x" })), "", by, checked)
		}
		f.Add("Bearer", header("none", ""), encode(fine), "", byNobody, checked)
		f.Add("Bearer", header("RS256", "r1"), encode(fine), removed, byNobody, checked)
		f.Add("bearer", "junk", encode(with(func(c map[string]any) { c["exp"] = 1.5 })), removed, byNobody, checked)
		f.Add("Basic", "", "junk.", ".", byNobody, checked)
	}
	g := newGoogle()
	open, behind := g.token(), g.token()
	behind.Checked = true
	f.Fuzz(func(t *testing.T, scheme, header, payload, signature string, by int, checked bool) {
		token := open
		if checked {
			token = behind
		}
		s := header + "." + payload
		switch by { // of keys that each process makes
		case byGoogle:
			s = rs256(signers()[0].rsa, s)
		case byGoogleES:
			s = es256(signers()[0].ec, s)
		case bySomebody:
			s = es256(signers()[1].ec, s)
		default:
			s += "." + signature
			by = byNobody
		}
		err := token.Verify(t.Context(), scheme+" "+s)
		if err != nil {
			if errors.Is(err, ErrKeys) || tells(err, s) {
				t.Fatalf("%s: %v", s, err)
			}
			return
		}
		if by != byGoogle && by != byGoogleES && (!checked || signature != removed) {
			t.Fatalf("%s is let in, which Google has not signed", s)
		}
		says, err := idtoken.ParsePayload(s)
		if err != nil || says.Audience != audience || says.Claims["email"] != account || says.Claims["email_verified"] != true || !strings.HasSuffix(says.Issuer, "accounts.google.com") {
			t.Fatalf("%+v, %v is let in", says, err)
		}
	})
}

// Who signs what is fuzzed.
const (
	byGoogle = iota
	byGoogleES
	bySomebody
	byNobody
)
