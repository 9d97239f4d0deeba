package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/hitolayer/hito/shared/config"
)

// Bounds of the tracking API: per batch in events and bytes.
const (
	maxBatchEvents = 2500
	maxBatchBytes  = 480 << 10 // of 500 KB, leaving room for the envelope
	maxEventBytes  = 32 << 10
)

// sender sends batches to a hito, again and again until it has them.
type sender struct {
	config.Client
	http *http.Client
	// attempts bounds how often one batch is tried.
	attempts int
}

func newSender(c config.Client, connections int) *sender {
	return &sender{
		Client: c,
		http: &http.Client{
			Timeout: 30 * time.Second,
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				MaxIdleConnsPerHost: connections,
				DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			},
		},
		attempts: 10,
	}
}

// verdict is what became of a batch's events.
type verdict struct {
	accepted, duplicate, quarantined, refused int
	// reasons counts why events were not accepted.
	reasons map[string]int
}

func (v *verdict) add(o verdict) {
	v.accepted += o.accepted
	v.duplicate += o.duplicate
	v.quarantined += o.quarantined
	v.refused += o.refused
	for reason, n := range o.reasons {
		v.because(reason, n)
	}
}

func (v *verdict) because(reason string, n int) {
	if v.reasons == nil {
		v.reasons = map[string]int{}
	}
	v.reasons[reason] += n
}

// send posts events, each a JSON object, as one batch. It tries again while hito
// cannot be reached or answers that it is busy. Every event must have its
// messageId, so that trying again cannot count it twice.
func (b *sender) send(ctx context.Context, events [][]byte) (verdict, error) {
	body := make([]byte, 0, len(events)*700)
	body = append(body, `{"batch":[`...)
	body = append(body, bytes.Join(events, []byte{','})...)
	body = append(body, "]}"...)

	var last error
	for attempt := range b.attempts {
		if attempt > 0 {
			wait := backoff(attempt)
			if r, ok := errors.AsType[*retryError](last); ok && r.after > 0 {
				wait = min(r.after, 30*time.Second)
			}
			select {
			case <-ctx.Done():
				return verdict{}, ctx.Err()
			case <-time.After(wait):
			}
		}
		v, err := b.post(ctx, body, len(events))
		if err == nil {
			return v, nil
		}
		last = err
		if _, ok := errors.AsType[*retryError](err); !ok || ctx.Err() != nil {
			return verdict{}, err
		}
	}
	return verdict{}, fmt.Errorf("gave up after %d attempts: %w", b.attempts, last)
}

// backoff is the wait before an attempt, the first attempt being 0.
func backoff(attempt int) time.Duration {
	d := min(100*time.Millisecond<<(attempt-1), 5*time.Second)
	return d/2 + rand.N(d/2)
}

// retryError is a failure that may pass.
type retryError struct {
	err   error
	after time.Duration
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

func (b *sender) post(ctx context.Context, body []byte, events int) (verdict, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(b.URL, "/")+"/v1/batch", bytes.NewReader(body))
	if err != nil {
		return verdict{}, fmt.Errorf("send to %s: %w", b.URL, err)
	}
	req.SetBasicAuth(b.WriteKey, "")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Hito-Receipts", "1")
	// An event without its own user agent has none: it must not get this one.
	req.Header["User-Agent"] = []string{""}
	resp, err := b.http.Do(req)
	if err != nil {
		return verdict{}, &retryError{err: fmt.Errorf("send to %s: %w", b.URL, err)}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return verdict{}, &retryError{err: fmt.Errorf("read the answer of %s: %w", b.URL, err)}
	}
	if resp.StatusCode != http.StatusOK {
		err := fmt.Errorf("%s answers %s: %s", b.URL, resp.Status, bytes.TrimSpace(answer[:min(len(answer), 300)]))
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
			return verdict{}, &retryError{err, retryAfter(resp.Header.Get("Retry-After"))}
		}
		return verdict{}, err
	}
	return readReceipts(answer, events)
}

// retryAfter reads the header's seconds, 0 when it has none.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func readReceipts(answer []byte, events int) (verdict, error) {
	var p fastjson.Parser
	doc, err := p.ParseBytes(answer)
	if err != nil {
		return verdict{}, fmt.Errorf("the answer is not JSON: %w", err)
	}
	receipts := doc.GetArray("receipts")
	if len(receipts) != events {
		return verdict{}, fmt.Errorf("the answer has %d receipts for %d events", len(receipts), events)
	}
	var v verdict
	for _, r := range receipts {
		switch status := string(r.GetStringBytes("status")); status {
		case "accepted":
			v.accepted++
		case "duplicate":
			v.duplicate++
		case "quarantined":
			v.quarantined++
			v.because(string(r.GetStringBytes("reason")), 1)
		default:
			return verdict{}, fmt.Errorf("the answer has a receipt %q", status)
		}
	}
	return v, nil
}
