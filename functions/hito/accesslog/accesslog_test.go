package accesslog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const sample = `83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a/b.png?x=1&y=%20 HTTP/1.1" 200 203023 "http://semicomplete.com/p/" "Mozilla/5.0 (X11)"`

func TestParse(t *testing.T) {
	at := time.Date(2015, 5, 17, 10, 5, 3, 0, time.UTC)
	for name, c := range map[string]struct {
		line string
		want Line
	}{
		"plain": {sample, Line{"83.149.9.216", "", at, "GET", "/a/b.png?x=1&y=%20", 200, 203023, "http://semicomplete.com/p/", "Mozilla/5.0 (X11)"}},
		"IPv6, user, zone, no size": {`2001:db8::1 - frank smith [17/May/2015:12:05:03 +0200] "POST / HTTP/2.0" 204 - "-" "-"`,
			Line{"2001:db8::1", "frank smith", at, "POST", "/", 204, 0, "", ""}},
		"escapes": {`h.example.com - - [17/May/2015:10:05:03 +0000] "GET /\"q\" HTTP/1.1" 404 5 "a\\b\x41\t\q" "x \"y\" z\\"`,
			Line{"h.example.com", "", at, "GET", `/"q"`, 404, 5, "a\\bA\t\\q", `x "y" z\`}},
		"space in the target": {`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET /a b HTTP/1.0" 200 1 "" ""`,
			Line{"1.1.1.1", "", at, "GET", "/a b", 200, 1, "", ""}},
		"more fields": {sample + ` "10.0.0.1" 0.003`, Line{"83.149.9.216", "", at, "GET", "/a/b.png?x=1&y=%20", 200, 203023, "http://semicomplete.com/p/", "Mozilla/5.0 (X11)"}},
	} {
		got, err := Parse(c.line)
		got.Time = got.Time.UTC()
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"":            "line ends early",
		"hello world": "line ends early",
		`- - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`:            "no client address",
		`1.1.1.1 - - [yesterday] "GET / HTTP/1.1" 200 1 "-" "-"`:                       "time [yesterday]",
		`1.1.1.1 - - "GET / HTTP/1.1" 200 1 "-" "-"`:                                   "no [time]",
		`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "-" 408 0 "-" "-"`:                   `request "-"`,
		`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "\x16\x03\x01" 400 0 "-" "-"`:        "METHOD TARGET PROTOCOL",
		`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 2x0 1 "-" "-"`:      `status "2x0"`,
		`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 -5 "-" "-"`:     `size "-5"`,
		`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1`:              "line ends early",
		`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "Mozilla`: "never closed",
		`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x\"`:     "never closed",
	} {
		if _, err := Parse(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n\tgot %v, want %q", line, err, want)
		}
	}
}

func TestEvent(t *testing.T) {
	l, err := Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Event(7, sample, "https://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"page","messageId":"` + MessageID(7, sample) + `","anonymousId":"` + l.AnonymousID() + `","timestamp":"2015-05-17T10:05:03.000Z",` +
		`"properties":{"url":"https://example.com/a/b.png?x=1\u0026y=%20","path":"/a/b.png","search":"?x=1\u0026y=%20","referrer":"http://semicomplete.com/p/","method":"GET","status":200,"bytes":203023},` +
		`"context":{"ip":"83.149.9.216","userAgent":"Mozilla/5.0 (X11)","page":{"url":"https://example.com/a/b.png?x=1\u0026y=%20","path":"/a/b.png","search":"?x=1\u0026y=%20","referrer":"http://semicomplete.com/p/"}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestIdentities(t *testing.T) {
	a, b := Line{Addr: "1", UserAgent: "2 3"}, Line{Addr: "1 2", UserAgent: "3"}
	if a.AnonymousID() == b.AnonymousID() {
		t.Error("two pairs of address and user agent share a visitor")
	}
	if MessageID(1, "x") == MessageID(2, "x") || MessageID(1, "x") == MessageID(1, "y") || MessageID(1, "1x") == MessageID(11, "x") {
		t.Error("two lines share a message id")
	}
	if once, again := MessageID(1, "x"), MessageID(1, string([]byte{'x'})); once != again {
		t.Error("a message id changes")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{sample, "", `""`, `"\"`, "[", `a b c [] "" 1 1 "\x4" "\xff"`,
		`::1 - - [17/May/2015:10:05:03 +0000] "GET http://h/p?q HTTP/1.1" 200 - "\\\"" "\x00"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err != nil {
			if l != (Line{}) {
				t.Fatalf("an error and yet %+v", l)
			}
			return
		}
		if l.Addr == "" || l.Method == "" || l.Target == "" || l.Status == 0 || l.Time.IsZero() {
			t.Fatalf("accepted without what every line has: %+v", l)
		}
		body, err := l.Event(1, text, "")
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("event is not JSON: %s", body)
		}
	})
}
