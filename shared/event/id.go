package event

import (
	"strings"
	"unicode/utf8"
)

// Junk lists ids that name nobody: what programs write when they have no id.
// Taken for ids they would make one person of all their visitors. They are
// compared without case and outer white space; nil means the built-in list.
type Junk []string

var builtinJunk = Junk{
	"null", "nil", "none", "undefined", "(null)", "<null>", "<nil>", "[null]", "null null",
	"0", "-1", "nan", "infinity", "true", "false", "{}", "[]", `""`, "''", "-", ".",
	"[object object]", "[object undefined]", "function", "unknown", "n/a", "(not set)", "undefined undefined",
	"anonymous", "guest", "anonymousid", "anonymous_id", "userid", "user_id", "distinctid", "distinct_id", "id", "not_authenticated",
	"00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000",
}

// Has reports whether id is junk. The empty id always is.
func (j Junk) Has(id string) bool {
	id = strings.TrimSpace(id)
	if id == "" {
		return true
	}
	if j == nil {
		j = builtinJunk
	}
	for _, junk := range j {
		if len(junk) == len(id) && strings.EqualFold(junk, id) {
			return true
		}
	}
	return false
}

// validID reports whether an id may name a fragment. U+FFFD stands for bytes
// that were not UTF-8: two users whose ids broke in the same place must not
// become one.
func validID(id string) bool {
	if len(id) > MaxID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c < ' ' || c == 0x7f {
			return false
		} else if c == 0xEF && strings.HasPrefix(id[i:], string(utf8.RuneError)) {
			return false
		}
	}
	return true
}
