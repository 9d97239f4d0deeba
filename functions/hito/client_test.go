package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/shared/config"
)

// answers is a server that gives one answer after the other.
type answers struct {
	t     *testing.T
	list  []func(w http.ResponseWriter)
	asked []string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body := new(strings.Builder)
	if err := r.Write(body); err != nil {
		a.t.Error(err)
	}
	a.asked = append(a.asked, body.String())
	if len(a.list) == 0 {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	a.list[0](w)
	a.list = a.list[1:]
	return w.Result(), nil
}

func status(code int, header, value, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if header != "" {
			w.Header().Set(header, value)
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body)) // to a recorder
	}
}

const oneAccepted = `{"success":true,"receipts":[{"message_id":"m1","status":"accepted"}]}`

func TestSenderTriesAgain(t *testing.T) {
	for name, c := range map[string]struct {
		list    []func(http.ResponseWriter)
		tries   int
		atLeast time.Duration
		atMost  time.Duration
		want    string // in the error
	}{
		"at once":            {[]func(http.ResponseWriter){status(200, "", "", oneAccepted)}, 1, 0, 0, ""},
		"busy":               {[]func(http.ResponseWriter){status(503, "", "", ""), status(500, "", "", ""), status(200, "", "", oneAccepted)}, 3, 0, time.Second, ""},
		"Retry-After":        {[]func(http.ResponseWriter){status(503, "Retry-After", "7", ""), status(200, "", "", oneAccepted)}, 2, 7 * time.Second, 7 * time.Second, ""},
		"absurd Retry-After": {[]func(http.ResponseWriter){status(429, "Retry-After", "86400", ""), status(200, "", "", oneAccepted)}, 2, 30 * time.Second, 30 * time.Second, ""},
		"nobody there":       {nil, 10, 5 * time.Second, time.Minute, "gave up after 10 attempts: send to http://hito/: "},
		"wrong key":          {[]func(http.ResponseWriter){status(401, "", "", `{"success":false}`)}, 1, 0, 0, "401"},
		"no receipts":        {[]func(http.ResponseWriter){status(200, "", "", `{"success":true}`)}, 1, 0, 0, "0 receipts for 1 events"},
		"not hito":           {[]func(http.ResponseWriter){status(200, "", "", `<html>`)}, 1, 0, 0, "not JSON"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := &answers{t: t, list: c.list}
			s := newSender(config.Client{URL: "http://hito/", WriteKey: "demo"}, 1)
			s.http.Transport = a
			began := time.Now()
			v, err := s.send(t.Context(), [][]byte{[]byte(`{"messageId":"m1"}`)})
			took := time.Since(began)
			if c.want == "" && (err != nil || v.accepted != 1) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %+v, %v", name, v, err)
			}
			if len(a.asked) != c.tries || took < c.atLeast || took > c.atMost {
				t.Errorf("%s: %d tries in %v", name, len(a.asked), took)
			}
			for _, request := range a.asked {
				if request != a.asked[0] || !strings.Contains(request, `{"batch":[{"messageId":"m1"}]}`) {
					t.Errorf("%s: a try sends %s", name, request)
				}
			}
		})
	}
}

func TestReceipts(t *testing.T) {
	v, err := readReceipts([]byte(`{"receipts":[{"status":"accepted"},{"status":"duplicate"},
		{"status":"quarantined","reason":"missing_id"},{"status":"quarantined","reason":"missing_id"}]}`), 4)
	if err != nil || v.accepted != 1 || v.duplicate != 1 || v.quarantined != 2 || v.reasons["missing_id"] != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := readReceipts([]byte(`{"receipts":[{"status":"new"}]}`), 1); err == nil {
		t.Error("an unknown receipt is taken for something")
	}
}
