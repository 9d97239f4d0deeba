package enrichment

import (
	"iter"
	"strings"
	"unicode/utf8"
)

const (
	// maxURL is how much of an address is read, in bytes.
	maxURL = 8192
	// maxPart is how much of a path or a query is kept, in bytes.
	maxPart = 2048
	// maxTitle is how much of a page's title is kept, in bytes.
	maxTitle = 512
	maxHost  = 253
	// maxParams is how many parameters of a query are read.
	maxParams = 256
)

// address is a URL taken apart. Unlike net/url it takes whatever browsers and
// SDKs send: what cannot be read is left empty.
type address struct {
	// host is in lower case, without user and port.
	host, path string
	// query is without the question mark, as it was sent.
	query string
}

// splitURL takes a URL apart: absolute, without a scheme ("//host/p", "host.tld/p"),
// or only a path.
func splitURL(s string) (a address) {
	s = strings.TrimSpace(cut(s, maxURL))
	s, _, _ = strings.Cut(s, "#")
	s, a.query, _ = strings.Cut(s, "?")
	authority, rest := "", s
	if before, after, ok := strings.Cut(s, "://"); ok && isScheme(before) {
		authority = after
	} else if strings.HasPrefix(s, "//") {
		authority = s[2:]
	} else if first, _, _ := strings.Cut(s, "/"); strings.Contains(first, ".") {
		authority = s
	} else if strings.Contains(first, ":") {
		return address{} // data:, about:, javascript:
	}
	if authority != "" {
		rest = ""
		if i := strings.IndexByte(authority, '/'); i >= 0 {
			authority, rest = authority[:i], authority[i:]
		}
		a.host = host(authority)
		if rest == "" && a.host != "" {
			rest = "/"
		}
	}
	a.path = rest
	return a
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= s[i] && s[i] <= '9' || s[i] == '-' || s[i] == '+' || s[i] == '.')) {
			return false
		}
	}
	return s != ""
}

// host returns the host of a URL's authority; empty when it cannot be one.
func host(authority string) string {
	h := authority[strings.LastIndexByte(authority, '@')+1:]
	if strings.HasPrefix(h, "[") {
		end := strings.IndexByte(h, ']')
		if end < 0 {
			return ""
		}
		h = h[1:end]
	} else {
		h, _, _ = strings.Cut(h, ":")
	}
	h = strings.TrimSuffix(h, ".")
	if h == "" || len(h) > maxHost || !utf8.ValidString(h) || strings.ContainsAny(h, " \t\r\n\x00<>\"'\\^`{|}%,") {
		return ""
	}
	return strings.ToLower(h)
}

// params yields the keys and values of a query as they were sent.
func params(query string) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for range maxParams {
			var pair string
			var more bool
			pair, query, more = strings.Cut(query, "&")
			if key, value, _ := strings.Cut(pair, "="); key != "" && !yield(key, value) || !more {
				return
			}
		}
	}
}

// unescape decodes a query's value, at most n bytes of it. An escape that is
// none stays as it is, and what is not UTF-8 becomes U+FFFD.
func unescape(s string, n int) string {
	if strings.ContainsAny(s, "%+") {
		s = cut(s, 3*n)
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			switch c := s[i]; {
			case c == '+':
				b = append(b, ' ')
			case c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
				b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
				i += 2
			default:
				b = append(b, c)
			}
		}
		s = string(b)
	}
	return clean(s, n)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c - 'a' + 10)
	case 'A' <= c && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
}

// clean returns at most n bytes of s, as valid UTF-8.
func clean(s string, n int) string {
	if len(s) > n {
		s = cut(s, n)
	}
	if !utf8.ValidString(s) {
		s = cut(strings.ToValidUTF8(s, "\uFFFD"), n)
	}
	return s
}
