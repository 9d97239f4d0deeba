package main

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hitolayer/hito/functions/profile"
)

// knownHosts refuses requests that name a host hito is not known by, with 421.
// Bound to loopback, that is every name but loopback's and those allowed:
// otherwise any web page could have its own name point here (DNS rebinding), and
// read with its visitor's browser. Bound beyond loopback, names are looked at
// only when some are given.
func knownHosts(next http.Handler, bound net.Addr, allowed []string) http.Handler {
	if tcp, ok := bound.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && len(allowed) == 0 {
		return next
	}
	names := make([]string, len(allowed))
	for i, name := range allowed {
		names[i] = hostName(name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := hostName(r.Host); !isLoopback(name) && !slices.Contains(names, name) {
			profile.Refuse(w, http.StatusMisdirectedRequest, "unknown_host", "hito is not known by this name; whoever runs it can allow it with HITO_HOSTS")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is a Host header's name: without port, brackets and final dot, in lower case.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func isLoopback(name string) bool {
	if name == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}
