package awslambda

import (
	"encoding/base64"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// urlEvent is a request in payload format 2.0, as function URLs have it.
type urlEvent struct {
	Version               string            `json:"version"`
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies,omitempty"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext        urlContext        `json:"requestContext"`
	Body                  string            `json:"body,omitempty"`
	IsBase64Encoded       bool              `json:"isBase64Encoded"`
}

type urlContext struct {
	AccountID    string  `json:"accountId"`
	APIID        string  `json:"apiId"`
	DomainName   string  `json:"domainName"`
	DomainPrefix string  `json:"domainPrefix"`
	HTTP         urlHTTP `json:"http"`
	RequestID    string  `json:"requestId"`
	RouteKey     string  `json:"routeKey"`
	Stage        string  `json:"stage"`
	Time         string  `json:"time"`
	TimeEpoch    int64   `json:"timeEpoch"` // milliseconds
}

type urlHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// event is the request as the function sees it.
func (u *URL) event(r *http.Request, body []byte) urlEvent {
	peer := r.RemoteAddr
	if host, _, err := net.SplitHostPort(peer); err == nil {
		peer = host
	}
	prefix, _, _ := strings.Cut(u.domain(), ".")
	now := time.Now().UTC()
	e := urlEvent{
		Version: "2.0", RouteKey: "$default", RawPath: rawPath(r.URL), RawQueryString: r.URL.RawQuery, Cookies: cookies(r.Header),
		Headers: u.headers(r, peer), QueryStringParameters: parameters(r.URL.RawQuery),
		RequestContext: urlContext{
			AccountID: "anonymous", APIID: prefix, DomainName: u.domain(), DomainPrefix: prefix,
			HTTP:      urlHTTP{Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: peer, UserAgent: r.UserAgent()},
			RequestID: newID(), RouteKey: "$default", Stage: "$default",
			Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		},
	}
	if isText(r.Header, body) {
		e.Body = string(body)
	} else {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return e
}

// rawPath is the path as it was sent.
func rawPath(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// headers are lower-case, several of a name joined by commas, cookies too. The
// function URL's own ones replace a client's; of x-forwarded-for it passes on
// the first address only, whoever wrote that
// (speedrun.nobackspacecrew.com/blog/2026/03/06/obtaining-caller-ip-address-with-lambda-furls.html).
func (u *URL) headers(r *http.Request, peer string) map[string]string {
	out := make(map[string]string, len(r.Header)+6)
	for name, values := range r.Header {
		if name = strings.ToLower(name); !isHop(name) {
			out[name] = strings.Join(values, ",")
		}
	}
	if values := r.Header.Values("Cookie"); len(values) > 0 {
		out["cookie"] = strings.Join(values, "; ")
	}
	forwarded, _, _ := strings.Cut(out["x-forwarded-for"], ",")
	if forwarded = strings.TrimSpace(forwarded); forwarded == "" {
		forwarded = peer
	}
	out["x-forwarded-for"], out["x-forwarded-proto"], out["x-forwarded-port"] = forwarded, "https", "443"
	out["host"] = u.domain()
	out["x-amzn-tls-version"] = "TLSv1.3"
	out["x-amzn-trace-id"] = newTrace()
	if r.ContentLength > 0 {
		out["content-length"] = strconv.FormatInt(r.ContentLength, 10)
	}
	return out
}

// cookies are those of the cookie header, one by one.
func cookies(h http.Header) []string {
	var out []string
	for _, line := range h.Values("Cookie") {
		for c := range strings.SplitSeq(line, ";") {
			if c = strings.TrimSpace(c); c != "" {
				out = append(out, c)
			}
		}
	}
	return out
}

// parameters are the query's, decoded, several of a name joined by commas. What
// cannot be decoded stays in rawQueryString only.
func parameters(query string) map[string]string {
	values, _ := url.ParseQuery(query) // it returns what it could read
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]string, len(values))
	for name, v := range values {
		out[name] = strings.Join(v, ",")
	}
	return out
}

// isText tells whether a body is passed on as it is: only a few types are, a
// form is not, nor is what is encoded.
func isText(h http.Header, body []byte) bool {
	if len(body) == 0 {
		return true
	}
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return false
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		kind, _, _ = strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
		kind = strings.TrimSpace(kind)
	}
	switch kind {
	case "application/json", "application/xml", "application/javascript":
	default:
		if !strings.HasPrefix(kind, "text/") {
			return false
		}
	}
	return utf8.Valid(body)
}
