package gcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// wire is the connections that all calls share. It speaks HTTP/1.1: a sandbox that
// had no processor for a while finds its connections dead, and then an attempt
// costs one of them its life, and the next one takes another.
var wire = sync.OnceValue(func() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 3 * time.Second
	t.MaxIdleConnsPerHost = 16
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return t
})

// client returns a client on a transport, or on the shared one when that is nil. It
// follows no redirection: what it sends is for whom it is sent to.
func client(t http.RoundTripper) *http.Client {
	if t == nil {
		t = wire()
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// refusal is an answer that says that a call failed.
type refusal struct {
	status  int
	message string
}

func (e *refusal) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%d %s: %s", e.status, http.StatusText(e.status), e.message), ": ")
}

// statusOf returns the status of an answer that is an error, 0 when there was none.
func statusOf(err error) int {
	if e, ok := errors.AsType[*refusal](err); ok {
		return e.status
	}
	return 0
}

// passes says whether an error may pass by itself: whatever is not an answer, and
// the answers after which Google's own clients try again.
func passes(err error) bool {
	switch status := statusOf(err); status {
	case 0, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests, 499: // 499: cancelled, by them
		return true
	default:
		return status >= http.StatusInternalServerError
	}
}

const (
	// maxAnswer is more than any answer has that is read here, in bytes: a thousand
	// messages' ids.
	maxAnswer = 256 << 10
	// maxMessage bounds what is told of an answer that is an error.
	maxMessage = 300
)

// call sends a request and reads the answer's JSON. What a refusal tells has none of
// the secrets in it.
func call(c *http.Client, req *http.Request, answer any, secrets ...string) error {
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // JSON that is cut is none
	if resp.StatusCode != http.StatusOK {
		return &refusal{resp.StatusCode, reason(data, secrets)} // the status says enough
	}
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if json.Unmarshal(data, answer) != nil { // whose error may tell of the data
		return errors.New("the answer is not the JSON that was expected")
	}
	return nil
}

// reason returns what Google says went wrong: most of its APIs as
// https://cloud.google.com/apis/design/errors#http_mapping has it, its Security
// Token Service as RFC 6749, section 5.2.
func reason(data []byte, secrets []string) string {
	var of struct{ Message, Status string }
	var e struct {
		Error       json.RawMessage
		Description string `json:"error_description"`
	}
	var text string
	if json.Unmarshal(data, &e) == nil && len(e.Error) > 0 {
		if json.Unmarshal(e.Error, &of) != nil {
			_ = json.Unmarshal(e.Error, &of.Status) // else it stays empty
			of.Message = e.Description
		}
		text = strings.TrimPrefix(of.Status+": "+of.Message, ": ")
	}
	text = cmp.Or(text, strings.TrimSpace(string(data)))
	for _, s := range secrets {
		if s != "" {
			text = strings.NewReplacer(s, "[secret]", url.QueryEscape(s), "[secret]", url.PathEscape(s), "[secret]").Replace(text)
		}
	}
	return string(bytes.ToValidUTF8([]byte(text[:min(len(text), maxMessage)]), nil))
}

// post returns a request that posts a body.
func post(ctx context.Context, url, contentType, token string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}
