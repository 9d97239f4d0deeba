package beacon

import (
	"net/http"
	"strings"

	"github.com/hitolayer/hito/shared/event"
)

// earlyKey returns the write key that can be known before the body is read: the
// Basic user name, X-Write-Key, or the query's.
func earlyKey(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok && user != "" {
		return user
	}
	if key := r.Header.Get("X-Write-Key"); key != "" || r.URL.RawQuery == "" {
		return key
	}
	return r.URL.Query().Get("writeKey")
}

// lateKey returns the write key in the body or, as SDKs with OAuth have a token
// there, last the Bearer's.
func lateKey(r *http.Request, b *event.Batch) string {
	if b.WriteKey != "" {
		return b.WriteKey
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
