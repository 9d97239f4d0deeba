package beacon

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/stream"
)

type discard struct{}

func (discard) Publish(context.Context, []stream.Record) error { return nil }

// trackEvent is a typical event of a browser, about 661 bytes.
func trackEvent(n int) string {
	return fmt.Sprintf(`{"type":"track","messageId":"ajs-next-1767225600000-%08d-4c5d-8b7a-9e0f1a2b3c4d","anonymousId":"5d7c3c0e-8f5e-4b0a-9d0e-%012d","event":"Product Viewed","timestamp":"2026-03-01T11:59:58.123Z","properties":{"product_id":"p-1042","name":"Canvas Tote","category":"bags","price":39.9,"currency":"EUR","quantity":1},"context":{"page":{"path":"/products/canvas-tote","referrer":"https://www.google.com/","search":"?utm_source=news","title":"Canvas Tote | Shop","url":"https://shop.example/products/canvas-tote"},"userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36","locale":"de-DE"}}`, n, n%7)
}

func BenchmarkTrack(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			events := make([]string, n)
			for i := range events {
				events[i] = trackEvent(i)
			}
			body := `{"batch":[` + strings.Join(events, ",") + `],"sentAt":"2026-03-01T12:00:00.000Z"}`
			c := new(capture)
			h := c.handler()
			h.Raw, h.Telemetry = discard{}, nil
			r := httptest.NewRequest(http.MethodPost, "/v1/batch", nil)
			r.Header.Set("Authorization", "Basic ZGVtbzo=")
			r.Header.Set("User-Agent", "Mozilla/5.0")
			r.ContentLength = int64(len(body))
			reader := strings.NewReader(body)
			w := &nullWriter{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(body)
				r.Body = io.NopCloser(reader)
				h.ServeHTTP(w, r)
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}

type nullWriter struct {
	header http.Header
	status int
}

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(status int)      { w.status = status }
