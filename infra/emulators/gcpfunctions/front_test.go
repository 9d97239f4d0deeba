package gcpfunctions

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/idtoken"
	"google.golang.org/api/option"
)

const (
	pusher   = "hito-push@shop.iam.gserviceaccount.com"
	audience = "shop-enrich"
)

// seen answers with the headers that it was asked with.
var seen = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(echo{Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host, Header: r.Header})
})

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// asGoogle asks as Pub/Sub and Cloud Scheduler do.
func asGoogle(f http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.ServeHTTP(w, r.WithContext(from(r.Context(), google))) })
}

// TestFrontTokens: only the right account's token for the right service gets in.
func TestFrontTokens(t *testing.T) {
	issuer := &Issuer{}
	f := &Front{Function: seen, Audiences: []string{"https://enrich.run.app", audience}, Invokers: []string{"serviceAccount:" + pusher}, Issuer: issuer}
	good := issuer.Token(pusher, audience)
	valid, err := issuer.Verify(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*Claims)) http.Header {
		c := *valid
		change(&c)
		return bearer(issuer.Sign(c))
	}
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"good":               {bearer(good), 200},
		"the service's URL":  {bearer(issuer.Token(pusher, "https://enrich.run.app")), 200},
		"none":               {nil, 403},
		"another service's":  {bearer(issuer.Token(pusher, "shop-score")), 401},
		"another account's":  {bearer(issuer.Token("hito-score@shop.iam.gserviceaccount.com", audience)), 403},
		"another issuer's":   {bearer((&Issuer{}).Token(pusher, audience)), 401},
		"said to be so":      {changed(func(c *Claims) { c.Issuer = "https://example.com" }), 401},
		"expired":            {changed(func(c *Claims) { c.ExpiresAt = time.Now().Unix() - 1 }), 401},
		"of tomorrow":        {changed(func(c *Claims) { c.IssuedAt = time.Now().Unix() + 86400 }), 401},
		"not verified":       {changed(func(c *Claims) { c.Verified = false }), 403},
		"without signature":  {bearer(good[:strings.LastIndexByte(good, '.')+1] + removed), 401},
		"cut":                {bearer(good[:len(good)/2]), 401},
		"changed":            {bearer(strings.Replace(good, ".", ".e30", 1)), 401},
		"by another scheme":  {http.Header{"Authorization": {"Basic " + good}}, 401},
		"no token at all":    {bearer("x"), 401},
		"with another email": {changed(func(c *Claims) { c.Email = "x" + c.Email }), 403},
	} {
		status, _, e := ask(t, f, http.MethodPost, "/", "", c.header)
		if status != c.status {
			t.Errorf("%s: it answers %d, want %d", name, status, c.status)
		}
		if status == 200 {
			got := e.Header.Get("Authorization")
			sent := c.header.Get("Authorization")
			if want := sent[:strings.LastIndexByte(sent, '.')] + ".SIGNATURE_REMOVED_BY_GOOGLE"; got != want {
				t.Errorf("%s: the function sees %s, want %s", name, got, want)
			}
		}
	}

	// Where everybody may call, nothing is checked, and nothing removed.
	f.Invokers = append(f.Invokers, AllUsers)
	for _, header := range []http.Header{nil, bearer("a write key")} {
		if status, _, e := ask(t, f, http.MethodPost, "/", "", header); status != 200 || e.Header.Get("Authorization") != header.Get("Authorization") {
			t.Errorf("open to all, it answers %d to %v: %+v", status, header, e)
		}
	}
}

