package awslambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// fetch sends a request and returns the answer with its body.
func fetch(t *testing.T, method, url string, body []byte, header http.Header) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, got
}

func serve(t *testing.T, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// TestURL: through the real function and back.
func TestURL(t *testing.T) {
	f := newFunction(t, func(f *Function) { f.Concurrency = 1 })
	url := serve(t, &URL{Function: f, Domain: "abc.lambda-url.eu-west-3.on.aws"})

	resp, body := fetch(t, "POST", url+"/v1/%2Fa%20b/x?q=%41&a=1&a=2&bad=%zz", []byte(`{"é":1}`), http.Header{
		"Content-Type": {"application/json; charset=utf-8"}, "Cookie": {"a=1; b=2"}, "X-Two": {"1", "2"}, "User-Agent": {"agent"},
	})
	var e urlEvent
	if err := json.Unmarshal(body, &e); err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s %s: %s, %v", resp.Status, resp.Header, body, err)
	}
	if e.RawPath != "/v1/%2Fa%20b/x" || e.RawQueryString != "q=%41&a=1&a=2&bad=%zz" || e.Body != `{"é":1}` || e.IsBase64Encoded || e.Version != "2.0" {
		t.Errorf("the event is %s", body)
	}
	if !slices.Equal(e.Cookies, []string{"a=1", "b=2"}) || e.Headers["cookie"] != "a=1; b=2" || e.Headers["x-two"] != "1,2" {
		t.Errorf("the event is %s", body)
	}
	if e.QueryStringParameters["q"] != "A" || e.QueryStringParameters["a"] != "1,2" {
		t.Errorf("parameters are %v", e.QueryStringParameters)
	}
	c := e.RequestContext
	if c.HTTP.Method != "POST" || c.HTTP.Path != "/v1//a b/x" || c.HTTP.Protocol != "HTTP/1.1" || c.HTTP.SourceIP != "127.0.0.1" || c.HTTP.UserAgent != "agent" ||
		c.DomainName != "abc.lambda-url.eu-west-3.on.aws" || c.DomainPrefix != "abc" || c.TimeEpoch == 0 || c.RequestID == "" {
		t.Errorf("the context is %+v", c)
	}
	if e.Headers["host"] != c.DomainName || e.Headers["x-forwarded-for"] != "127.0.0.1" || e.Headers["x-forwarded-proto"] != "https" || e.Headers["x-forwarded-port"] != "443" {
		t.Errorf("headers are %v", e.Headers)
	}

	binary := make([]byte, 4096)
	for i := range binary {
		binary[i] = byte(i)
	}
	resp, body = fetch(t, "POST", url+"/binary", binary, http.Header{"Content-Type": {"application/octet-stream"}})
	if resp.StatusCode != http.StatusCreated || !bytes.Equal(body, binary) {
		t.Errorf("a binary body comes back with %s and %d bytes", resp.Status, len(body))
	}
	if resp.Header.Get("Content-Type") != "image/png" || resp.Header.Get("X-Two") != "a, b" || resp.Header.Get("X-Ignored") != "" ||
		!slices.Equal(resp.Header.Values("Set-Cookie"), []string{"a=1; Path=/", "b=2"}) {
		t.Errorf("headers are %v", resp.Header)
	}

	for path, want := range map[string]string{
		"/plain": `200 OK "no status code"`, "/empty": "204 No Content ", "/error": `502 Bad Gateway {"Message":"Internal Server Error"}`,
		"/bad": `502 Bad Gateway {"Message":"Internal Server Error"}`,
	} {
		if resp, body := fetch(t, "GET", url+path, nil, nil); resp.Status+" "+string(body) != want {
			t.Errorf("GET %s gives %s %s, want %s", path, resp.Status, body, want)
		}
	}

	for _, size := range []int{MaxPayload - 100, MaxPayload + 1} { // the event has more than the body
		if resp, _ := fetch(t, "POST", url+"/", make([]byte, size), nil); resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d bytes: %s", size, resp.Status)
		}
	}
}

func TestURLThrottles(t *testing.T) {
	f := newFunction(t, func(f *Function) { f.Concurrency = 1 })
	url := serve(t, &URL{Function: f})
	var all sync.WaitGroup
	status := make([]int, 4)
	for i := range status {
		all.Go(func() {
			resp, err := http.Get(url + "/wait")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			status[i] = resp.StatusCode
			if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("X-Amzn-Errortype") != "TooManyRequestsException" {
				t.Errorf("headers are %v", resp.Header)
			}
		})
	}
	all.Wait()
	if !slices.Contains(status, http.StatusTooManyRequests) || !slices.Contains(status, http.StatusOK) {
		t.Errorf("statuses are %v", status)
	}
}

func TestIsText(t *testing.T) {
	for _, test := range []struct {
		kind, encoding, body string
		text                 bool
	}{
		{"application/json", "", "{}", true},
		{"text/plain;charset=UTF-8", "", "{}", true},
		{"Text/HTML; x", "", "a", true},
		{"application/xml", "identity", "a", true},
		{"application/json", "", "\xff", false},
		{"application/json", "gzip", "{}", false},
		{"application/x-www-form-urlencoded", "", "a=1", false},
		{"application/octet-stream", "", "a", false},
		{"", "", "a", false},
		{"", "", "", true},
	} {
		h := http.Header{"Content-Type": {test.kind}, "Content-Encoding": {test.encoding}}
		if got := isText(h, []byte(test.body)); got != test.text {
			t.Errorf("%+v is text: %t", test, got)
		}
	}
}

