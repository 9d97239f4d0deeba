package lambda

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// response is an http.ResponseWriter that keeps what is written, for an answer
// of payload format 2.0. Headers count until the handler returns.
type response struct {
	header http.Header
	status int // 0 until it is written
	body   []byte
}

var _ http.ResponseWriter = (*response)(nil)

func (w *response) Header() http.Header { return w.header }

// WriteHeader sets the status. Informational ones cannot be sent.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

// Write keeps p, up to a byte more than what Lambda takes.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if bodiless(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	w.body = append(w.body, p[:min(len(p), maxResponse+1-len(w.body))]...)
	return len(p), nil
}

// WriteString keeps s as Write does.
func (w *response) WriteString(s string) (int, error) {
	w.WriteHeader(http.StatusOK)
	if bodiless(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	w.body = append(w.body, s[:min(len(s), maxResponse+1-len(w.body))]...)
	return len(s), nil
}

func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

func (w *response) reset() {
	clear(w.header)
	w.status, w.body = 0, w.body[:0]
}

// refuse returns an answer to what no handler answered.
func (w *response) refuse(status int, code, message string) []byte {
	w.reset()
	w.header["Content-Type"] = []string{"application/json"}
	w.status = status
	w.body = append(w.body, `{"success":false,"error":{"code":`...)
	w.body = appendString(w.body, code)
	w.body = append(w.body, `,"message":`...)
	w.body = appendString(w.body, message)
	w.body = append(w.body, `}}`...)
	return w.encode(false)
}

// encode returns the answer. The body is text where it can be, since clients
// get text as it is, and base64 costs a third more.
func (w *response) encode(head bool) []byte {
	w.WriteHeader(http.StatusOK)
	text := w.header.Get("Content-Encoding") == ""
	if len(w.body) > 0 && text && len(w.header["Content-Type"]) == 0 {
		w.header["Content-Type"] = []string{http.DetectContentType(w.body)}
	}
	text = text && isText(w.header.Get("Content-Type")) && utf8.Valid(w.body)
	size := 160 + len(w.body) + len(w.body)/4
	if !text {
		size += len(w.body) / 4
	}
	for name, values := range w.header {
		for _, v := range values {
			size += len(name) + len(v) + 8
		}
	}
	b := append(make([]byte, 0, size), `{"statusCode":`...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = w.appendHeaders(b)
	if head || len(w.body) == 0 {
		return append(b, `,"isBase64Encoded":false}`...)
	}
	if text {
		b = append(b, `,"isBase64Encoded":false,"body":`...)
		return append(appendString(b, w.body), '}')
	}
	b = append(b, `,"isBase64Encoded":true,"body":"`...)
	b = base64.StdEncoding.AppendEncode(b, w.body)
	return append(b, `"}`...)
}

// appendHeaders appends the headers, and cookies by themselves: only those may
// be several.
func (w *response) appendHeaders(b []byte) []byte {
	b = append(b, `,"headers":{`...)
	sep := ""
	for name, values := range w.header {
		switch {
		case len(values) == 0, name == "Set-Cookie", name == "Content-Length", name == "Connection", name == "Transfer-Encoding",
			strings.HasPrefix(name, http.TrailerPrefix):
			continue // set by the front, or not to be had from it
		}
		b = append(b, sep...)
		b = appendString(b, name)
		b = append(b, ':')
		b = appendValue(b, values...)
		sep = ","
	}
	b = append(b, '}')
	if cookies := w.header["Set-Cookie"]; len(cookies) > 0 {
		b = append(b, `,"cookies":[`...)
		for i, c := range cookies {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, c)
		}
		b = append(b, ']')
	}
	return b
}

var noBreaks = strings.NewReplacer("\n", " ", "\r", " ")

// appendValue appends a header's values as one; line breaks, which would end
// it, become spaces as with net/http.
func appendValue(b []byte, values ...string) []byte {
	v := values[0]
	if len(values) > 1 {
		v = strings.Join(values, ", ")
	}
	if strings.ContainsAny(v, "\r\n") {
		v = noBreaks.Replace(v)
	}
	return appendString(b, v)
}

// isText reports whether a media type is one of text.
func isText(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch media {
	case "application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded", "application/x-ndjson":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml")
}
