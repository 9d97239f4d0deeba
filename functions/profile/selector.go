package profile

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/event"
)

const profilesPath = "/v1/profiles/"

var errSelector = errors.New("a profile is addressed as /v1/profiles/user_id:<id> or /v1/profiles/anonymous_id:<id>, with the id URL-escaped")

// parseSelector reads the visitor key that an escaped path names. The id is all
// that follows the first colon, colons and slashes included.
func parseSelector(escapedPath string) (visitor string, err error) {
	selector, ok := strings.CutPrefix(escapedPath, profilesPath)
	if !ok {
		return "", errSelector
	}
	selector, err = url.PathUnescape(selector)
	if err != nil || !utf8.ValidString(selector) {
		return "", errSelector
	}
	kind, id, _ := strings.Cut(selector, ":")
	if id == "" || len(id) > event.MaxID || strings.ContainsRune(id, 0) {
		return "", errSelector
	}
	switch kind {
	case "user_id":
		return event.UserPrefix + id, nil
	case "anonymous_id":
		return event.AnonymousPrefix + id, nil
	}
	return "", errSelector
}
