package firestore

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/profile"
)

// maxID is how long a document's id may be, in bytes.
// https://cloud.google.com/firestore/quotas
const maxID = 1500

// prefixes is how many different prefixes ids have.
const prefixes = 1 << 16

// id returns a document's id, such as "a1b2|shop|u:1": a hash of the names, and
// the names, which are escaped since an id has no slash and is valid UTF-8.
func id(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteByte('|')
		b.WriteString(url.PathEscape(n))
	}
	return fmt.Sprintf("%04x", xxhash.Sum64String(b.String())>>48) + b.String()
}

// fragmentID returns the id of a fragment's document.
func fragmentID(k profile.Key) (string, error) {
	s := id(k.Project, k.Visitor)
	if len(s) > maxID {
		return "", fmt.Errorf("firestore: the id of %s has %d bytes, and may have %d", k, len(s), maxID)
	}
	return s, nil
}

// cutFragmentID is fragmentID's inverse.
func cutFragmentID(s string) (k profile.Key, ok bool) {
	names := strings.Split(s, "|")
	if len(names) != 3 || len(names[0]) != 4 {
		return k, false
	}
	var err error
	if k.Project, err = url.PathUnescape(names[1]); err != nil {
		return k, false
	}
	k.Visitor, err = url.PathUnescape(names[2])
	return k, err == nil
}

// partRange returns what the ids of one of total parts are above, and what they
// are below; "" after the last.
func partRange(part, total int) (from, to string) {
	if part > 0 {
		from = fmt.Sprintf("%04x", part*prefixes/total)
	}
	if part < total-1 {
		to = fmt.Sprintf("%04x", (part+1)*prefixes/total)
	}
	return from, to
}
