package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var quiet = slog.New(slog.DiscardHandler)

// answer is what a function answers by format 2.0.
type answer struct {
	StatusCode      int
	Headers         map[string]string
	Cookies         []string
	Body            string
	IsBase64Encoded bool
}

func serve(t testing.TB, h *HTTP, payload []byte) answer {
	t.Helper()
	out, err := h.Invoke(t.Context(), bytes.Clone(payload))
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return a
}

// edit returns the golden payload with members replaced, by path such as "requestContext.http.method".
func edit(t testing.TB, name string, changes map[string]any) []byte {
	t.Helper()
	var event map[string]any
	if err := json.Unmarshal(golden(t, name), &event); err != nil {
		t.Fatal(err)
	}
	for path, v := range changes {
		parts := strings.Split(path, ".")
		at := event
		for _, p := range parts[:len(parts)-1] {
			at = at[p].(map[string]any)
		}
		if v == nil {
			delete(at, parts[len(parts)-1])
		} else {
			at[parts[len(parts)-1]] = v
		}
	}
	out, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// request serves a payload and returns what the handler was given.
func received(t testing.TB, payload []byte) (r *http.Request, body []byte) {
	t.Helper()
	h := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, got *http.Request) {
		r = got
		var err error
		if body, err = io.ReadAll(got.Body); err != nil {
			t.Error(err)
		}
	})}
	if a := serve(t, h, payload); a.StatusCode != 200 {
		t.Fatalf("status %d", a.StatusCode)
	}
	return r, body
}

func TestRequestOfFunctionURL(t *testing.T) {
	r, body := received(t, golden(t, "function-url.json"))
	for what, c := range map[string][2]any{
		"method":         {r.Method, "POST"},
		"path":           {r.URL.Path, "/v1/café/a/b"},
		"escaped path":   {r.URL.EscapedPath(), "/v1/caf%C3%A9/a%2Fb"},
		"query":          {r.URL.RawQuery, "parameter1=value1&parameter1=value2&x=%20+"},
		"request URI":    {r.RequestURI, "/v1/caf%C3%A9/a%2Fb?parameter1=value1&parameter1=value2&x=%20+"},
		"host":           {r.Host, "abcdef.lambda-url.us-west-2.on.aws"},
		"address":        {r.RemoteAddr, "123.123.123.123:0"},
		"proto":          {r.Proto, "HTTP/1.1"},
		"content length": {r.ContentLength, int64(len(body))},
		"TLS":            {r.TLS != nil, true},
		"body":           {string(body), `{"event":"日本 \ud83d\ude00 😀","tab":"\t"}`},
	} {
		if c[0] != c[1] {
			t.Errorf("%s is %q, want %q", what, c[0], c[1])
		}
	}
	want := http.Header{
		"Accept-Encoding": {"gzip, deflate, br"}, "Content-Type": {"application/json"}, "Cookie": {"cookie1=a; cookie2=b"},
		"Header2": {"value1,value2"}, "X-Amzn-Trace-Id": {"Root=1-62ecd163-5f302e550dcde3b12402207d"},
		"X-Forwarded-For": {"6.6.6.6, 123.123.123.123"}, "X-Forwarded-Proto": {"https"}, "X-Write-Key": {"demo"},
	}
	if !reflect.DeepEqual(r.Header, want) {
		t.Errorf("headers %v, want %v", r.Header, want)
	}
	if cookies := r.Cookies(); len(cookies) != 2 || cookies[0].String() != "cookie1=a" || cookies[1].String() != "cookie2=b" {
		t.Errorf("cookies %v", cookies)
	}
}

