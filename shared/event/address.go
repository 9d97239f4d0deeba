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

// redact returns the JSON with what the policy keeps of every member called ip,
// at any depth. What is no address in text becomes "", but for null.
func redact(policy project.AddressPolicy, body []byte) []byte {
	out := make([]byte, 0, len(body))
	from := 0
	s := scanner{b: body}
	for s.i < len(body) {
		if body[s.i] != '"' {
			s.i++
			continue
		}
		start := s.i
		s.string()
		end := s.i
		if s.space() != ':' || string(stringBytes(body[start:end])) != "ip" { // in JSON, only a name is before a colon
			continue
		}
		s.i++
		s.space()
		value := s.i
		v := s.value()
		if len(v) == 0 || v[0] == 'n' {
			continue
		}
		address := ""
		if v[0] == '"' {
			address = Address(policy, text(stringBytes(v)))
		}
		out = append(append(append(append(out, body[from:value]...), '"'), address...), '"')
		from = s.i
	}
	return append(out, body[from:]...)
}
