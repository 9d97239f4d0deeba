package aws

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/hitolayer/hito/infra/aws/environment"
	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/infra/emulators/sts"
)

const (
	role    = "arn:aws:iam::123456789012:role/hito-peer-relay"
	subject = "108888888888888888888"
	region  = "ap-northeast-1"
)

func newAWS() *sts.AWS { return &sts.AWS{Role: role, Subject: subject, Audience: role} }

// TestMain makes what is shared outside of any synctest bubble: the key.
func TestMain(m *testing.M) {
	newAWS().Token("")
	m.Run()
}

func nothing(string) (string, bool) { return "", false }

// wire ends at a handler, within a test's bubble. What is on it may hang, or get lost.
type wire struct {
	http.Handler
	trouble atomic.Int32 // none, or one of the below
	calls   atomic.Int32
}

const (
	hangs = 1 + iota
	breaks
)

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	w.calls.Add(1)
	switch w.trouble.Load() {
	case hangs:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case breaks:
		return nil, io.ErrUnexpectedEOF
	}
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// within returns credentials by AWS and Google on a wire.
func within(a *sts.AWS) (*Credentials, *wire) {
	w := &wire{Handler: a}
	cfg := environment.In(region, nothing)
	cfg.HTTPClient, cfg.Credentials = w, aws.AnonymousCredentials{}
	return &Credentials{Role: role, Session: "hito-relay", STS: awssts.NewFromConfig(cfg), Identity: func(_ context.Context, audience string) (string, error) {
		return a.Token(audience), nil
	}}, w
}

// good gets credentials at once, which AWS takes.
func good(t *testing.T, a *sts.AWS, c *Credentials) aws.Credentials {
	t.Helper()
	begin := time.Now()
	got, err := c.Retrieve(t.Context())
	if err != nil || !a.Good(got.AccessKeyID) || got.SecretAccessKey == "" || got.SessionToken == "" {
		t.Fatalf("credentials %q: %v", got.AccessKeyID, err)
	}
	if waited := time.Since(begin); waited != 0 {
		t.Fatalf("waited %v", waited)
	}
	return got
}

// TestAhead: credentials are replaced while they still work, at other times each, and
// nobody waits for that.
func TestAhead(t *testing.T) {
	dues := map[time.Duration]bool{}
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			a := newAWS()
			c, _ := within(a)
			begin, first := time.Now(), good(t, a, c)
			for a.Assumed() == 1 {
				time.Sleep(time.Second)
				good(t, a, c)
				synctest.Wait()
			}
			age := time.Since(begin)
			if age < time.Hour-2*ahead || age > time.Hour-ahead+time.Second {
				t.Errorf("replaced after %v", age)
			}
			dues[age] = true
			if second := good(t, a, c); second.AccessKeyID == first.AccessKeyID || !second.CanExpire || time.Until(second.Expires) > time.Hour {
				t.Errorf("%q until %v", second.AccessKeyID, second.Expires)
			}
			if got := a.Sessions(); got[0] != "hito-relay" {
				t.Errorf("sessions %q", got)
			}
		})
	}
	if len(dues) < 2 {
		t.Errorf("always replaced after the same time: %v", dues)
	}
}

// TestAway: with good credentials in hand nobody waits, nor fails, until they really
// end, whatever is the matter with AWS or the metadata server; nor are those asked
// all the time.
func TestAway(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *wire, c *Credentials)
		// calls is the most there may be of STS, in 10 minutes at most: after a few
		// refreshes, each is followed by 15 s at least; it has so many attempts.
		calls int32
	}{
		"STS hangs":   {func(w *wire, _ *Credentials) { w.trouble.Store(hangs) }, (10*60/(10+15) + 5) * 4},
		"STS is gone": {func(w *wire, _ *Credentials) { w.trouble.Store(breaks) }, (10*60/(10+15) + 5) * 25},
		"no metadata": {func(_ *wire, c *Credentials) {
			c.Identity = func(context.Context, string) (string, error) {
				return "", passing{errors.New("the metadata server is away")}
			}
		}, 0},
		"metadata hangs": {func(_ *wire, c *Credentials) {
			c.Identity = func(ctx context.Context, _ string) (string, error) {
				<-ctx.Done()
				return "", passing{ctx.Err()}
			}
		}, 0},
		"refused": {func(_ *wire, c *Credentials) { c.Audience = "another" }, 10*60/15 + 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAWS()
				credentials, w := within(a)
				first := good(t, a, credentials)
				identity, calls := credentials.Identity, w.calls.Load()
				c.spoil(w, credentials)
				for time.Until(first.Expires) > margin {
					if got := good(t, a, credentials); got.AccessKeyID != first.AccessKeyID {
						t.Fatal("others")
					}
					time.Sleep(100 * time.Millisecond)
				}
				if n := w.calls.Load() - calls; n > c.calls {
					t.Errorf("STS was called %d times", n)
				}
				begin := time.Now()
				if got, err := credentials.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), role) {
					t.Fatalf("credentials %q, %v", got.AccessKeyID, err)
				}
				if waited := time.Since(begin); waited > refreshTimeout {
					t.Errorf("waited %v", waited)
				}
				w.trouble.Store(0)
				synctest.Wait()
				time.Sleep(time.Minute) // every pause, and the refresh that is under way
				credentials.Identity, credentials.Audience = identity, ""
				good(t, a, credentials)
			})
		})
	}
}

