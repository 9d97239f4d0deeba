// Package gcpfunctions stands in for Cloud Run functions where there are none: it
// runs a function's real server binary, puts Cloud Run's front and a load
// balancer's URL map before it, and feeds it from Pub/Sub and Cloud Scheduler with
// tokens like Google's. Acceptance tests start it; nothing deployed links it.
//
// What it keeps to is Google's documentation, named where a rule comes from it.
// What it leaves out: limits of memory and CPU, scaling in, SIGTERM, startup and
// liveness probes other than the port, HTTP/2, IAM other than who may invoke, and
// Pub/Sub's slow start, ordering and filters.
package gcpfunctions

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// source says from where a request reaches Cloud Run's front.
type source int

const (
	internet source = iota // whoever does not say otherwise
	google                 // Pub/Sub and Cloud Scheduler
	balancer               // a URL map
)

type sourceKey struct{}

func from(ctx context.Context, s source) context.Context {
	return context.WithValue(ctx, sourceKey{}, s)
}

func sourceOf(ctx context.Context) source {
	s, _ := ctx.Value(sourceKey{}).(source)
	return s
}

// Hosts is an http.RoundTripper that serves each host's requests by a handler of
// this process, for the clients of PushSubscription and Scheduler: no name is
// resolved and no connection made. A host that is not there is an error.
type Hosts map[string]http.Handler

// googleAddress is where requests of Hosts come from: an address for
// documentation, RFC 5737.
const googleAddress = "192.0.2.2:443"

// RoundTrip serves the request. A handler that panics is a connection that broke.
func (h Hosts) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	handler, ok := h[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("gcpfunctions: no host %s", r.URL.Host)
	}
	// With a server's context a proxy panics when an answer breaks off.
	in := r.Clone(context.WithValue(r.Context(), http.ServerContextKey, &http.Server{}))
	in.RemoteAddr, in.RequestURI, in.Host = googleAddress, r.URL.RequestURI(), r.URL.Host
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if r.Body == nil {
		in.Body = http.NoBody
	} else {
		defer r.Body.Close()
	}
	a := &answer{header: make(http.Header)}
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, fmt.Errorf("gcpfunctions: %s: the connection broke: %v", r.URL, p)
		}
	}()
	handler.ServeHTTP(a, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return a.response(r), nil
}

// An answer gathers what a handler answers.
type answer struct {
	header http.Header
	sent   http.Header // as it was at WriteHeader
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status, a.sent = status, a.header.Clone()
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) response(r *http.Request) *http.Response {
	a.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.sent, Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: r,
	}
}

// wait waits for d, and tells whether ctx did not end before.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
