package lambda

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// request is a payload of format 2.0. Its fields share the payload's memory.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
type request struct {
	version, path, query      []byte
	method, protocol, address []byte
	api, domain, stage, id    []byte
	headers                   []header
	cookies                   [][]byte
	hasCookies                bool // among the headers
	body                      []byte
	encoded                   bool
	text                      []byte // what the request's strings are cut from
	ends                      []int  // of each string
}

type header struct{ name, value []byte }

var errFormat = errors.New("it is not a request of payload format 2.0: see the integration's settings")

// read reads the payload, in place.
func (q *request) read(payload []byte) error {
	s := scanner{data: payload}
	for more := s.open('{'); more; more = s.more('{') {
		switch string(s.name()) {
		case "version":
			q.version = s.text()
		case "rawPath":
			q.path = s.text()
		case "rawQueryString":
			q.query = s.text()
		case "headers":
			for more := s.open('{'); more; more = s.more('{') {
				name := s.name()
				q.headers = append(q.headers, header{name, s.text()})
			}
		case "cookies":
			for more := s.open('['); more; more = s.more('[') {
				q.cookies = append(q.cookies, s.text())
			}
		case "requestContext":
			q.readContext(&s)
		case "body":
			q.body = s.text()
		case "isBase64Encoded":
			q.encoded = s.flag()
		default:
			s.skip()
		}
	}
	if s.err != nil {
		return s.err
	}
	if string(q.version) != "2.0" || len(q.method) == 0 {
		return errFormat
	}
	return nil
}

func (q *request) readContext(s *scanner) {
	for more := s.open('{'); more; more = s.more('{') {
		switch string(s.name()) {
		case "apiId":
			q.api = s.text()
		case "domainName":
			q.domain = s.text()
		case "stage":
			q.stage = s.text()
		case "requestId":
			q.id = s.text()
		case "http":
			for more := s.open('{'); more; more = s.more('{') {
				switch string(s.name()) {
				case "method":
					q.method = s.text()
				case "protocol":
					q.protocol = s.text()
				case "sourceIp":
					q.address = s.text()
				default:
					s.skip()
				}
			}
		default:
			s.skip()
		}
	}
}

func (q *request) reset() {
	clear(q.headers)
	clear(q.cookies)
	*q = request{headers: q.headers[:0], cookies: q.cookies[:0], text: q.text[:0], ends: q.ends[:0]}
}

// https is what a request knows of its connection: both fronts serve nothing else.
var https = tls.ConnectionState{HandshakeComplete: true}

// build returns the request as net/http would have. Its body shares the
// payload's memory; its strings share one of their own, since handlers may keep them.
func (q *request) build(ctx context.Context) (*http.Request, error) {
	if q.encoded {
		n, err := base64.StdEncoding.Decode(q.body, q.body) // what is read is always ahead of what is written
		if err != nil {
			return nil, errors.New("the body is not base64")
		}
		q.body = q.body[:n]
	}
	all := q.strings()
	next := 0
	cut := func() string {
		s := all[next:q.ends[0]]
		next, q.ends = q.ends[0], q.ends[1:]
		return s
	}
	ends := q.ends
	method, path, query, host, address, protocol := cut(), cut(), cut(), cut(), cut(), cut()
	h := make(http.Header, len(q.headers)+1)
	values := make([]string, len(q.headers)+1)
	for i := range values {
		if i == len(q.headers) && (q.hasCookies || len(q.cookies) == 0) {
			break
		}
		name := cut()
		values[i] = cut()
		if had := h[name]; had != nil {
			h[name] = append(had, values[i]) // does not reach the next one's, by its capacity
		} else if name != "Host" {
			h[name] = values[i : i+1 : i+1]
		}
	}
	q.ends = ends
	r := http.Request{
		Method: method, URL: target(path, query), Header: h, Host: host, RemoteAddr: address,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody, TLS: &https,
	}
	if major, minor, ok := http.ParseHTTPVersion(protocol); ok {
		r.Proto, r.ProtoMajor, r.ProtoMinor = protocol, major, minor
	}
	if r.RequestURI = path; query != "" {
		r.RequestURI = path + "?" + query
	}
	if len(q.body) > 0 {
		b := new(body)
		b.Reset(q.body)
		r.Body, r.ContentLength = b, int64(len(q.body))
	}
	return r.WithContext(ctx), nil
}

