package gcpfunctions

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// AllUsers is the invoker of a function that everybody may call.
const AllUsers = "allUsers"

// A Front is what stands before a function on Cloud Run: it lets in who may invoke,
// and says who called.
type Front struct {
	Function http.Handler
	// Audiences are the service's URL and its custom audiences
	// (cloud.google.com/run/docs/configuring/custom-audiences).
	Audiences []string
	// Invokers are the principals that have roles/run.invoker: AllUsers, or
	// "serviceAccount:" with an address.
	Invokers []string
	// Issuer has the key that tokens must be signed with.
	Issuer *Issuer
	// Ingress is INGRESS_TRAFFIC_ALL (""), INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER or
	// INGRESS_TRAFFIC_INTERNAL_ONLY. Pub/Sub and Cloud Scheduler are internal
	// (cloud.google.com/run/docs/securing/ingress).
	Ingress string
}

// ServeHTTP passes a request on to the function. What Cloud Run answers itself: 404
// where the ingress is closed to the caller, 401 to a token that is not good for
// this service, and 403 to whoever may not invoke it, with a token or without.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source := sourceOf(r.Context())
	if source == internet && f.Ingress != "" && f.Ingress != "INGRESS_TRAFFIC_ALL" || source == balancer && f.Ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" {
		http.Error(w, "Page not found", http.StatusNotFound)
		return
	}
	out := r.Clone(r.Context())
	if !slices.Contains(f.Invokers, AllUsers) {
		if status, why := f.check(out); status != 0 {
			w.Header().Set("WWW-Authenticate", why)
			http.Error(w, "Your client does not have permission to get URL "+r.URL.Path+" from this server.", status)
			return
		}
	}
	if source != balancer {
		addForwarded(out, address(r))
	}
	out.Header.Set("X-Forwarded-Proto", "https")
	trace(out.Header)
	f.Function.ServeHTTP(w, out)
}

// check tells whether the request's token allows it to invoke, and takes the
// signature off it. It returns 0, or the status and the header to answer with.
func (f *Front) check(r *http.Request) (status int, why string) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" {
		return http.StatusForbidden, "Bearer"
	}
	c, err := f.Issuer.Verify(token)
	if err != nil || !strings.EqualFold(scheme, "Bearer") || !slices.Contains(f.Audiences, c.Audience) {
		return http.StatusUnauthorized, `Bearer error="invalid_token" error_description="The access token could not be verified"`
	}
	if !c.Verified || !slices.Contains(f.Invokers, "serviceAccount:"+c.Email) {
		return http.StatusForbidden, `Bearer error="insufficient_scope" error_description="The access token has insufficient scope"`
	}
	r.Header.Set("Authorization", scheme+" "+token[:strings.LastIndexByte(token, '.')+1]+removed)
	return 0, ""
}

// address is the caller's, without the port.
func address(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// addForwarded adds addresses to those that a request says it came by.
func addForwarded(r *http.Request, addresses ...string) {
	r.Header.Set("X-Forwarded-For", strings.Join(append(r.Header.Values("X-Forwarded-For"), addresses...), ", "))
}

var traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$`)

// trace sets a span of Cloud Run's own, in the caller's trace if there is one
// (cloud.google.com/trace/docs/trace-context).
func trace(h http.Header) {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails
	id, flags, span := fmt.Sprintf("%x", random[:16]), "00", random[16:]
	if m := traceparent.FindStringSubmatch(h.Get("Traceparent")); m != nil {
		id, flags = m[1], m[2]
	}
	h.Set("Traceparent", fmt.Sprintf("00-%s-%x-%s", id, span, flags))
	h.Set("X-Cloud-Trace-Context", fmt.Sprintf("%s/%d;o=%c", id, binary.BigEndian.Uint64(span), flags[1]))
}
