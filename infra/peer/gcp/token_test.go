package gcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/emulators/sts"
)

func get(t *testing.T, to *Token) string {
	t.Helper()
	got, err := to.Access(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestToken: a token is for Pub/Sub only, and is asked for once.
func TestToken(t *testing.T) {
	g := google()
	to := token(g)
	got := get(t, to)
	if !g.Authorized("Bearer "+got, pubsubScope) || g.Authorized("Bearer "+got, "https://www.googleapis.com/auth/cloud-platform") {
		t.Error("it is not what it should be")
	}
	for range 10 {
		if again := get(t, to); again != got {
			t.Error("another token was got")
		}
	}
	if g.Exchanges() != 1 || g.Impersonations() != 1 {
		t.Errorf("%d exchanges, %d impersonations", g.Exchanges(), g.Impersonations())
	}
}

// TestOverHTTP: through a server, as in production.
func TestOverHTTP(t *testing.T) {
	g := google()
	s := httptest.NewServer(g)
	defer s.Close()
	to := token(nil)
	to.Transport, to.STS, to.IAM = nil, s.URL, s.URL
	if got := get(t, to); !g.Authorized("Bearer "+got, pubsubScope) {
		t.Error("it is not taken")
	}
}

// TestWhoAsksTogether: many callers are one exchange.
func TestWhoAsksTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := google()
		g.Fail = func(http.ResponseWriter, *http.Request) bool { time.Sleep(time.Second); return false }
		to := token(g)
		tokens := make([]string, 100)
		var callers sync.WaitGroup
		for i := range tokens {
			callers.Go(func() { tokens[i] = get(t, to) })
			callers.Go(func() { to.Fresh(t.Context()) })
		}
		callers.Wait()
		for _, got := range tokens {
			if got == "" || got != tokens[0] {
				t.Fatal("callers have different tokens")
			}
		}
		if g.Exchanges() != 1 || g.Impersonations() != 1 {
			t.Errorf("%d exchanges, %d impersonations", g.Exchanges(), g.Impersonations())
		}
	})
}

// TestAhead: a token is replaced five minutes before its end, and who needs one
// meanwhile has the old one, at once.
func TestAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := google()
		to := token(g)
		began := time.Now()
		first := get(t, to)
		reaches(began, 55*time.Minute-time.Second)
		if get(t, to) != first || g.Exchanges() != 1 {
			t.Error("it was replaced early")
		}
		g.Fail = func(http.ResponseWriter, *http.Request) bool { time.Sleep(2 * time.Second); return false }
		reaches(began, 55*time.Minute)
		for range 20 {
			asked := time.Now()
			if get(t, to) != first || time.Since(asked) > 0 {
				t.Error("who needed one had to wait")
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		second := get(t, to)
		if second == first || g.Exchanges() != 2 || g.Impersonations() != 2 {
			t.Errorf("%d exchanges", g.Exchanges())
		}
		// The next one is asked for ahead by who only looks after it.
		g.Fail = nil
		time.Sleep(56 * time.Minute)
		to.Fresh(t.Context())
		synctest.Wait()
		asked := time.Now()
		if third := get(t, to); third == second || g.Exchanges() != 3 || time.Since(asked) > 0 {
			t.Errorf("%d exchanges", g.Exchanges())
		}
		if g.ShownAgain() > 0 {
			t.Error("a signed request was shown again")
		}
	})
}

// TestFresh: who may need a token has it before, and waits for nothing.
func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := google()
		g.Fail = func(http.ResponseWriter, *http.Request) bool { time.Sleep(time.Second); return false }
		p := &Publisher{Token: token(g)}
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		p.Fresh(ctx)
		if time.Since(began) > 0 {
			t.Error("it waits")
		}
		cancel() // the request is over; its token is the next one's
		time.Sleep(3 * time.Second)
		p.Fresh(t.Context())
		began = time.Now()
		get(t, p.Token)
		if time.Since(began) > 0 || g.Exchanges() != 1 {
			t.Errorf("%d exchanges, after %v", g.Exchanges(), time.Since(began))
		}
		(&Publisher{}).Fresh(t.Context()) // an emulator's needs none
	})
}