// TestOneRefresh: of many who need credentials, one gets them for all.
func TestOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAWS()
		c, w := within(a)
		w.trouble.Store(hangs)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if i > 0 { // the first one leaves, which is no harm to the others
					ctx = t.Context()
				}
				got, err := c.Retrieve(ctx)
				if i > 0 && (err != nil || !a.Good(got.AccessKeyID)) || i == 0 && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("caller %d: %q, %v", i, got.AccessKeyID, err)
				}
			})
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		w.trouble.Store(0) // the second attempt succeeds
		all.Wait()
		if a.Assumed() != 1 || w.calls.Load() != 2 {
			t.Errorf("assumed %d times by %d calls", a.Assumed(), w.calls.Load())
		}
	})
}

// TestFresh: credentials are there when they are needed, if somebody saw to it.
func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAWS()
		c, w := within(a)
		c.Fresh(t.Context())
		c.Fresh(t.Context())
		synctest.Wait()
		w.trouble.Store(hangs)
		c.Fresh(t.Context())
		if good(t, a, c); a.Assumed() != 1 {
			t.Errorf("assumed %d times", a.Assumed())
		}
	})
}

// TestTriesAgain: what passes by itself costs an attempt, and not the refresh.
func TestTriesAgain(t *testing.T) {
	answer := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<ErrorResponse><Error><Code>"+code+"</Code><Message>because</Message></Error></ErrorResponse>")
		}
	}
	for name, c := range map[string]struct {
		trouble http.HandlerFunc
		kind    retry.Kind
	}{
		"throttled":    {answer(400, "Throttling"), retry.Throttle},
		"broken":       {answer(500, "InternalFailure"), retry.Failure},
		"unavailable":  {answer(503, "ServiceUnavailable"), retry.Throttle},
		"no identity":  {answer(400, "IDPCommunicationError"), retry.Failure},
		"new key":      {answer(400, "InvalidIdentityToken"), retry.Failure},
		"stale":        {answer(400, "ExpiredTokenException"), retry.Failure},
		"nothing":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<x></x>") }, retry.Failure},
		"denied":       {answer(403, "AccessDenied"), retry.Never},
		"invalid role": {answer(400, "ValidationError"), retry.Never},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAWS()
				left := 3
				a.Fail = func(w http.ResponseWriter, r *http.Request) bool {
					if left--; left >= 0 {
						c.trouble(w, r)
					}
					return left >= 0
				}
				credentials, w := within(a)
				got, err := credentials.Retrieve(t.Context())
				if c.kind != retry.Never {
					if err != nil || !a.Good(got.AccessKeyID) || w.calls.Load() != 4 {
						t.Errorf("%q by %d calls, %v", got.AccessKeyID, w.calls.Load(), err)
					}
				} else if err == nil || w.calls.Load() != 1 {
					t.Errorf("%d calls, %v", w.calls.Load(), err)
				}

				left = 1000
				credentials, _ = within(a)
				if _, err := credentials.Retrieve(t.Context()); err == nil || retry.KindOf(err) != c.kind {
					t.Errorf("kind %v of %v", retry.KindOf(err), err)
				}
				if _, err := credentials.Retrieve(t.Context()); err == nil || left != 1000-1 && c.kind == retry.Never {
					t.Errorf("asked again at once, %v", err)
				}
			})
		})
	}
}