func TestRequestOfAPIGateway(t *testing.T) {
	r, body := received(t, golden(t, "api-gateway-stage.json"))
	if r.URL.Path != "/v1/batch" || r.URL.EscapedPath() != "/v1/batch" || r.RequestURI != "/v1/batch" {
		t.Errorf("path %q, URI %q: the stage is no part of it", r.URL.Path, r.RequestURI)
	}
	if want := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}; !bytes.Equal(body, want) {
		t.Errorf("body % x, want % x", body, want)
	}
	if r.RemoteAddr != "[2001:db8::7]:0" {
		t.Errorf("address %q", r.RemoteAddr)
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || host != "2001:db8::7" {
		t.Errorf("host %q, %v", host, err)
	}
	if got := r.Header["Cookie"]; !slices.Equal(got, []string{"a=1; b=2"}) {
		t.Errorf("cookie header %q", got)
	}
}

func TestRequestPaths(t *testing.T) {
	const api = "aaaaaaaaaa.execute-api.us-west-2.amazonaws.com"
	for _, c := range []struct{ raw, stage, domain, path, escaped string }{
		{"/prod", "prod", api, "/", "/"},
		{"/prod/", "prod", api, "/", "/"},
		{"/production/x", "prod", api, "/production/x", "/production/x"},
		{"/prod/prod", "prod", api, "/prod", "/prod"},
		{"/v1/batch", "v1", "api.example.com", "/v1/batch", "/v1/batch"}, // a custom domain has no stage
		{"/v1/batch", "$default", api, "/v1/batch", "/v1/batch"},
		{"/v1/batch", "v1", "aaaaaaaaaa.execute-api.us-west-2.api.aws", "/batch", "/batch"},
		{"", "$default", api, "/", "/"},
		{"//v1//batch", "$default", api, "//v1//batch", "//v1//batch"},
		{"/a%2fb%20c", "$default", api, "/a/b c", "/a%2fb%20c"},
		{"/[x]!'()*", "$default", api, "/[x]!'()*", "/[x]!'()*"},
		{"/日本 x", "$default", api, "/日本 x", "/%E6%97%A5%E6%9C%AC%20x"}, // decoded already
		{"/100%", "$default", api, "/100%", "/100%25"},
		{"/a?b", "$default", api, "/a?b", "/a%3Fb"},
	} {
		r, _ := received(t, edit(t, "api-gateway-stage.json", map[string]any{
			"rawPath": c.raw, "requestContext.stage": c.stage, "requestContext.domainName": c.domain,
		}))
		if r.URL.Path != c.path || r.URL.EscapedPath() != c.escaped {
			t.Errorf("%q of stage %s at %s is %q, escaped %q; want %q, %q", c.raw, c.stage, c.domain, r.URL.Path, r.URL.EscapedPath(), c.path, c.escaped)
		}
	}
}

func TestRequestIsNotBelievedAboutTheClient(t *testing.T) {
	r, _ := received(t, edit(t, "function-url.json", map[string]any{
		"headers":                      map[string]string{"X-Forwarded-For": "6.6.6.6", "x-real-ip": "7.7.7.7", "Host": "evil.example", "forwarded": "for=8.8.8.8"},
		"requestContext.http.sourceIp": "9.9.9.9",
	}))
	if r.RemoteAddr != "9.9.9.9:0" || r.Host != "abcdef.lambda-url.us-west-2.on.aws" || r.Header["Host"] != nil {
		t.Errorf("address %q, host %q, header %q", r.RemoteAddr, r.Host, r.Header["Host"])
	}
}

func TestRequestHeaders(t *testing.T) {
	payload := []byte(`{"version":"2.0","rawPath":"/","headers":{"x-a":"1","X-A":"2","ODD header":"3","etag":"","x-ä":"4","sec-ch-ua":"\"Chrome\";v=\"1\""},
		"requestContext":{"http":{"method":"GET","protocol":"HTTP/2.0"}}}`)
	r, body := received(t, payload)
	want := http.Header{"X-A": {"1", "2"}, "ODD header": {"3"}, "Etag": {""}, "x-ä": {"4"}, "Sec-Ch-Ua": {`"Chrome";v="1"`}}
	if !reflect.DeepEqual(r.Header, want) {
		t.Errorf("headers %q, want %q", r.Header, want)
	}
	if r.ProtoMajor != 2 || r.Body != http.NoBody || len(body) != 0 || r.RemoteAddr != "" {
		t.Errorf("proto %d, body %q, address %q", r.ProtoMajor, body, r.RemoteAddr)
	}
}