// TestAway: when Google gives no tokens out, the one in hand is used until its end,
// and Google is not asked all the time.
func TestAway(t *testing.T) {
	for name, away := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"503": fails(503), "429": fails(429), "lost": fails(lost), "hangs": hangs, "403": fails(403), "nonsense": fails(200),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := google()
				to := token(g)
				began := time.Now()
				first := get(t, to)
				g.Fail = away
				for reaches(began, 50*time.Minute); time.Since(began) < time.Hour-11*time.Second; time.Sleep(time.Second) {
					asked := time.Now()
					if get(t, to) != first || time.Since(asked) > 0 {
						t.Fatalf("after %v the token in hand is not used", time.Since(began))
					}
				}
				// Five minutes of refreshes, with pauses up to half a minute, each of
				// which makes some attempts in up to ten seconds.
				if n := g.Exchanges(); n < 10 || n > 300 {
					t.Errorf("%d exchanges were tried", n)
				}
				reaches(began, time.Hour-5*time.Second) // a request takes time
				if _, err := to.Access(t.Context()); err == nil {
					t.Error("a token is used at its end")
				}
				g.Fail = nil
				time.Sleep(time.Minute)
				if get(t, to) == first {
					t.Error("the old token is used after its end")
				}
				if g.ShownAgain() > 0 {
					t.Error("a signed request was shown again")
				}
			})
		})
	}
}

// TestTroubleOnTheWay: what passes is tried again, signed anew.
func TestTroubleOnTheWay(t *testing.T) {
	for _, status := range []int{408, 429, 500, 502, 503, 504, lost} {
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				g := google()
				n := 0
				to := token(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(1100 * time.Millisecond) // signatures tell seconds
					if n++; n%3 == 0 {
						g.ServeHTTP(w, r)
						return
					}
					if after {
						g.ServeHTTP(httptest.NewRecorder(), r)
					}
					w.WriteHeader(status)
				}))
				if got := get(t, to); !g.Authorized("Bearer "+got, pubsubScope) || n != 6 {
					t.Errorf("%d calls", n)
				}
				if g.ShownAgain() > 0 || after && g.Exchanges() != 3 {
					t.Errorf("%d of %d signed requests were shown again", g.ShownAgain(), g.Exchanges())
				}
			})
		}
	}
}

// TestRefused: what Google does not take is told at once, with what to do about it,
// and not asked for again and again; once mended it works.
func TestRefused(t *testing.T) {
	const theProvider, theAccount = provider + ": ", "act as " + accountText + ": "
	for name, c := range map[string]struct {
		change func(*Token, *sts.Google)
		mend   func(*Token, *sts.Google)
		says   []string
		calls  int // of both services
	}{
		"no such provider": {
			func(_ *Token, g *sts.Google) { g.Provider += "2" }, func(_ *Token, g *sts.Google) { g.Provider = provider },
			[]string{theProvider, "400", "invalid_target", "trust this AWS account"}, 1,
		},
		"role not let in": {
			func(_ *Token, g *sts.Google) { g.Role += "2" }, func(_ *Token, g *sts.Google) { g.Role = role },
			[]string{theProvider, "403", "attribute condition", "this function's role"}, 1,
		},
		"other role": {
			func(to *Token, _ *sts.Google) { to.Credentials.(*credentials).AccessKeyID = "ELSE" }, nil,
			[]string{theProvider, "403", "this function's role"}, 1,
		},
		"unknown key": {
			func(_ *Token, g *sts.Google) { delete(g.Keys, "ASIA") }, nil,
			[]string{theProvider, "400", "InvalidClientTokenId"}, 1,
		},
		"wrong secret": {
			func(to *Token, _ *sts.Google) { to.Credentials.(*credentials).SecretAccessKey = "hush2" }, nil,
			[]string{theProvider, "400", "SignatureDoesNotMatch"}, 1,
		},
		"expired for AWS": {
			func(_ *Token, g *sts.Google) {
				key := g.Keys["ASIA"]
				key.Expires = time.Now()
				g.Keys["ASIA"] = key
			}, nil, []string{theProvider, "400", "ExpiredToken"}, 1,
		},
		"expired, and it is known": {
			func(to *Token, _ *sts.Google) {
				c := to.Credentials.(*credentials)
				c.CanExpire, c.Expires = true, time.Now()
			}, func(to *Token, _ *sts.Google) { to.Credentials.(*credentials).CanExpire = false }, []string{"the AWS credentials have expired"}, 0,
		},
		"no credentials": {
			func(to *Token, _ *sts.Google) { to.Credentials.(*credentials).Credentials = aws.Credentials{} }, func(to *Token, _ *sts.Google) { *to.Credentials.(*credentials) = *own() },
			[]string{"get AWS credentials", "no keys"}, 0,
		},
		"clock off": {
			func(to *Token, _ *sts.Google) { to.Now = func() time.Time { return time.Now().Add(-time.Hour) } }, nil,
			[]string{theProvider, "400", "Signature expired"}, 1,
		},
		"other account": {
			func(_ *Token, g *sts.Google) { g.Account = "else@p.iam.gserviceaccount.com" }, func(_ *Token, g *sts.Google) { g.Account = accountText },
			[]string{theAccount, "403", "roles/iam.workloadIdentityUser", provider}, 2,
		},
		"expired between": {
			func(_ *Token, g *sts.Google) { g.FederatedLifetime = -time.Second }, func(_ *Token, g *sts.Google) { g.FederatedLifetime = 0 },
			[]string{theAccount, "401"}, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := google()
				to := token(g)
				c.change(to, g)
				began := time.Now()
				for range 50 { // within the pause
					_, err := to.Access(t.Context())
					if _, ok := errors.AsType[denied](err); !ok {
						t.Fatalf("got %v", err)
					}
					for _, part := range c.says {
						if !strings.Contains(err.Error(), part) {
							t.Errorf("%q does not say %q", err, part)
						}
					}
					noSecrets(t, err, to.Credentials.(*credentials).SecretAccessKey)
				}
				if n := g.Exchanges() + g.Impersonations(); n != c.calls || time.Since(began) > 0 {
					t.Errorf("%d calls in %v", n, time.Since(began))
				}
				for range 600 {
					time.Sleep(time.Second)
					if _, err := to.Access(t.Context()); err == nil {
						t.Fatal("it got a token")
					}
				}
				if n := g.Exchanges() + g.Impersonations(); c.calls > 0 && (n < 15*c.calls || n > 60*c.calls) {
					t.Errorf("%d calls in ten minutes", n)
				}
				if c.mend == nil {
					return
				}
				c.mend(to, g)
				time.Sleep(31 * time.Second)
				get(t, to)
			})
		})
	}
}

