// Package rest calls Google's JSON APIs, as far as functions need them: two
// calls of Cloud Storage and one of Secret Manager. The generated clients of the
// two weigh more than all the rest of a function.
package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/httptransport"

	"github.com/hitolayer/hito/infra/backoff"
)

// Client calls one API.
type Client struct {
	HTTP *http.Client
	// URL is where the API is, without a slash at its end.
	URL string
}

// NewClient returns a client of the API at url, which acts as the service account
// that the function runs as; of the emulator at the host and port that variable
// names, if it does, and then as nobody.
func NewClient(lookup func(variable string) (value string, ok bool), variable, url string) (*Client, error) {
	if host, _ := lookup(variable); host != "" {
		if !strings.Contains(host, "://") {
			host = "http://" + host
		}
		return &Client{HTTP: &http.Client{Transport: transport()}, URL: strings.TrimSuffix(host, "/")}, nil
	}
	// Of Google's two libraries the one whose waiting for a token ends with the
	// call's context. GOOGLE_SDK_GO_LOGGING_LEVEL would have it log tokens.
	silent := slog.New(slog.DiscardHandler)
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}, Logger: silent})
	if err != nil {
		return nil, fmt.Errorf("find the credentials for %s: %w", url, err)
	}
	authorized, err := httptransport.NewClient(&httptransport.Options{
		Credentials: found, BaseRoundTripper: transport(), Headers: http.Header{}, DisableTelemetry: true, Logger: silent,
	})
	if err != nil {
		return nil, fmt.Errorf("use the credentials for %s: %w", url, err)
	}
	return &Client{HTTP: authorized, URL: url}, nil
}

// transport gives up early on what stands after milliseconds, or is better tried anew.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 3 * time.Second
	return t
}

// Error is an answer that says that a call failed.
type Error struct {
	// Status is that of HTTP.
	Status  int
	Message string
}

func (e *Error) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%d %s: %s", e.Status, http.StatusText(e.Status), e.Message), ": ")
}

// StatusOf returns the status of an Error, 0 of any other error.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// Answer is what a call that succeeded got.
type Answer struct {
	Header http.Header
	// Body has one byte more than was asked for at most, when there is more.
	Body []byte
}

const attemptTimeout = 2 * time.Second

var between = backoff.Backoff{Base: 50 * time.Millisecond, Most: 500 * time.Millisecond}

// Do calls a method of the API until it succeeds, is refused, or ctx leaves no
// time. most bounds the answer's bytes. Its errors wrap an *Error where there was
// an answer. It must be harmless to call twice.
func (c *Client) Do(ctx context.Context, method, path string, body []byte, most int64) (Answer, error) {
	for failed := 1; ; failed++ {
		a, err := c.once(ctx, method, path, body, most)
		if err == nil {
			return a, nil
		}
		if !again(err) || ctx.Err() != nil {
			return Answer{}, err
		}
		if end := between.Wait(ctx, failed); end != nil {
			return Answer{}, fmt.Errorf("after %d attempts, %w: %w", failed, end, err)
		}
	}
}

// again says whether another attempt makes sense: after what Google's own clients
// try again on, and after an answer that ended early.
// https://cloud.google.com/storage/docs/retry-strategy
func again(err error) bool {
	status := StatusOf(err)
	return status == 0 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

// maxMessage is how much of an error's answer is read.
const maxMessage = 16 << 10

func (c *Client) once(ctx context.Context, method, path string, body []byte, most int64) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxMessage)) // the status says enough
		return Answer{}, &Error{Status: resp.StatusCode, Message: message(text)}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return Answer{Header: resp.Header, Body: data}, nil
}

// message returns what Google says went wrong.
// https://cloud.google.com/apis/design/errors#http_mapping
func message(text []byte) string {
	var e struct {
		Error struct{ Message string }
	}
	_ = json.Unmarshal(text, &e) // some answers are text
	return cmp.Or(e.Error.Message, strings.TrimSpace(string(text[:min(len(text), 200)])))
}
