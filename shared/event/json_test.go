package event

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// scan reads b as Segment does its body, into one value.
func scan(b []byte) ([]byte, *Error) {
	s := scanner{b: b}
	s.space()
	v := s.value()
	if s.space(); s.err == nil && s.i < len(s.b) {
		s.fail("more after it")
	}
	return v, s.err
}

var jsonSeeds = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-1.5e+10`, `1E5`, `true`, `false`, `null`, ` { "a" : [ 1 , { } , "x" ] } `,
	`{"a":1,"a":2}`, `"\u00e9\n\/\\\""`, `"\ud83d\ude00"`, `"\ud800"`, `"\ud800A"`, `1e999999`,
	``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1,}`, `[1,]`, `[,1]`, `01`, `1.`, `.5`, `+1`, `-`, `1e`, `NaN`, `Infinity`, `nul`, `nullx`,
	`"a`, `"\x"`, `"\u12"`, `"\u12G4"`, `{a:1}`, `{'a':1}`, `[1 2]`, `{"a":1 "b":2}`, `{"a" 1}`, `{1:2}`, "\"a\x00b\"", "\"12345678\x01\"", `"12345678"`, `"1234567\"89"`,
	strings.Repeat("[", 300) + strings.Repeat("]", 300), strings.Repeat("[", 20000),
}

// FuzzScanner compares the scanner with encoding/json, which it must agree with
// but for raw control characters in strings and for depth.
func FuzzScanner(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := scan(b)
		deep := bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > 10_000 // as deep as encoding/json goes
		clean := escapeControls(b)
		if valid := json.Valid(clean); valid != (err == nil) && !deep {
			t.Fatalf("scanner says %v, encoding/json says valid=%v of %q", err, valid, clean)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(bytes.TrimSpace(b), v) {
			t.Fatalf("value %q of %q", v, b)
		}
		if v, err := scan(clean); err != nil || !json.Valid(v) && !deep {
			t.Fatalf("escapeControls(%q) = %q is not JSON", b, clean)
		}
		if v[0] == '"' && utf8.Valid(b) {
			c, _ := scan(clean)
			var want string
			if err := json.Unmarshal(c, &want); err != nil {
				t.Fatal(err)
			}
			if got := string(stringBytes(c)); got != want {
				t.Fatalf("%q says %q, want %q", c, got, want)
			}
		}
	})
}

func TestScannerSeeds(t *testing.T) {
	for _, s := range jsonSeeds {
		_, err := scan(escapeControls([]byte(s)))
		deep := len(s) > 10_000 // as deep as encoding/json goes
		if valid := json.Valid([]byte(s)) || strings.Contains(s, "\x00") || strings.Contains(s, "\x01"); valid != (err == nil) && !deep {
			t.Errorf("%.40q: error %v, valid %v", s, err, valid)
		}
	}
}

// A hostile body must not make an error larger than a line.
func TestScannerErrorIsShort(t *testing.T) {
	for _, s := range []string{strings.Repeat("[", 500_000), strings.Repeat(`{"a":`, 9000) + strings.Repeat("x", 400_000)} {
		_, err := scan([]byte(s))
		if err == nil || len(err.Detail) > 200 || strings.Contains(err.Detail, "\n") {
			t.Errorf("error %v", err)
		}
	}
}

// Depth costs neither stack nor an error, and brackets must match at any depth.
func TestScannerIsIterative(t *testing.T) {
	const n = 250_000
	for _, c := range []struct{ open, close string }{{"[", "]"}, {`{"a":`, "}"}, {`[{"a":`, "}]"}, {`{"a":[0,`, "]}"}} {
		good := strings.Repeat(c.open, n) + "1" + strings.Repeat(c.close, n)
		if v, err := scan([]byte(good)); err != nil || len(v) != len(good) {
			t.Errorf("%s: %v", c.open, err)
		}
		for _, bad := range []string{good[:len(good)-1], good + c.close, strings.Replace(good, "1"+c.close, "1"+"}]"+c.close, 1)} {
			if _, err := scan([]byte(bad)); err == nil {
				t.Errorf("%s: brackets that do not match are taken", c.open)
			}
		}
	}
}