// TestWhoLeaves: at once; the others have the token they waited for.
func TestWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := google()
		g.Fail = func(http.ResponseWriter, *http.Request) bool { time.Sleep(2 * time.Second); return false }
		to := token(g)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var stays sync.WaitGroup
		left := make(chan error)
		go func() {
			_, err := to.Access(ctx)
			left <- err
		}()
		synctest.Wait() // it is the first
		stays.Go(func() { get(t, to) })
		if err := <-left; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), accountText) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		stays.Wait()
		if g.Exchanges() != 1 {
			t.Errorf("%d exchanges", g.Exchanges())
		}
	})
}

// TestBounds: Google that hangs holds nobody for longer than a refresh takes.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := google()
		g.Fail = hangs
		to := token(g)
		began := time.Now()
		_, err := to.Access(t.Context())
		if took := time.Since(began); err == nil || took < 5*time.Second || took > refreshTimeout || g.Exchanges() < 3 {
			t.Errorf("%v after %v and %d exchanges", err, took, g.Exchanges())
		}
		if _, ok := errors.AsType[denied](err); ok {
			t.Errorf("%v is taken for final", err)
		}
	})
}

// TestOddAnswers are no tokens, and told without what they say.
func TestOddAnswers(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // of JSON there is none
		shown := r.Form.Get("subject_token")
		plain, _ := url.QueryUnescape(shown)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, r.Header.Get("Authorization")+" "+plain[max(strings.Index(plain, "x-amz-security"), 0):]+" "+shown)
	}
	for name, c := range map[string]struct {
		exchange, impersonate http.HandlerFunc
	}{
		"echo":       {exchange: echo},
		"echo later": {impersonate: echo},
		"text": {exchange: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, "hm "+sessionKey)
		}},
		"not JSON":       {exchange: says(`<html>` + sessionKey)},
		"other JSON":     {exchange: says(`{"access_token":["` + sessionKey + `"]}`)},
		"no token":       {exchange: says(`{"expires_in":3600}`)},
		"no end":         {impersonate: says(`{"accessToken":"ya29.x"}`)},
		"odd end":        {impersonate: says(`{"accessToken":"ya29.x","expireTime":"tomorrow"}`)},
		"past end":       {impersonate: says(`{"accessToken":"ya29.x","expireTime":"1999-12-31T00:00:00Z"}`)},
		"no later token": {impersonate: says(`{"expireTime":"2100-01-01T00:00:00Z"}`)},
		"redirect": {exchange: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://example.com/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := google()
				to := token(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Host == "example.com" {
						t.Error("it went elsewhere")
					}
					switch exchange := r.URL.Path == "/v1/token"; {
					case exchange && c.exchange != nil:
						c.exchange(w, r)
					case !exchange && c.impersonate != nil:
						c.impersonate(w, r)
					default:
						g.ServeHTTP(w, r)
					}
				}))
				_, err := to.Access(t.Context())
				if err == nil {
					t.Fatal("it got a token")
				}
				noSecrets(t, err)
				if len(err.Error()) > 2000 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			})
		})
	}
}

