// Package accesslog reads the combined log format of web servers: what Apache
// and nginx write by default.
package accesslog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Line is one request as the server logged it. What the server wrote as "-" is empty.
type Line struct {
	// Addr is the client's address, or its name when the server looked it up.
	Addr string
	User string
	Time time.Time
	// Method and Target are the request line's, the target as the client sent it.
	Method, Target string
	Status         int
	// Bytes is the size of the response's body, 0 when none was sent.
	Bytes               int64
	Referrer, UserAgent string
}

// timeLayout is Apache's %t without its brackets.
const timeLayout = "02/Jan/2006:15:04:05 -0700"

var errTruncated = errors.New("line ends early")

// Parse reads one line in the combined format (LogFormat "%h %l %u %t \"%r\"
// %>s %b \"%{Referer}i\" \"%{User-agent}i\"", see
// https://httpd.apache.org/docs/current/logs.html#combined). Further fields
// after the user agent are passed over.
func Parse(line string) (Line, error) {
	var l Line
	p := parser{rest: line}
	l.Addr = p.word()
	p.word() // the identd name, which nobody fills in
	l.User = dash(p.user())
	when := p.bracketed()
	request := p.quoted()
	status, size := p.word(), p.word()
	l.Referrer = dash(p.quoted())
	l.UserAgent = dash(p.quoted())
	if p.err != nil {
		return Line{}, p.err
	}

	if l.Addr == "" || l.Addr == "-" {
		return Line{}, errors.New("no client address")
	}
	var err error
	if l.Time, err = time.Parse(timeLayout, when); err != nil {
		return Line{}, fmt.Errorf("time [%s] is not like [17/May/2015:10:05:03 +0000]", when)
	}
	var ok bool
	if l.Method, l.Target, ok = splitRequest(request); !ok {
		return Line{}, fmt.Errorf("request %q is not METHOD TARGET PROTOCOL", request)
	}
	if l.Status, err = strconv.Atoi(status); err != nil || l.Status < 100 || l.Status > 999 {
		return Line{}, fmt.Errorf("status %q is not a number from 100 to 999", status)
	}
	if size != "-" {
		if l.Bytes, err = strconv.ParseInt(size, 10, 64); err != nil || l.Bytes < 0 {
			return Line{}, fmt.Errorf("size %q is not a number", size)
		}
	}
	return l, nil
}

// splitRequest takes a request line apart; the target may hold spaces, which
// careless clients send.
func splitRequest(request string) (method, target string, ok bool) {
	method, rest, _ := strings.Cut(request, " ")
	for _, c := range []byte(method) {
		if c < 'A' || c > 'Z' {
			return "", "", false
		}
	}
	i := strings.LastIndexByte(rest, ' ')
	if method == "" || i <= 0 || !strings.HasPrefix(rest[i+1:], "HTTP/") {
		return "", "", false
	}
	return method, rest[:i], true
}

func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// parser walks along a line, and after its first error returns only empty fields.
type parser struct {
	rest string
	err  error
}

func (p *parser) word() string {
	word, rest, _ := strings.Cut(p.rest, " ")
	if word == "" && p.err == nil {
		p.err = errTruncated
	}
	p.rest = rest
	return word
}

// user reads the authenticated user, which may hold spaces: it ends where the time begins.
func (p *parser) user() string {
	user, _, ok := strings.Cut(p.rest, " [")
	if !ok {
		return p.word()
	}
	p.rest = p.rest[len(user)+1:]
	return user
}

func (p *parser) bracketed() string {
	inner, rest, ok := strings.Cut(p.rest, "] ")
	if !ok || !strings.HasPrefix(inner, "[") {
		if p.err == nil {
			p.err = errors.New("no [time] where one belongs")
		}
		return ""
	}
	p.rest = rest
	return inner[1:]
}

// quoted reads a field in quotes. Both servers escape quotes and what does not
// print: \" \\ \n \t and so on, or \xhh.
func (p *parser) quoted() string {
	if p.err != nil {
		return ""
	}
	if !strings.HasPrefix(p.rest, `"`) {
		p.err = errTruncated
		if p.rest != "" {
			p.err = errors.New("no quoted field where one belongs")
		}
		return ""
	}
	s := p.rest[1:]
	end, escaped := 0, false
	for end < len(s) && s[end] != '"' {
		if s[end] == '\\' {
			escaped = true
			end++
		}
		end++
	}
	if end >= len(s) {
		p.err = errors.New("a quote is never closed")
		return ""
	}
	p.rest = strings.TrimPrefix(s[end+1:], " ")
	if !escaped {
		return s[:end]
	}
	return unescape(s[:end])
}

func unescape(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case '"', '\\':
			out = append(out, c)
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'v':
			out = append(out, '\v')
		case 'x':
			if i+2 < len(s) {
				if b, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
					out = append(out, byte(b))
					i += 2
					continue
				}
			}
			out = append(out, '\\', c)
		default:
			out = append(out, '\\', c)
		}
	}
	return string(out)
}