// TestToken: what verifies Google's tokens takes ours, with our keys in place of Google's.
func TestToken(t *testing.T) {
	now := time.Now()
	issuer := &Issuer{Now: func() time.Time { return now }}
	token := issuer.Token(pusher, audience)
	validator, err := idtoken.NewValidator(t.Context(), option.WithHTTPClient(&http.Client{Transport: Hosts{"www.googleapis.com": issuer}}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := validator.Validate(t.Context(), token, audience)
	if err != nil {
		t.Fatal(err)
	}
	if p.Issuer != "https://accounts.google.com" || p.Claims["email"] != pusher || p.Claims["email_verified"] != true || p.Claims["azp"] != p.Subject ||
		!regexp.MustCompile(`^1[0-9]{20}$`).MatchString(p.Subject) || p.Expires-p.IssuedAt != 3600 {
		t.Errorf("it says %+v", p)
	}
	if _, err := validator.Validate(t.Context(), (&Issuer{}).Token(pusher, audience), audience); err == nil {
		t.Error("another key's token is taken")
	}
	now = now.Add(10 * time.Minute)
	if issuer.Token(pusher, audience) != token {
		t.Error("after ten minutes it is another")
	}
	if issuer.Token(pusher, "other") == token {
		t.Error("another audience's is the same")
	}
	now = now.Add(25 * time.Minute)
	if next := issuer.Token(pusher, audience); next == token {
		t.Error("after 35 minutes it is the same")
	}
	now = now.Add(time.Hour)
	if _, err := issuer.Verify(token); err == nil {
		t.Error("it is taken after it expired")
	}
}

// TestForwarded: whom a function sees as its caller, who cannot say so himself.
func TestForwarded(t *testing.T) {
	front := &Front{Function: seen, Invokers: []string{AllUsers}}
	closed := &Front{Function: seen, Invokers: []string{AllUsers}, Ingress: "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"}
	internal := &Front{Function: seen, Invokers: []string{AllUsers}, Ingress: "INGRESS_TRAFFIC_INTERNAL_ONLY"}
	said := http.Header{"X-Forwarded-For": {"10.0.0.1", "10.0.0.2"}, "X-Forwarded-Proto": {"http"}}
	for name, c := range map[string]struct {
		handler   http.Handler
		header    http.Header
		status    int
		forwarded string
	}{
		"directly":            {front, nil, 200, "192.0.2.2"},
		"with a lie":          {front, said, 200, "10.0.0.1, 10.0.0.2, 192.0.2.2"},
		"by the balancer":     {&URLMap{Default: front}, said, 200, "10.0.0.1, 10.0.0.2, 192.0.2.2, 203.0.113.1"},
		"past the balancer":   {closed, nil, 404, ""},
		"closed, by it":       {&URLMap{Default: closed}, nil, 200, "192.0.2.2, 203.0.113.1"},
		"closed, by Google":   {asGoogle(closed), nil, 200, "192.0.2.2"},
		"internal":            {internal, nil, 404, ""},
		"internal, by it":     {&URLMap{Default: internal}, nil, 404, ""},
		"internal, by Google": {asGoogle(internal), nil, 200, "192.0.2.2"},
	} {
		status, _, e := ask(t, c.handler, http.MethodGet, "/x?y", "", c.header)
		if status != c.status {
			t.Errorf("%s: it answers %d, want %d", name, status, c.status)
			continue
		}
		if status == 200 && (strings.Join(e.Header["X-Forwarded-For"], "|") != c.forwarded || e.Header.Get("X-Forwarded-Proto") != "https" || e.Path != "/x?y") {
			t.Errorf("%s: the function sees %+v", name, e)
		}
	}
	if len(said["X-Forwarded-For"]) != 2 {
		t.Errorf("the caller's headers became %v", said)
	}
}

func TestTrace(t *testing.T) {
	front := &Front{Function: seen, Invokers: []string{AllUsers}}
	const parent = "0af7651916cd43dd8448eb211c80319c"
	_, _, e := ask(t, front, http.MethodGet, "/", "", http.Header{"Traceparent": {"00-" + parent + "-b7ad6b7169203331-01"}})
	var id, span, flags string
	if m := traceparent.FindStringSubmatch(e.Header.Get("Traceparent")); m == nil || m[1] != parent || strings.Contains(m[0], "b7ad6b7169203331") || m[2] != "01" {
		t.Errorf("traceparent is %q", e.Header.Get("Traceparent"))
	}
	if m := regexp.MustCompile(`^([0-9a-f]{32})/([0-9]+);o=([01])$`).FindStringSubmatch(e.Header.Get("X-Cloud-Trace-Context")); m != nil {
		id, span, flags = m[1], m[2], m[3]
	}
	var number uint64
	if _, err := fmt.Sscan(span, &number); err != nil || id != parent || flags != "1" || !strings.Contains(e.Header.Get("Traceparent"), fmt.Sprintf("-%016x-", number)) {
		t.Errorf("the trace is %q and %q", e.Header.Get("X-Cloud-Trace-Context"), e.Header.Get("Traceparent"))
	}
	_, _, first := ask(t, front, http.MethodGet, "/", "", http.Header{"Traceparent": {"no trace"}})
	_, _, second := ask(t, front, http.MethodGet, "/", "", nil)
	if a, b := first.Header.Get("Traceparent"), second.Header.Get("Traceparent"); a == b || !traceparent.MatchString(a) || !traceparent.MatchString(b) {
		t.Errorf("new traces are %q and %q", a, b)
	}
}

func TestURLMap(t *testing.T) {
	serve := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Served-By", name) })
	}
	m := &URLMap{Default: serve("beacon"), Rules: []PathRule{
		{[]string{"/v1/profiles/*", "/v1/ledger"}, serve("profile")},
		{[]string{"/v1/*"}, serve("v1")},
	}}
	for path, want := range map[string]string{
		"/v1/profiles/user_id:a%2Fb": "profile", "/v1/profiles/": "profile", "/v1/profiles": "v1", "/v1/ledger": "profile", "/v1/ledger?by=minute": "profile",
		"/v1/ledgers": "v1", "/v1/track": "v1", "/": "beacon", "/v2/profiles/x": "beacon",
	} {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Header().Get("Served-By"); got != want {
			t.Errorf("%s is served by %s, want %s", path, got, want)
		}
	}
}

func TestScheduler(t *testing.T) {
	issuer := &Issuer{}
	f := &Front{Function: newFunction(t, nil), Audiences: []string{audience}, Invokers: []string{"serviceAccount:" + pusher}, Issuer: issuer}
	var got *http.Request
	spy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		f.ServeHTTP(w, r)
	})
	s := &Scheduler{
		Job: "shop-sweep", URI: "https://score.run.app/sweep", Account: pusher, Audience: audience, Issuer: issuer, Client: &http.Client{Transport: Hosts{"score.run.app": spy}},
	}
	due := time.Date(2026, 11, 27, 12, 1, 0, 0, time.FixedZone("JST", 9*3600))
	if status, err := s.Run(t.Context(), due); status != 200 || err != nil {
		t.Errorf("it answers %d, %v", status, err)
	}
	for name, want := range map[string]string{
		"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "shop-sweep", "X-CloudScheduler-ScheduleTime": "2026-11-27T03:01:00Z",
		"User-Agent": "Google-Cloud-Scheduler", "Authorization": "Bearer " + issuer.Token(pusher, audience), "Content-Type": "",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if got.Method != http.MethodPost || got.URL.Path != "/sweep" {
		t.Errorf("it asks %s %s", got.Method, got.URL)
	}
	s.Account = "other@shop.iam.gserviceaccount.com"
	if status, err := s.Run(t.Context(), due); status != 403 || err != nil {
		t.Errorf("another account is answered %d, %v", status, err)
	}
	s.Account, s.Deadline, s.URI = pusher, 50*time.Millisecond, "https://score.run.app/hang"
	if status, err := s.Run(t.Context(), due); err == nil || context.Cause(t.Context()) != nil {
		t.Errorf("what hangs is answered %d", status)
	}
}