func TestRequestSurvivesItsPayload(t *testing.T) {
	var kept []*http.Request
	h := &HTTP{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { kept = append(kept, r) })}
	for range 3 {
		payload := golden(t, "function-url.json")
		if _, err := h.Invoke(t.Context(), payload); err != nil {
			t.Fatal(err)
		}
		for i := range payload {
			payload[i] = 'X' // as the runtime does: the memory is the next payload's
		}
	}
	for _, r := range kept {
		if r.Method != "POST" || r.URL.EscapedPath() != "/v1/caf%C3%A9/a%2Fb" || r.Header.Get("X-Write-Key") != "demo" || r.Host == "" || strings.Contains(r.RemoteAddr, "X") {
			t.Errorf("what a handler kept has changed: %v", r)
		}
	}
}

func TestPayloadsOfAnotherKind(t *testing.T) {
	called := false
	h := &HTTP{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true })}
	for _, payload := range []string{``, `null`, `[]`, `"x"`, `{}`, `{"version":"1.0","httpMethod":"GET","path":"/"}`, `{"version":"2.0"}`, `{"version":"2.0","requestContext":{"http":{"method":`, string(golden(t, "sqs.json"))} {
		if out, err := h.Invoke(t.Context(), []byte(payload)); err == nil {
			t.Errorf("%.40s was answered with %s", payload, out)
		}
	}
	if a := serve(t, h, edit(t, "api-gateway-stage.json", map[string]any{"body": "no base64!"})); a.StatusCode != 400 {
		t.Errorf("a body that is not base64: %d", a.StatusCode)
	}
	if a := serve(t, h, append(golden(t, "function-url.json"), make([]byte, maxRequest)...)); a.StatusCode != 413 {
		t.Errorf("a payload of 8 MiB: %d", a.StatusCode)
	}
	if called {
		t.Error("the handler was called")
	}
}

func TestRequestEndsBeforeTheInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ timeout, margin, want time.Duration }{
			{10 * time.Second, 0, 9500 * time.Millisecond},
			{10 * time.Second, 3 * time.Second, 7500 * time.Millisecond}, // a quarter at most
			{400 * time.Millisecond, 0, 300 * time.Millisecond},
		} {
			began := time.Now()
			h := &HTTP{Margin: c.margin, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				if got := time.Since(began); got != c.want {
					t.Errorf("of %v with margin %v the request had %v, want %v", c.timeout, c.margin, got, c.want)
				}
				w.WriteHeader(503)
			})}
			ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
			out, err := h.Invoke(ctx, golden(t, "function-url.json"))
			if ctx.Err() != nil || err != nil || !bytes.Contains(out, []byte(`"statusCode":503`)) {
				t.Errorf("answered %s, %v, %v", out, err, ctx.Err())
			}
			cancel()
		}
	})
}

func TestBeforeComesFirst(t *testing.T) {
	var order []string
	h := &HTTP{
		Before:  func(context.Context) { order = append(order, "before") },
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { order = append(order, "serve") }),
	}
	serve(t, h, golden(t, "function-url.json"))
	if !slices.Equal(order, []string{"before", "serve"}) {
		t.Error(order)
	}
}

