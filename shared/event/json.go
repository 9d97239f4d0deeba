package event

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// A scanner walks strict JSON (RFC 8259) once, front to back, and hands out
// parts of its input. It is not a general parser on purpose: it keeps objects as the bytes
// the client sent, does not allocate, and what it costs is bounded by the
// input's length, whatever the input is. Its error sticks.
type scanner struct {
	b       []byte
	i       int
	depth   int
	deepest int
	// A bit for each level that value is in, set for objects: the first 64 in
	// low, the others in high. Nesting costs a bit, and no stack.
	low  uint64
	high []uint64
	// control is set when a string holds a raw control character, which JSON
	// forbids and clients send: see escapeControls.
	control bool
	err     *Error
}

func (s *scanner) fail(what string) {
	if s.err == nil {
		s.err = &Error{Reason: BadJSON, Detail: fmt.Sprintf("not JSON: %s at byte %d", what, s.i)}
	}
}

// space skips white space and returns the byte after it, 0 at the end.
func (s *scanner) space() byte {
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

// begin enters the object or array whose first byte is at s.i; false when it is
// empty (and passed).
//
//	for ok := s.begin('}'); ok; ok = s.next('}') { key := s.key(); s.value() }
func (s *scanner) begin(closing byte) bool {
	s.i++
	s.depth++
	s.deepest = max(s.deepest, s.depth)
	if s.err != nil {
		return false
	}
	if s.space() == closing {
		s.i++
		s.depth--
		return false
	}
	return true
}

// next goes on to the next member or element; false after the last one or an error.
func (s *scanner) next(closing byte) bool {
	if s.err != nil {
		return false
	}
	switch s.space() {
	case ',':
		s.i++
		s.space()
		return true
	case closing:
		s.i++
		s.depth--
	default:
		s.fail("expected a comma or the end of an object or array")
	}
	return false
}

// key reads a member's name and the colon, and leaves s.i at the value.
func (s *scanner) key() []byte {
	if s.space() != '"' {
		s.fail("expected a member's name")
		return nil
	}
	raw := s.value()
	if s.space() != ':' {
		s.fail("expected a colon")
		return nil
	}
	s.i++
	s.space()
	if s.err != nil {
		return nil
	}
	return stringBytes(raw)
}

// value passes the value at s.i and returns its bytes.
func (s *scanner) value() []byte {
	if s.err != nil {
		return nil
	}
	s.space()
	start, outer := s.i, s.depth
	for {
		switch c := s.space(); c {
		case '"':
			s.string()
		case '{', '[':
			s.kind(c == '{')
			if s.begin(c + 2) { // in ASCII, what closes is two after what opens
				s.name()
				continue
			}
		case 't':
			s.word("true")
		case 'f':
			s.word("false")
		case 'n':
			s.word("null")
		default:
			if c != '-' && (c < '0' || c > '9') {
				s.fail("expected a value")
				return nil
			}
			s.number()
		}
		more := false
		for s.depth > outer && s.err == nil && !more {
			closing := byte(']')
			if s.inObject() {
				closing = '}'
			}
			more = s.next(closing)
		}
		if s.err != nil {
			return nil
		}
		if !more {
			return s.b[start:s.i]
		}
		s.name()
	}
}

// kind notes whether the level that begins next is an object.
func (s *scanner) kind(object bool) {
	word := &s.low
	if i := s.depth/64 - 1; i >= 0 {
		if i == len(s.high) {
			s.high = append(s.high, 0)
		}
		word = &s.high[i]
	}
	if bit := uint64(1) << (s.depth % 64); object {
		*word |= bit
	} else {
		*word &^= bit
	}
}

func (s *scanner) inObject() bool {
	level := s.depth - 1
	word := s.low
	if level >= 64 {
		word = s.high[level/64-1]
	}
	return word>>(level%64)&1 != 0
}

// name passes a member's name and colon when the level is an object.
func (s *scanner) name() {
	if s.err != nil || !s.inObject() {
		return
	}
	if s.space() != '"' {
		s.fail("expected a member's name")
		return
	}
	s.string()
	if s.space() != ':' {
		s.fail("expected a colon")
		return
	}
	s.i++
}

func (s *scanner) word(w string) {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		s.fail("expected a value")
		return
	}
	s.i += len(w)
}

func (s *scanner) number() {
	at := func() byte {
		if s.i < len(s.b) {
			return s.b[s.i]
		}
		return 0
	}
	digits := func() {
		if c := at(); c < '0' || c > '9' {
			s.fail("malformed number")
		}
		for c := at(); c >= '0' && c <= '9'; c = at() {
			s.i++
		}
	}
	if at() == '-' {
		s.i++
	}
	if at() == '0' {
		s.i++
	} else {
		digits()
	}
	if at() == '.' {
		s.i++
		digits()
	}
	if c := at(); c == 'e' || c == 'E' {
		s.i++
		if c := at(); c == '+' || c == '-' {
			s.i++
		}
		digits()
	}
}

// string passes the string whose opening quote is at s.i.
func (s *scanner) string() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	b, i := s.b, s.i+1
	for {
		// Eight bytes at a time up to the first quote, backslash or control character.
		for len(b)-i >= 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			q, e := w^ones*'"', w^ones*'\\'
			if m := ((q-ones)&^q | (e-ones)&^e | (w-ones*0x20)&^w) & highs; m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			s.i = i
			s.fail("string without end")
			return
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				s.i = i
				s.fail("malformed escape")
				return
			}
			i += n
		case c < ' ':
			s.control = true
			i++
		default:
			i++
		}
	}
}

// escapeLen returns the length of the escape that b begins with, 0 when it is malformed.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// stringBytes returns what a scanned string says, its bytes themselves when it
// has no escapes. Half a surrogate pair becomes U+FFFD.
func stringBytes(raw []byte) []byte {
	if len(raw) < 2 {
		return nil
	}
	raw = raw[1 : len(raw)-1]
	if i := bytes.IndexByte(raw, '\\'); i >= 0 {
		return unescape(append(make([]byte, 0, len(raw)), raw[:i]...), raw[i:])
	}
	return raw
}

func unescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			continue
		}
		i++
		switch c := raw[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				pair := utf8.RuneError
				if len(raw) > i+6 && raw[i+1] == '\\' && raw[i+2] == 'u' {
					low, _ := hex4(raw[i+3:])
					pair = utf16.DecodeRune(r, low)
				}
				if pair != utf8.RuneError {
					i += 6
				}
				r = pair
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// escapeControls returns b with the control characters inside its strings
// escaped, which makes a body JSON that is but for them. One event's NUL must
// not cost its neighbours.
func escapeControls(b []byte) []byte {
	const digits = "0123456789abcdef"
	dst := make([]byte, 0, len(b)+len(b)/8)
	inside := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inside && c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case inside && c == '\\' && i+1 < len(b):
			dst = append(dst, c, b[i+1])
			i++
		case c == '"':
			inside = !inside
			dst = append(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// text returns b as a string that shares its bytes.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
