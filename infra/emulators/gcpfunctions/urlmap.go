package gcpfunctions

import (
	"net/http"
	"strings"
)

// A URLMap puts several functions under one name, as an external Application Load
// Balancer does. Where it listens, TLS ends.
type URLMap struct {
	Rules []PathRule
	// Default serves what no rule does.
	Default http.Handler
}

// A PathRule says which paths a function serves
// (cloud.google.com/load-balancing/docs/url-map-concepts#pm-constraints).
type PathRule struct {
	// Paths are whole ones, or those below one: /a/* is not /a itself.
	Paths   []string
	Service http.Handler // a *Front
}

// balancerAddress is the load balancer's: an address for documentation, RFC 5737.
const balancerAddress = "203.0.113.1"

// ServeHTTP serves a request by the rule with the longest path that fits, and adds
// the caller's and the load balancer's addresses to X-Forwarded-For
// (cloud.google.com/load-balancing/docs/https#x-forwarded-for_header).
func (m *URLMap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, longest := m.Default, -1
	for _, rule := range m.Rules {
		for _, path := range rule.Paths {
			if len(path) > longest && fits(path, r.URL.EscapedPath()) {
				service, longest = rule.Service, len(path)
			}
		}
	}
	out := r.Clone(from(r.Context(), balancer))
	addForwarded(out, address(r), balancerAddress)
	out.Header.Set("X-Forwarded-Proto", "https")
	out.Header.Set("Via", "1.1 google")
	service.ServeHTTP(w, out)
}

func fits(rule, path string) bool {
	if below, ok := strings.CutSuffix(rule, "*"); ok {
		return strings.HasPrefix(path, below)
	}
	return path == rule
}
