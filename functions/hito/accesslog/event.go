package accesslog

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// MessageID identifies a line of a log: it depends on the line's bytes and its
// number alone, so that a log sent twice is the same events.
func MessageID(number int, line string) string {
	return "log-" + hash(fmt.Sprint(number), line)
}

// AnonymousID identifies a line's visitor: the pair of address and user agent.
func (l Line) AnonymousID() string { return "log-" + hash(l.Addr, l.UserAgent) }

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:15])
}

type page struct {
	Type        string     `json:"type"`
	MessageID   string     `json:"messageId"`
	AnonymousID string     `json:"anonymousId"`
	Timestamp   string     `json:"timestamp"`
	Properties  properties `json:"properties"`
	Context     context    `json:"context"`
}

type properties struct {
	URL      string `json:"url"`
	Path     string `json:"path"`
	Search   string `json:"search,omitempty"`
	Referrer string `json:"referrer,omitempty"`
	Method   string `json:"method"`
	Status   int    `json:"status"`
	Bytes    int64  `json:"bytes"`
	User     string `json:"user,omitempty"`
}

type context struct {
	IP        string      `json:"ip,omitempty"`
	UserAgent string      `json:"userAgent,omitempty"`
	Page      contextPage `json:"page"`
}

type contextPage struct {
	URL      string `json:"url"`
	Path     string `json:"path"`
	Search   string `json:"search,omitempty"`
	Referrer string `json:"referrer,omitempty"`
}

// Event returns the line as a Segment page event in JSON. The number is the
// line's, from 1; text its bytes. The site, such as "https://example.com", is
// put before paths, since a log does not tell its host; it may be empty.
func (l Line) Event(number int, text, site string) ([]byte, error) {
	url := l.Target
	if strings.HasPrefix(url, "/") {
		url = strings.TrimSuffix(site, "/") + url
	}
	path, search := l.Target, ""
	if _, rest, ok := strings.Cut(path, "://"); ok { // as proxies are asked
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path, search = path[:i], path[i:]
	}
	e := page{
		Type:        "page",
		MessageID:   MessageID(number, text),
		AnonymousID: l.AnonymousID(),
		Timestamp:   l.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
		Properties:  properties{url, path, search, l.Referrer, l.Method, l.Status, l.Bytes, l.User},
		Context: context{
			UserAgent: l.UserAgent,
			Page:      contextPage{url, path, search, l.Referrer},
		},
	}
	if _, err := netip.ParseAddr(l.Addr); err == nil {
		e.Context.IP = l.Addr
	}
	return json.Marshal(e)
}
