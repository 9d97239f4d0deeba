package profile

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/telemetry"
)

func TestBadInput(t *testing.T) {
	h, s := newHandler()
	s.add("shop", track("u1", "", "m1", "Seen", time.Minute))
	for _, c := range []struct {
		method, target string
		status         int
		code           string
	}{
		{"GET", "/v1/profiles/", 400, "invalid_id"},
		{"GET", "/v1/profiles/u1", 400, "invalid_id"},
		{"GET", "/v1/profiles/user_id:", 400, "invalid_id"},
		{"GET", "/v1/profiles/user_id", 400, "invalid_id"},
		{"GET", "/v1/profiles/email:a@b.c", 400, "invalid_id"},
		{"GET", "/v1/profiles/USER_ID:u1", 400, "invalid_id"},
		{"GET", "/v1/profiles/user_id:%ff", 400, "invalid_id"},
		{"GET", "/v1/profiles/user_id:u1%00", 400, "invalid_id"},
		{"GET", "/v1/profiles/user_id:" + strings.Repeat("x", event.MaxID+1), 400, "invalid_id"},
		{"DELETE", "/v1/profiles/u1", 400, "invalid_id"},
		{"GET", "/v1/profiles/user_id:u1?after=m1&timeout=1", 400, "invalid_timeout"},
		{"GET", "/v1/profiles/user_id:u1?after=m1&timeout=-1s", 400, "invalid_timeout"},
		{"GET", "/v1/profiles/user_id:u1?after=m1&timeout=11s", 400, "invalid_timeout"},
		{"GET", "/v1/profiles/user_id:u1?after=m1&timeout=1e9h", 400, "invalid_timeout"},
		{"DELETE", "/v1/profiles/user_id:u1?timeout=soon", 400, "invalid_timeout"},
		{"GET", "/v1/ledger?by=hour", 400, "invalid_by"},
		{"GET", "/v1/ledger?by=minute&from=yesterday", 400, "invalid_time"},
		{"GET", "/v1/ledger?by=minute&to=1", 400, "invalid_time"},
		{"GET", "/v1/ledger?by=minute&from=2026-01-01T00:00:00Z&to=2026-01-09T00:00:00Z", 400, "invalid_span"},
		{"GET", "/v1/ledger?by=minute&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 400, "invalid_span"},
		{"GET", "/v1/quarantine?limit=0", 400, "invalid_limit"},
		{"GET", "/v1/quarantine?limit=501", 400, "invalid_limit"},
		{"GET", "/v1/quarantine?limit=many", 400, "invalid_limit"},
		{"GET", "/v1/quarantine?cursor=nonsense", 400, "invalid_cursor"},
		{"GET", "/v1/nothing", 404, "not_found"},
		{"GET", "/v1/ledger/", 404, "not_found"},
	} {
		w := ask(t, h, c.method, c.target)
		if code := failure(t, w); w.Code != c.status || code != c.code {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.target, w.Code, code, c.status, c.code)
		}
		if c.code == "not_found" {
			continue
		}
		if w := askWith(t, h, c.method, c.target, "Bearer wrong-key"); w.Code != http.StatusUnauthorized {
			t.Errorf("%s %s with a wrong key: %d, want 401", c.method, c.target, w.Code)
		}
	}
}

func TestOtherMethodsNameTheAllowedOnes(t *testing.T) {
	h, _ := newHandler()
	for path, allow := range map[string]string{
		"/v1/profiles/user_id:u1": "GET, HEAD, DELETE",
		"/v1/ledger":              "GET, HEAD",
		"/v1/quarantine":          "GET, HEAD",
	} {
		for _, method := range []string{"POST", "PUT", "PATCH", "OPTIONS", "DELETE"} {
			if strings.Contains(allow, method) {
				continue
			}
			w := ask(t, h, method, path)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != allow || failure(t, w) != "method_not_allowed" {
				t.Errorf("%s %s: %d, Allow %q, want 405 %q", method, path, w.Code, w.Header().Get("Allow"), allow)
			}
		}
	}
}

// answer is everything a client can see of an answer.
func answer(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	_ = w.Result().Header.Write(&b)
	return w.Result().Status + "\n" + b.String() + w.Body.String()
}

