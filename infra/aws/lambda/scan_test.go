package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"
)

// FuzzScanner: what encoding/json takes the scanner takes, passes over as one
// value, and reads strings as encoding/json does.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`"a\"b\\\/\b\f\n\r\té\u00e9\ud83d\ude00\ud800x\udc00"`, `{"a":[1,-2.5e+3,true,false,null,{"b":"\\"}],"\u0061":{}}`, ` [ ] `, `"\ud83d\u0041"`, `"\`, `[1,]`, `{"a"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := scanner{data: bytes.Clone(data)}
		s.skip()
		if json.Valid(data) {
			if s.err != nil || s.space() != 0 || s.at != len(data) {
				t.Fatalf("skip of %q ends at %d with %v", data, s.at, s.err)
			}
		} else if s.at > len(data) {
			t.Fatalf("at %d of %d", s.at, len(data))
		}
		s = scanner{data: bytes.Clone(data)}
		got := s.text()
		var want string
		if json.Unmarshal(data, &want) == nil {
			if s.err != nil || string(bytes.ToValidUTF8(got, []byte("\ufffd"))) != string(bytes.ToValidUTF8([]byte(want), []byte("\ufffd"))) && bytes.Equal(bytes.ToValidUTF8(data, nil), data) {
				t.Fatalf("%q is %q, want %q (%v)", data, got, want, s.err)
			}
			// And back.
			var again string
			if err := json.Unmarshal(appendString(nil, want), &again); err != nil || again != want {
				t.Fatalf("%q is encoded as %s", want, appendString(nil, want))
			}
		}
	})
}

// FuzzDecodeInPlace: that base64 may be decoded onto itself, which Stream and
// HTTP rely on.
func FuzzDecodeInPlace(f *testing.F) {
	f.Add([]byte("some data"))
	f.Add(bytes.Repeat([]byte{0xff, 0, 7}, 500))
	f.Fuzz(func(t *testing.T, data []byte) {
		text := base64.StdEncoding.AppendEncode(nil, data)
		if n, err := base64.StdEncoding.Decode(text, text); err != nil || !bytes.Equal(text[:n], data) {
			t.Fatalf("%x becomes %x, %v", data, text[:n], err)
		}
		if want, err := base64.StdEncoding.DecodeString(string(data)); err == nil {
			text := bytes.Clone(data)
			if n, err := base64.StdEncoding.Decode(text, text); err != nil || !bytes.Equal(text[:n], want) {
				t.Fatalf("%q becomes %x, want %x (%v)", data, text[:n], want, err)
			}
		}
	})
}
