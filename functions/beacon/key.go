package beacon

import (
	"net/http"
	"strings"

	"github.com/hitolayer/hito/shared/event"
)

// headerKey returns the write key that can be known before the body is read:
// the Basic user name, or X-Write-Key.
func headerKey(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok && user != "" {
		return user
	}
	return r.Header.Get("X-Write-Key")
}

// bodyKey returns the write key in the body, in the query or, as SDKs with OAuth
// have a token there, last the Bearer's.
func bodyKey(r *http.Request, b *event.Batch) string {
	if b.WriteKey != "" {
		return b.WriteKey
	}
	if r.URL.RawQuery != "" {
		if key := r.URL.Query().Get("writeKey"); key != "" {
			return key
		}
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

// clientAddress returns the address the request came from, seen from outside
// the trusted proxies.
func (h *Handler) clientAddress(r *http.Request) string {
	if h.TrustedProxies <= 0 {
		return r.RemoteAddr
	}
	forwarded := r.Header.Values("X-Forwarded-For")
	if len(forwarded) == 0 {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	return hops[max(0, len(hops)-h.TrustedProxies)]
}
