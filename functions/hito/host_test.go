package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestKnownHosts(t *testing.T) {
	loopback, everywhere := net.IPv4(127, 0, 0, 1), net.IPv4zero
	for _, c := range []struct {
		bound   net.IP
		allowed []string
		host    string
		want    int
	}{
		{loopback, nil, "127.0.0.1:8080", 200}, {loopback, nil, "localhost", 200}, {loopback, nil, "LocalHost.:1", 200},
		{loopback, nil, "127.9.9.9", 200}, {loopback, nil, "[::1]:8080", 200}, {loopback, nil, "[::1]", 200},
		{net.IPv6loopback, nil, "localhost:8080", 200},
		{loopback, nil, "evil.example:8080", 421}, {loopback, nil, "localhost.evil.example", 421}, {loopback, nil, "127.0.0.1.evil.example", 421},
		{loopback, nil, "10.0.0.1", 421}, {loopback, nil, "", 421}, {net.IPv6loopback, nil, "evil.example", 421},
		{loopback, []string{"Hito.example"}, "hito.EXAMPLE:443", 200}, {loopback, []string{"hito.example"}, "localhost", 200},
		{loopback, []string{"hito.example"}, "evil.example", 421},
		{everywhere, nil, "anything.example", 200},
		{everywhere, []string{"hito.example"}, "hito.example", 200}, {everywhere, []string{"hito.example"}, "evil.example", 421},
	} {
		h := knownHosts(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), &net.TCPAddr{IP: c.bound}, c.allowed)
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/ledger", nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("bound to %v, allowed %v: %q gets %d, want %d", c.bound, c.allowed, c.host, w.Code, c.want)
		}
		if body := w.Body.String(); c.want == 421 && (!json.Valid(w.Body.Bytes()) || strings.Count(body, "\n") != 1 || !strings.Contains(body, "HITO_HOSTS")) {
			t.Errorf("refused with %q", body)
		}
	}
}

// TestRebindingIsRefused: the real process, bound to loopback, answers no page
// that has its own name point here, on no path.
func TestRebindingIsRefused(t *testing.T) {
	c := start(t, t.TempDir())
	for _, path := range []string{"/", "/v1/projects/demo/settings", "/v1/t", "/v1/ledger", "/v1/tail", "/healthz", "/metrics", "/nowhere"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		req.Header.Set("Authorization", "Bearer demo-secret")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s answers %d, want 421", path, resp.StatusCode)
		}
	}
}
