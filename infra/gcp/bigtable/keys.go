package bigtable

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/profile"
)

// maxKey is how long a row's key may be, in bytes.
// https://cloud.google.com/bigtable/quotas#limits-data-size
const maxKey = 4096

// prefixes is how many different prefixes keys have.
const prefixes = 1 << 16

// kindFragment stands behind the prefix of a fragment's key.
const kindFragment = "f/"

// fragmentKey returns the key of a fragment's row, such as "a1b2f/4/shop/u:1":
// prefix, kind, length of the project's name, project, visitor key.
func fragmentKey(k profile.Key) (string, error) {
	name := strconv.Itoa(len(k.Project)) + "/" + k.Project + "/" + k.Visitor
	key := fmt.Sprintf("%04x", xxhash.Sum64String(name)>>48) + kindFragment + name
	if len(key) > maxKey {
		return "", fmt.Errorf("bigtable: the key of %s has %d bytes, and may have %d", k, len(key), maxKey)
	}
	return key, nil
}

// cutFragmentKey is fragmentKey's inverse.
func cutFragmentKey(key string) (k profile.Key, ok bool) {
	if len(key) < 4 {
		return k, false
	}
	name, ok := strings.CutPrefix(key[4:], kindFragment)
	if !ok {
		return k, false
	}
	digits, name, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n >= len(name) || name[n] != '/' {
		return k, false
	}
	return profile.Key{Project: name[:n], Visitor: name[n+1:]}, true
}

// partRange returns where the keys of one of total parts begin, and where the
// next part's do; "" after the last.
func partRange(part, total int) (from, to string) {
	if part > 0 {
		from = fmt.Sprintf("%04x", part*prefixes/total)
	}
	if part < total-1 {
		to = fmt.Sprintf("%04x", (part+1)*prefixes/total)
	}
	return from, to
}
