package lambda

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON text value by value, in place: what it returns shares the
// text's memory, and escapes are replaced there. It checks what it needs to find
// its way, not that all the text is good JSON. After an error every method
// returns nothing, so that err need be looked at only once.
type scanner struct {
	data []byte
	at   int
	err  error
}

var errEnd = errors.New("the JSON ends too early")

func (s *scanner) fail(want string) {
	if s.err != nil {
		return
	}
	s.err = errEnd
	if s.at < len(s.data) {
		s.err = fmt.Errorf("%q at byte %d of the JSON, where %s should be", s.data[s.at], s.at, want)
	}
}

// space passes over white space and returns the byte behind it; 0 at the end.
func (s *scanner) space() byte {
	if s.err != nil {
		return 0
	}
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// open enters an object ('{') or an array ('['), and reports whether it has
// members. null is an empty one.
func (s *scanner) open(bracket byte) bool {
	switch s.space() {
	case bracket:
		s.at++
	case 'n':
		s.literal("null")
		return false
	default:
		s.fail("a " + string(bracket))
		return false
	}
	if s.space() == bracket+2 { // the closing ones, in ASCII
		s.at++
		return false
	}
	return s.err == nil
}

// more passes over what separates members and reports whether another follows;
// if not, it has left the object or array.
func (s *scanner) more(bracket byte) bool {
	switch s.space() {
	case ',':
		s.at++
		return true
	case bracket + 2:
		s.at++
	default:
		s.fail("a comma or the end of what a " + string(bracket) + " began")
	}
	return false
}

// name returns a member's name and passes over the colon.
func (s *scanner) name() []byte {
	name := s.text()
	if s.space() != ':' {
		s.fail("a colon")
		return nil
	}
	s.at++
	return name
}

// text returns a string; nil for null.
func (s *scanner) text() []byte {
	switch s.space() {
	case '"':
	case 'n':
		s.literal("null")
		return nil
	default:
		s.fail("a string")
		return nil
	}
	from := s.at + 1
	end := bytes.IndexByte(s.data[from:], '"')
	if end < 0 {
		s.at = len(s.data)
		s.fail("")
		return nil
	}
	end += from
	if escape := bytes.IndexByte(s.data[from:end], '\\'); escape >= 0 {
		return s.unescape(from, from+escape)
	}
	s.at = end + 1
	return s.data[from:end:end]
}

// unescape returns the string that begins at from and has its first escape at
// the position given.
func (s *scanner) unescape(from, escape int) []byte {
	data, to := s.data, escape
	for at := escape; at < len(data); {
		c := data[at]
		if c == '"' {
			s.at = at + 1
			return data[from:to:to]
		}
		if c != '\\' {
			data[to] = c
			at++
			to++
			continue
		}
		if at+1 == len(data) {
			break
		}
		at += 2
		switch c = data[at-1]; c {
		case '"', '\\', '/':
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(data[at:])
			if r < 0 {
				s.at = at
				s.fail("four hexadecimal digits")
				return nil
			}
			at += 4
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if bytes.HasPrefix(data[at:], []byte(`\u`)) {
					low = hex4(data[at+2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					at += 6
				}
			}
			to += utf8.EncodeRune(data[to:], r) // shorter than the escape
			continue
		default:
			s.at = at - 1
			s.fail("an escape")
			return nil
		}
		data[to] = c
		to++
	}
	s.at = len(data)
	s.fail("")
	return nil
}

// hex4 returns the number that data begins with; -1 when it does not.
func hex4(data []byte) rune {
	if len(data) < 4 {
		return -1
	}
	r := rune(0)
	for _, c := range data[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

func (s *scanner) literal(word string) {
	if !bytes.HasPrefix(s.data[s.at:], []byte(word)) {
		s.fail(word)
		return
	}
	s.at += len(word)
}

// flag returns a truth value; null is false.
func (s *scanner) flag() bool {
	switch s.space() {
	case 't':
		s.literal("true")
		return s.err == nil
	case 'n':
		s.literal("null")
	default:
		s.literal("false")
	}
	return false
}

// number returns a number's text; nil for null.
func (s *scanner) number() []byte {
	switch c := s.space(); {
	case c == 'n':
		s.literal("null")
		return nil
	case c == '-' || c >= '0' && c <= '9':
		return s.scalar()
	}
	s.fail("a number")
	return nil
}

// scalar passes over what ends where JSON's structure goes on.
func (s *scanner) scalar() []byte {
	from := s.at
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n', ',', ':', ']', '}', '"', '[', '{':
			return s.data[from:s.at:s.at]
		}
		s.at++
	}
	return s.data[from:s.at:s.at]
}

// skip passes over a value of any kind.
func (s *scanner) skip() {
	for depth := 0; ; {
		switch c := s.space(); c {
		case '{', '[':
			s.at++
			depth++
			continue
		case '}', ']', ',', ':':
			if depth == 0 {
				s.fail("a value")
				return
			}
			s.at++
			if c == ',' || c == ':' {
				continue
			}
			depth--
		case '"':
			s.skipString()
		case 0:
			s.fail("a value")
			return
		default:
			s.scalar()
		}
		if depth == 0 || s.err != nil {
			return
		}
	}
}

func (s *scanner) skipString() {
	for at := s.at + 1; ; {
		end := bytes.IndexByte(s.data[at:], '"')
		if end < 0 {
			s.at = len(s.data)
			s.fail("")
			return
		}
		at += end
		escapes := 0
		for s.data[at-1-escapes] == '\\' { // ends at the opening quote at the latest
			escapes++
		}
		at++
		if escapes%2 == 0 {
			s.at = at
			return
		}
	}
}
