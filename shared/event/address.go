package event

import (
	"net/netip"
	"strings"

	"github.com/hitolayer/hito/shared/project"
)

// Address returns what the policy keeps of a client's address, empty when that
// is nothing or the text is no address. It reads what X-Forwarded-For and
// clients write: a port, brackets, a zone, a list (whose first is the client).
func Address(policy project.AddressPolicy, text string) string {
	if policy == project.Drop {
		return ""
	}
	addr, ok := parseAddress(text)
	if !ok {
		return ""
	}
	if policy != project.Keep {
		bits := 48
		if addr.Is4() {
			bits = 24
		}
		network, err := addr.Prefix(bits)
		if err != nil {
			return ""
		}
		addr = network.Addr()
	}
	return addr.String()
}

func parseAddress(text string) (addr netip.Addr, ok bool) {
	text, _, _ = strings.Cut(text, ",")
	text = strings.TrimSpace(text)
	var err error
	if strings.HasPrefix(text, "[") || strings.Count(text, ":") == 1 {
		var port netip.AddrPort
		port, err = netip.ParseAddrPort(text)
		addr = port.Addr()
	} else {
		addr, err = netip.ParseAddr(text)
	}
	return addr.Unmap().WithZone(""), err == nil
}