// TestEndless: of an answer without end only a part is read.
func TestEndless(t *testing.T) {
	var sent atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil { // for as long as somebody reads
			n, err := w.Write(make([]byte, 1<<16))
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	for _, answer := range []any{nil, new(string)} {
		req, err := post(t.Context(), s.URL, "text/plain", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := call(client(nil), req, answer); err == nil || len(err.Error()) > 1000 {
			t.Errorf("got %.1000v", err)
		}
	}
	if n := sent.Load(); n > 64<<20 { // with what the system keeps
		t.Errorf("%d bytes were sent", n)
	}
}

// TestPause: after a success it is short again.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := google()
		g.Fail = fails(403)
		to := token(g)
		for range 20 {
			if _, err := to.Access(t.Context()); err == nil {
				t.Fatal("it got a token")
			}
			time.Sleep(time.Minute)
		}
		g.Fail = nil
		get(t, to)
		time.Sleep(time.Hour)
		g.Fail = fails(403)
		if _, err := to.Access(t.Context()); err == nil {
			t.Fatal("it got a token")
		}
		g.Fail = nil
		time.Sleep(time.Second)
		get(t, to)
	})
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// TestRefusedToken: another is got, but not again and again.
func TestRefusedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := google()
		to := token(g)
		first := get(t, to)
		to.Refused(first)
		if get(t, to) != first || g.Exchanges() != 1 {
			t.Error("a token that is new was replaced")
		}
		time.Sleep(time.Minute)
		to.Refused("another")
		if get(t, to) != first {
			t.Error("a token was replaced for another's sake")
		}
		to.Refused(first)
		to.Refused(first)
		second := get(t, to)
		to.Refused(first)
		if second == first || get(t, to) != second || g.Exchanges() != 2 {
			t.Errorf("%d exchanges", g.Exchanges())
		}
	})
}

// TestFrozen: a clock that jumps, as that of a sandbox that had no processor does,
// has a token that ended meanwhile replaced before it is used.
func TestFrozen(t *testing.T) {
	g := google()
	var jumped atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(jumped.Load())) }
	g.Now = now
	to := token(g)
	to.Now = now
	first := get(t, to)
	jumped.Store(int64(3 * time.Hour))
	if got := get(t, to); got == first || !g.Authorized("Bearer "+got, pubsubScope) {
		t.Error("a token that ended is used")
	}
}

func TestParseIdentity(t *testing.T) {
	if got, err := ParseIdentity(who.String()); err != nil || got != who {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{
		"", provider, accountText, "https:" + who.String(), who.String() + "#", provider + "#" + accountText + "/keys", provider + "#" + accountText + ":x",
		provider + "#a@b\n", provider + "/x#" + accountText, strings.Replace(who.String(), "17", "1/7", 1), provider + "#nobody", "arn:aws:iam::123456789012:role/x",
	} {
		if got, err := ParseIdentity(text); err == nil || !strings.Contains(err.Error(), "must be //iam.googleapis.com/projects/") {
			t.Errorf("%q gives %v, %v", text, got, err)
		}
	}
}

// FuzzParseIdentity: what is taken says the same when it is written, and means
// nothing in a URL.
func FuzzParseIdentity(f *testing.F) {
	f.Add(who.String())
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseIdentity(text)
		if err != nil {
			return
		}
		if got.String() != text || strings.ContainsAny(got.Account, "/?#%:") {
			t.Errorf("%q is %v", text, got)
		}
	})
}

// FuzzReason: what is told of an answer is short, and has no secret in it.
func FuzzReason(f *testing.F) {
	f.Add([]byte(`{"error":{"status":"X","message":"hush"}}`), "hush")
	f.Add([]byte(`{"error":"x","error_description":"a hu/sh b"}`), "hu/sh")
	f.Add([]byte("text"), "")
	f.Fuzz(func(t *testing.T, data []byte, secret string) {
		got := reason(data, []string{secret})
		if len(got) > maxMessage || len(secret) > 12 && strings.Contains(got, secret) {
			t.Errorf("%q tells %q", got, secret)
		}
	})
}