func TestWrongKeysLookAlike(t *testing.T) {
	h, s := newHandler()
	s.add("shop", track("u1", "", "m1", "Seen", time.Minute))
	var first string
	for _, target := range []string{
		"/v1/profiles/user_id:u1", "/v1/profiles/user_id:nobody", "/v1/profiles/nonsense", "/v1/ledger", "/v1/quarantine",
	} {
		for _, authorization := range []string{
			"", "Bearer", "Bearer ", "Bearer wrong-key", "Bearer shop-write", "Bearer shop-secret2", "Bearer Shop-Secret",
			"shop-secret", "Basic c2hvcC1zZWNyZXQ6", "Bearershop-secret", "Bearer shop-secret bank-secret",
		} {
			w := askWith(t, h, "GET", target, authorization)
			if w.Code != http.StatusUnauthorized {
				t.Errorf("%q on %s: %d, want 401", authorization, target, w.Code)
			}
			if first == "" {
				first = answer(w)
			}
			if got := answer(w); got != first {
				t.Errorf("%q on %s:\n%s\nanother wrong key:\n%s", authorization, target, got, first)
			}
		}
	}
	for _, authorization := range []string{"bearer shop-secret", "BEARER  shop-secret "} {
		if w := askWith(t, h, "GET", "/v1/ledger", authorization); w.Code != http.StatusOK {
			t.Errorf("%q: %d, want 200", authorization, w.Code)
		}
	}
}

func TestUnknownPersonsLookAlike(t *testing.T) {
	h, s := newHandler()
	s.add("shop", track("gone", "a-gone", "m1", "Seen", time.Minute))
	if w := ask(t, h, "DELETE", "/v1/profiles/user_id:gone"); w.Code != http.StatusOK {
		t.Fatalf("erase: %d %s", w.Code, w.Body)
	}
	s.add("bank", track("theirs", "a-theirs", "m2", "Seen", time.Minute))
	for _, suffix := range []struct{ method, query string }{
		{"GET", ""}, {"HEAD", ""}, {"DELETE", ""}, {"GET", "?after=m2&timeout=0s"},
	} {
		var first string
		loads := -1
		for _, id := range []string{"user_id:never", "user_id:theirs", "user_id:gone", "anonymous_id:never", "anonymous_id:theirs"} {
			s.loads = 0
			w := ask(t, h, suffix.method, "/v1/profiles/"+id+suffix.query)
			if want := map[bool]int{true: 404, false: 504}[suffix.query == ""]; w.Code != want {
				t.Errorf("%s %s%s: %d, want %d", suffix.method, id, suffix.query, w.Code, want)
			}
			if first == "" {
				first, loads = answer(w), s.loads
			}
			if got := answer(w); got != first || s.loads != loads {
				t.Errorf("%s %s%s, %d loads:\n%s\nanother unknown person, %d loads:\n%s", suffix.method, id, suffix.query, s.loads, got, loads, first)
			}
		}
	}
	if w := askWith(t, h, "GET", "/v1/profiles/user_id:theirs", "Bearer bank-secret"); w.Code != http.StatusOK {
		t.Errorf("the bank's own person: %d, want 200", w.Code)
	}
}

func TestServerErrorsStayInside(t *testing.T) {
	h, s := newHandler()
	s.add("shop", track("u1", "", "m1", "Seen", time.Minute))
	broken := errors.New("disk 7 of shop burnt")
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.Raw = &raw{err: broken}
	check := func(method, target string) {
		t.Helper()
		log.Reset()
		w := ask(t, h, method, target)
		if w.Code != http.StatusServiceUnavailable || failure(t, w) != "unavailable" || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "burnt") {
			t.Errorf("%s %s: the answer says what failed: %s", method, target, w.Body)
		}
		if got := strings.Count(log.String(), "burnt"); got != 1 {
			t.Errorf("%s %s: logged %d times:\n%s", method, target, got, &log)
		}
	}
	check("DELETE", "/v1/profiles/user_id:u1")
	s.err = broken
	h.Ledger, h.Quarantine = &book{err: broken}, &drawer{err: broken}
	check("GET", "/v1/profiles/user_id:u1")
	check("GET", "/v1/profiles/user_id:u1?after=m1")
	check("DELETE", "/v1/profiles/user_id:u1")
	check("GET", "/v1/ledger")
	check("GET", "/v1/ledger?by=minute")
	check("GET", "/v1/quarantine")
}

type measured []string

func (m *measured) Emit(_ context.Context, function string, values ...telemetry.Value) {
	for _, v := range values {
		*m = append(*m, function+" "+v.Name)
	}
}

func TestEveryRequestIsMeasured(t *testing.T) {
	h, _ := newHandler()
	var m measured
	h.Telemetry = &m
	ask(t, h, "GET", "/v1/profiles/user_id:nobody?after=m1&timeout=0s")
	if want := []string{"profile unreflected", "profile requests", "profile request_time"}; !slices.Equal(m, want) {
		t.Errorf("measured %q, want %q", m, want)
	}
}