// TestRefused: who is not let in is told what to do, and nothing of the token.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(a *sts.AWS, c *Credentials)
		want  []string
	}{
		"another audience": {func(a *sts.AWS, _ *Credentials) { a.Audience = role + "-other" }, []string{"AccessDenied", `accounts.google.com:sub "` + subject, `:aud "` + subject, `:oaud "` + role + `"`}},
		"made for another": {func(_ *sts.AWS, c *Credentials) { c.Audience = "it" }, []string{"AccessDenied", `:oaud "it"`}},
		"another subject":  {func(a *sts.AWS, _ *Credentials) { a.Caller = "109999" }, []string{"AccessDenied", `accounts.google.com:sub "109999"`}},
		"another role":     {func(a *sts.AWS, _ *Credentials) { a.Role += "-other" }, []string{"AccessDenied"}},
		"expired":          {func(a *sts.AWS, _ *Credentials) { a.Lifetime = -time.Second }, []string{"ExpiredToken"}},
		"of the future": {func(_ *sts.AWS, c *Credentials) {
			ahead := newAWS()
			ahead.Now = func() time.Time { return time.Now().Add(time.Minute) }
			c.Identity = func(_ context.Context, audience string) (string, error) { return ahead.Token(audience), nil }
		}, []string{"InvalidIdentityToken"}},
		"session": {func(_ *sts.AWS, c *Credentials) { c.Session = "x" }, []string{"ValidationError", "roleSessionName"}},
		"clock":   {func(_ *sts.AWS, c *Credentials) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } }, []string{"by this clock"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAWS()
				credentials, _ := within(a)
				c.spoil(a, credentials)
				var tokens []string
				identity := credentials.Identity
				credentials.Identity = func(ctx context.Context, audience string) (string, error) {
					token, err := identity(ctx, audience)
					tokens = append(tokens, token)
					return token, err
				}
				_, err := credentials.Retrieve(t.Context())
				if err == nil {
					t.Fatal("credentials")
				}
				for _, want := range append(c.want, role) {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%v does not tell %s", err, want)
					}
				}
				for _, token := range tokens {
					for part := range strings.SplitSeq(token, ".") {
						if strings.Contains(err.Error(), part) {
							t.Errorf("the error tells the token: %v", err)
						}
					}
				}
				if strings.Contains(err.Error(), "secret of") || strings.Contains(err.Error(), "session of") {
					t.Errorf("the error tells the credentials: %v", err)
				}
			})
		})
	}
}

// TestReplayed: a token that was good once is not when it has expired; what was got
// by it is good until its own end, and other tokens are taken again.
func TestReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAWS()
		a.Lifetime = 50 * time.Minute
		c, _ := within(a)
		fresh, old := c.Identity, a.Token(role)
		c.Identity = func(context.Context, string) (string, error) { return old, nil }
		first := good(t, a, c)
		for time.Until(first.Expires) > margin {
			good(t, a, c)
			time.Sleep(time.Second)
		}
		if _, err := c.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "ExpiredToken") {
			t.Fatalf("an old token is taken: %v", err)
		}
		synctest.Wait()
		c.Identity = fresh
		time.Sleep(time.Minute)
		if good(t, a, c); a.Assumed() != 2 {
			t.Errorf("assumed %d times", a.Assumed())
		}
	})
}

// TestOthersRefused: what became of credentials that are not used any more is no
// matter.
func TestOthersRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAWS()
		c, w := within(a)
		first := good(t, a, c)
		time.Sleep(2 * young)
		w.trouble.Store(hangs)
		c.Refused(aws.Credentials{AccessKeyID: "ASIA"})
		if got := good(t, a, c); got.AccessKeyID != first.AccessKeyID {
			t.Error("others")
		}
	})
}

// TestPauses: they grow as long as nothing succeeds, and begin anew then.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAWS()
		c, _ := within(a)
		fails := func() {
			t.Helper()
			if _, err := c.Retrieve(t.Context()); err == nil {
				t.Fatal("credentials")
			}
		}
		c.Audience = "another"
		for range 8 {
			fails()
			time.Sleep(30 * time.Second)
		}
		fails()
		c.Audience = ""
		time.Sleep(15*time.Second - time.Nanosecond)
		fails()
		time.Sleep(15 * time.Second)
		used := good(t, a, c)

		time.Sleep(2 * young)
		c.Audience = "another"
		c.Refused(used)
		fails()
		c.Audience = ""
		time.Sleep(time.Second)
		good(t, a, c)
	})
}

// TestThawed: an instance that stood still begins anew when its credentials ended
// meanwhile.
func TestThawed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAWS()
		c, _ := within(a)
		good(t, a, c)
		time.Sleep(3 * time.Hour)
		if good(t, a, c); a.Assumed() != 2 {
			t.Errorf("assumed %d times", a.Assumed())
		}
	})
}