func TestConcurrentRequests(t *testing.T) {
	h := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Echo", r.Header.Get("X-Write-Key"))
		_, _ = io.Copy(w, r.Body)
	})}
	var wg sync.WaitGroup
	for i := range 8 {
		key := strings.Repeat(string(rune('a'+i)), 50*(i+1))
		payload := edit(t, "function-url.json", map[string]any{"body": key, "headers": map[string]string{"x-write-key": key}})
		wg.Go(func() {
			for range 100 {
				var a answer
				out, err := h.Invoke(t.Context(), bytes.Clone(payload))
				if err = errors.Join(err, json.Unmarshal(out, &a)); err != nil || a.Body != key || a.Headers["X-Echo"] != key {
					t.Errorf("%v %+v", err, a)
					return
				}
			}
		})
	}
	wg.Wait()
}

// FuzzHTTP: whatever the payload is, HTTP answers or refuses it; and what is a
// payload by encoding/json gives a request with the same contents.
func FuzzHTTP(f *testing.F) {
	f.Add(golden(f, "function-url.json"))
	f.Add(golden(f, "api-gateway-stage.json"))
	f.Add([]byte(`{"version":"2.0","rawPath":"\ud800/%zz","headers":{"a":"\u00e9\n"},"requestContext":{"http":{"method":"\t"}}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var got *http.Request
		var body []byte
		h := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r
			body, _ = io.ReadAll(r.Body)
			_, _ = w.Write(body)
			maps.Copy(w.Header(), r.Header)
		})}
		out, err := h.Invoke(t.Context(), bytes.Clone(payload))
		if err == nil && !json.Valid(out) {
			t.Fatalf("answered %q", out)
		}
		var any map[string]any
		if json.Unmarshal(payload, &any) != nil {
			return
		}
		// Names once, in one case, and valid UTF-8: what AWS sends.
		payload, _ = json.Marshal(any)
		type v2 struct {
			Version, RawPath, RawQueryString, Body string
			Headers                                map[string]string
			Cookies                                []string
			IsBase64Encoded                        bool
			RequestContext                         struct {
				DomainName string
				HTTP       struct{ Method, SourceIp string }
			}
		}
		var want v2
		d := json.NewDecoder(bytes.NewReader(payload))
		if d.Decode(&want) != nil || want.Version != "2.0" || !hasExactly(any, "version", "rawPath", "rawQueryString", "body", "headers", "isBase64Encoded", "requestContext", "requestContext.domainName", "requestContext.http", "requestContext.http.method") {
			return
		}
		got = nil
		if _, err := h.Invoke(t.Context(), bytes.Clone(payload)); err != nil {
			if want.RequestContext.HTTP.Method != "" {
				t.Fatalf("%v of %s", err, payload)
			}
			return
		}
		if got == nil { // the body is not base64
			if _, err := base64.StdEncoding.DecodeString(want.Body); err == nil || !want.IsBase64Encoded {
				t.Fatalf("refused %s", payload)
			}
			return
		}
		wantBody := []byte(want.Body)
		if want.IsBase64Encoded {
			wantBody, _ = base64.StdEncoding.DecodeString(want.Body)
		}
		if got.Method != want.RequestContext.HTTP.Method || got.Host != want.RequestContext.DomainName || got.URL.RawQuery != want.RawQueryString || !bytes.Equal(body, wantBody) {
			t.Fatalf("%+v, body %q of %s", got, body, payload)
		}
		values := 0
		for _, v := range got.Header {
			values += len(v)
		}
		if values > len(want.Headers)+1 {
			t.Fatalf("headers %v of %v", got.Header, want.Headers)
		}
	})
}

// hasExactly reports whether every name there is spelt as one of the paths, or
// as none of them in another case.
func hasExactly(event map[string]any, paths ...string) bool {
	for name, v := range event {
		for _, p := range paths {
			first, _, _ := strings.Cut(p, ".")
			if strings.EqualFold(first, name) && first != name {
				return false
			}
		}
		var below []string
		for _, p := range paths {
			if rest, ok := strings.CutPrefix(p, name+"."); ok {
				below = append(below, rest)
			}
		}
		if m, ok := v.(map[string]any); ok && len(below) > 0 && !hasExactly(m, below...) {
			return false
		}
	}
	return true
}
