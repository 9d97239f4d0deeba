package dynamodb

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxKey is how long a hash key may be, in bytes.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
	maxKey = 2048
	// partRoom is left in every key for what names a part.
	partRoom = 48
	// mark ends what names an item; what follows is a hash or names a part.
	mark = '~'
)

// key returns the hash key of kind and names. Whatever bytes the names hold, it
// is valid UTF-8 and belongs to them alone. hashed is whether the names were too
// long: then it ends in their hash, and names cannot be read from it.
func key(kind string, names ...string) (pk string, hashed bool) {
	buf := append(make([]byte, 0, 64), kind...)
	for _, n := range names {
		buf = appendEscaped(append(buf, '/'), n)
	}
	if len(buf) <= maxKey-partRoom {
		return string(buf), false
	}
	h := sha256.New()
	for _, n := range names {
		h.Write(binary.AppendUvarint(nil, uint64(len(n))))
		h.Write([]byte(n))
	}
	cut := maxKey - partRoom - 2 - 2*sha256.Size
	for !utf8.RuneStart(buf[cut]) {
		cut--
	}
	return string(append(buf[:cut], mark, '#')) + hex.EncodeToString(h.Sum(nil)), true
}

const hexDigits = "0123456789ABCDEF"

// appendEscaped appends a name in which what would be ambiguous, unreadable or
// no UTF-8 is written as %XX, byte by byte.
func appendEscaped(buf []byte, name string) []byte {
	for i := 0; i < len(name); {
		c := name[i]
		if c < utf8.RuneSelf {
			if c <= ' ' || c == 0x7f || c == '/' || c == '%' || c == mark {
				buf = append(buf, '%', hexDigits[c>>4], hexDigits[c&15])
			} else {
				buf = append(buf, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 {
			buf = append(buf, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			buf = append(buf, name[i:i+n]...)
		}
		i += n
	}
	return buf
}

// unescape is appendEscaped's inverse.
func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	buf := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			buf = append(buf, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("dynamodb: %q breaks off in an escape", s)
		}
		b, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", fmt.Errorf("dynamodb: %q has a bad escape: %w", s, err)
		}
		buf = append(buf, b[0])
		i += 2
	}
	return string(buf), nil
}

// cutKey returns the names in a key that is neither hashed nor a part's.
func cutKey(pk string) (names []string, err error) {
	for i, part := range strings.Split(pk, "/") {
		if i == 0 {
			continue // the kind
		}
		name, err := unescape(part)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
