package profile

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/event"
)

func TestSelector(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/profiles/user_id:u1":             "u:u1",
		"/v1/profiles/user_id%3Au1":           "u:u1",
		"/v1/profiles/anonymous_id:a1":        "a:a1",
		"/v1/profiles/user_id:a:b":            "u:a:b",
		"/v1/profiles/user_id:a/b":            "u:a/b",
		"/v1/profiles/user_id:a%2Fb":          "u:a/b",
		"/v1/profiles/user_id:a+b":            "u:a+b",
		"/v1/profiles/user_id:a%20b":          "u:a b",
		"/v1/profiles/user_id:%E4%BA%BA":      "u:人",
		"/v1/profiles/user_id:..":             "u:..",
		"/v1/profiles/user_id:tom@home.test/": "u:tom@home.test/",
	} {
		if got, err := parseSelector(path); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
}

func FuzzParseSelector(f *testing.F) {
	for _, s := range []string{"", "user_id:u1", "anonymous_id:a%2Fb", "user_id%3A%E4%BA%BA", "user_id:%", "user_id:%ff", "user_id:%00", "email:x", "::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		visitor, err := parseSelector(profilesPath + s)
		if err == nil {
			if len(visitor) < 3 || !utf8.ValidString(visitor) || visitor[:2] != "u:" && visitor[:2] != "a:" {
				t.Errorf("%q gives the visitor key %q", s, visitor)
			}
		} else if visitor != "" {
			t.Errorf("%q gives %q and an error", s, visitor)
		}
		// Any id that can be one survives being escaped.
		if s == "" || len(s) > event.MaxID || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return
		}
		for kind, prefix := range map[string]string{"user_id": "u:", "anonymous_id": "a:"} {
			if got, err := parseSelector(profilesPath + kind + ":" + url.PathEscape(s)); err != nil || got != prefix+s {
				t.Errorf("%s %q: %q, %v", kind, s, got, err)
			}
		}
	})
}