// strings returns what the request's strings are, one after the other; q.ends
// says where each ends.
func (q *request) strings() string {
	q.text, q.ends = q.text[:0], q.ends[:0]
	q.put(q.method)
	q.put(q.unstaged())
	q.put(q.query)
	q.put(q.domain)
	q.putAddress()
	q.put(q.protocol)
	for _, h := range q.headers {
		from := len(q.text)
		q.put(h.name)
		canonical(q.text[from:])
		q.hasCookies = q.hasCookies || string(q.text[from:]) == "Cookie"
		q.put(h.value)
	}
	if !q.hasCookies && len(q.cookies) > 0 {
		q.put([]byte("Cookie"))
		q.put(bytes.Join(q.cookies, []byte("; ")))
	}
	return string(q.text)
}

func (q *request) put(s []byte) {
	q.text = append(q.text, s...)
	q.ends = append(q.ends, len(q.text))
}

// putAddress puts the caller's address in net/http's form, with port 0.
func (q *request) putAddress() {
	if addr, err := netip.ParseAddr(string(q.address)); err == nil {
		q.text = netip.AddrPortFrom(addr, 0).AppendTo(q.text)
	} else {
		q.text = append(q.text, q.address...)
	}
	q.ends = append(q.ends, len(q.text))
}

// unstaged returns the path without what API Gateway puts before it: the stage,
// unless that is $default or the call came by a custom domain.
func (q *request) unstaged() []byte {
	path := q.path
	if len(q.stage) > 0 && string(q.stage) != "$default" && isExecuteAPI(q.domain, q.api) {
		if rest, ok := bytes.CutPrefix(path, []byte{'/'}); ok {
			if rest, ok = bytes.CutPrefix(rest, q.stage); ok && (len(rest) == 0 || rest[0] == '/') {
				path = rest
			}
		}
	}
	if len(path) == 0 {
		return []byte{'/'}
	}
	return path
}

// isExecuteAPI reports whether the domain is the one that API Gateway gave the API.
func isExecuteAPI(domain, api []byte) bool {
	rest, ok := bytes.CutPrefix(domain, api)
	return ok && len(api) > 0 && bytes.HasPrefix(rest, []byte(".execute-api."))
}

// canonical gives a header's name the form that net/http gives it.
func canonical(name []byte) {
	upper := true
	for _, c := range name {
		if !tokens[c] {
			return
		}
	}
	for i, c := range name {
		switch {
		case upper && c >= 'a' && c <= 'z':
			name[i] = c - 'a' + 'A'
		case !upper && c >= 'A' && c <= 'Z':
			name[i] = c - 'A' + 'a'
		}
		upper = c == '-'
	}
}

// tokens are the bytes that a header's name may have (RFC 9110, section 5.6.2).
var tokens = func() (is [256]bool) {
	for c := '0'; c <= 'z'; c++ {
		is[c] = c <= '9' || c >= 'a' || c >= 'A' && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		is[c] = true
	}
	return is
}()

// target returns the URL of a path as the client sent it; of one that is not
// escaped, as API Gateway gives some, as it is.
func target(path, query string) *url.URL {
	u := &url.URL{Path: path, RawQuery: query}
	if strings.IndexByte(path, '%') >= 0 {
		if p, err := url.PathUnescape(path); err == nil {
			u.Path = p
		}
	}
	if u.EscapedPath() != path {
		u.RawPath = path // which EscapedPath ignores unless it is an encoding of Path
	}
	return u
}

// body is a request's body.
type body struct{ bytes.Reader }

var _ io.WriterTo = (*body)(nil)

func (*body) Close() error { return nil }