func TestEdge(t *testing.T) {
	origin := func(name string) http.Handler {
		return &URL{Domain: name + ".on.aws", Function: invokerFunc(func(_ context.Context, payload []byte) ([]byte, error) { return payload, nil })}
	}
	e := &Edge{
		Behaviors: []Behavior{
			{Pattern: "/v1/profiles/*", Methods: []string{"GET", "HEAD", "OPTIONS", "DELETE"}, Origin: origin("profile"), Headers: map[string]string{"X-Edge": "secret"}},
			{Pattern: "v1/ledger", Origin: origin("profile"), ViewerAddress: true},
		},
		Default: Behavior{Origin: origin("beacon"), Viewer: func(r *http.Request) { r.Header.Del("X-Forwarded-For") }},
	}
	url := serve(t, e)
	get := func(method, path string, header http.Header) (urlEvent, int) {
		resp, body := fetch(t, method, url+path, nil, header)
		var got urlEvent
		if resp.StatusCode == http.StatusOK {
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
		}
		return got, resp.StatusCode
	}
	for path, want := range map[string]string{
		"/v1/profiles/user_id:a%2Fb": "profile.on.aws", "/v1/profiles/": "profile.on.aws", "/v1/ledger": "profile.on.aws", "/v1/ledger/x": "beacon.on.aws",
		"/v1/track": "beacon.on.aws", "/": "beacon.on.aws",
	} {
		if got, status := get("GET", path, nil); got.RequestContext.DomainName != want || got.RawPath != path {
			t.Errorf("%s goes to %s with path %s (%d)", path, got.RequestContext.DomainName, got.RawPath, status)
		}
	}
	if _, status := get("POST", "/v1/profiles/x", nil); status != http.StatusForbidden {
		t.Errorf("POST is answered with %d", status)
	}
	spoofed := http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Edge": {"guess"}, "Cloudfront-Viewer-Address": {"203.0.113.9:1"}}
	got, _ := get("DELETE", "/v1/profiles/x", spoofed)
	if got.Headers["x-edge"] != "secret" || got.Headers["cloudfront-viewer-address"] != "" || got.RequestContext.HTTP.SourceIP != "192.0.2.1" {
		t.Errorf("the origin sees %+v", got)
	}
	if got.Headers["x-forwarded-for"] != "203.0.113.9" { // as function URLs have it: not to be trusted
		t.Errorf("x-forwarded-for is %s", got.Headers["x-forwarded-for"])
	}
	if got, _ = get("GET", "/v1/ledger", spoofed); !strings.HasPrefix(got.Headers["cloudfront-viewer-address"], "127.0.0.1:") {
		t.Errorf("the viewer's address is %s", got.Headers["cloudfront-viewer-address"])
	}
	if got, _ = get("GET", "/", spoofed); got.Headers["x-forwarded-for"] != "127.0.0.1" {
		t.Errorf("x-forwarded-for is %s", got.Headers["x-forwarded-for"])
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"/a", "/a", true}, {"/a", "/A", false}, {"/a*", "/a", true}, {"/a*", "/a/b/c", true}, {"/*.js", "/x/y.js", true},
		{"/*.js", "/x.jsx", false}, {"/?", "/a", true}, {"/?", "/", false}, {"/a*b*c", "/axbxxc", true}, {"/a*b*c", "/axc", false}, {"/*", "/", true},
	} {
		if got := matches(test.pattern, test.path); got != test.want {
			t.Errorf("matches(%q, %q) = %t", test.pattern, test.path, got)
		}
	}
}

// FuzzURLEvent: whatever comes, the event is JSON and its body the request's.
func FuzzURLEvent(f *testing.F) {
	f.Add("/a%2Fb", "q=1", "application/json", "a=1; b", []byte(`{}`))
	f.Add("/", "", "", "", []byte{0xff})
	f.Fuzz(func(t *testing.T, path, query, kind, cookie string, body []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.URL.Path, r.URL.RawQuery = path, query
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Cookie", cookie)
		encoded, err := json.Marshal((&URL{}).event(r, body))
		if err != nil {
			t.Fatal(err)
		}
		var e urlEvent
		if err := json.Unmarshal(encoded, &e); err != nil {
			t.Fatal(err)
		}
		got := []byte(e.Body)
		if e.IsBase64Encoded {
			if got, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, body) {
			t.Errorf("the body %q becomes %q", body, got)
		}
	})
}

// FuzzReadAnswer: an answer is refused, or can be sent.
func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"statusCode":200,"headers":{"a":"b"},"cookies":["c"],"body":"YQ==","isBase64Encoded":true}`))
	f.Add([]byte(`"x"`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		r, err := readAnswer(answer)
		if (r == nil) == (err == nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if r != nil && (r.status < 200 || r.status > 599 || utf8.Valid(answer) && r.headers == nil && len(r.body) == 0) {
			t.Errorf("%q gives %+v", answer, r)
		}
	})
}
