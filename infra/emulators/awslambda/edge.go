package awslambda

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// An Edge puts several origins under one name, as a CloudFront distribution
// does: the first behavior whose pattern matches a request's path serves it. It
// caches nothing.
type Edge struct {
	Behaviors []Behavior
	Default   Behavior // its Pattern is ignored
}

// A Behavior says which requests go to an origin, and how.
type Behavior struct {
	// Pattern is matched with the whole path as it was sent: * is any text, ?
	// one character. With or without a slash before it.
	Pattern string
	// Methods are those allowed; nil allows all.
	Methods []string
	// Headers are the origin's custom headers, which replace a viewer's.
	Headers map[string]string
	// ViewerAddress adds the header CloudFront-Viewer-Address, as an origin
	// request policy may.
	ViewerAddress bool
	// Viewer is what a CloudFront Function does to a viewer's request before
	// anything else; nil is none.
	Viewer func(*http.Request)
	Origin http.Handler
}

// edgeAddress is where the origins see requests come from: an address for
// documentation, RFC 5737.
const edgeAddress = "192.0.2.1:443"

// ServeHTTP serves a request from the origin it belongs to, with 403 for a
// method that is not allowed, as CloudFront answers.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := &e.Default
	path := rawPath(r.URL)
	for i := range e.Behaviors {
		if matches("/"+strings.TrimPrefix(e.Behaviors[i].Pattern, "/"), path) {
			b = &e.Behaviors[i]
			break
		}
	}
	if b.Methods != nil && !slices.Contains(b.Methods, r.Method) {
		http.Error(w, "This distribution is not configured to allow the HTTP request method that was used for this request.", http.StatusForbidden)
		return
	}
	viewer, port, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		viewer, port = r.RemoteAddr, "0"
	}
	out := r.Clone(r.Context())
	out.RemoteAddr = edgeAddress
	h := out.Header
	for name := range h {
		if isHop(name) && !strings.EqualFold(name, "Content-Length") {
			h.Del(name)
		}
	}
	if b.Viewer != nil {
		b.Viewer(out)
	}
	h.Set("X-Forwarded-For", strings.Join(append(h.Values("X-Forwarded-For"), viewer), ", "))
	h.Set("Via", "1.1 edge.cloudfront.net (CloudFront)")
	h.Set("X-Amz-Cf-Id", newID())
	h.Del("Cloudfront-Viewer-Address") // a viewer cannot send it
	if b.ViewerAddress {
		h.Set("Cloudfront-Viewer-Address", viewer+":"+port)
	}
	for name, value := range b.Headers {
		h.Set(name, value)
	}
	b.Origin.ServeHTTP(w, out)
}

// matches tells whether a path is of CloudFront's pattern.
func matches(pattern, path string) bool {
	star, mark := -1, 0 // where the last * is, and how much of the path it has taken
	p, s := 0, 0
	for s < len(path) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, s
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == path[s]):
			p++
			s++
		case star >= 0:
			mark++
			p, s = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
