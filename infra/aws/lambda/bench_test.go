package lambda

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// track is a track event of 661 bytes of JSON, as the beacon would take it.
func track(tb testing.TB, r *rand.Rand) []byte {
	tb.Helper()
	body := fmt.Sprintf(`{"type":"track","event":"Product Viewed","anonymousId":"%016x-%016x","messageId":"ajs-next-%016x%016x","timestamp":"2026-11-25T12:34:56.789Z","properties":{"product_id":"sku-%08d","name":"Linen shirt","price":%d.5,"currency":"JPY","quantity":1,"category":"shirts","url":"https://shop.example/products/%016x"},"context":{"page":{"path":"/products/%016x","referrer":"https://www.google.com/","title":"Linen shirt | Shop"},"userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36","locale":"ja-JP"}`,
		r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.IntN(1e8), r.IntN(10000), r.Uint64(), r.Uint64())
	for len(body) < 660 {
		body += " "
	}
	return append([]byte(body), '}')
}

// encodedRecord is the record the beacon makes of it.
func encodedRecord(tb testing.TB, r *rand.Rand) stream.Record {
	tb.Helper()
	var b event.Batch
	if err := event.Segment(&b, track(tb, r), event.Type_TYPE_TRACK); err != nil {
		tb.Fatal(err)
	}
	b.Check(event.Terms{ReceivedAt: 1_700_000_000_000, NewID: func() string { return fmt.Sprint(r.Uint64()) }})
	key := string(b.Items[0].Event.AppendVisitorKey(nil))
	data, err := event.Append(nil, &event.Record{Project: "shop", Key: key, ReceivedAt: 1_700_000_000_000, Origin: "aws", Events: []*event.Event{b.Items[0].Event}})
	if err != nil {
		tb.Fatal(err)
	}
	return stream.Record{Project: "shop", Key: key, Events: 1, Time: 1_700_000_000_000, Data: data}
}

// BenchmarkStream is what Stream costs of its own, for 100 Kinesis records of
// one pack each.
func BenchmarkStream(b *testing.B) {
	for _, per := range []int{1, 10} {
		b.Run(fmt.Sprintf("records=%d", per), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			records := make([]shard.Record, 100)
			for i := range records {
				rs := make([]stream.Record, per)
				for j := range rs {
					rs[j] = encodedRecord(b, r)
				}
				records[i] = shard.Record{PartitionKey: fmt.Sprintf("%03d", i), Sequence: sequence(i), Data: packed(b, rs...), Arrived: time.UnixMilli(1_700_000_000_123)}
			}
			event := kinesisEvent(b, shardID, records)
			got := 0
			s := &Stream{Handler: func(_ context.Context, rs []stream.Record) error { got += len(rs); return nil }, Group: "score", Stage: quarantine.Score, Quarantine: &shelf{}, Ledger: newBooks()}
			payload := make([]byte, len(event))
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
			defer cancel()
			b.ReportAllocs()
			n, began := 0, used()
			for b.Loop() {
				copy(payload, event)
				if _, err := s.Invoke(ctx, payload); err != nil {
					b.Fatal(err)
				}
				n++
			}
			if got != n*100*per {
				b.Fatalf("%d records of %d", got, n*100*per)
			}
			cpu := float64((used() - began).Nanoseconds())
			b.ReportMetric(cpu/float64(got), "cpu-ns/record")
			b.ReportMetric(cpu/float64(n*100), "cpu-ns/kinesis-record")
		})
	}
}

// BenchmarkReadEvent is Stream without packs and handler: the event and its base64.
func BenchmarkReadEvent(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	records := make([]shard.Record, 100)
	for i := range records {
		records[i] = shard.Record{PartitionKey: "017", Sequence: sequence(i), Data: packed(b, encodedRecord(b, r))}
	}
	event := kinesisEvent(b, shardID, records)
	payload := make([]byte, len(event))
	var read []record
	items := make([]item, 100)
	b.ReportAllocs()
	began := used()
	for b.Loop() {
		copy(payload, event)
		var err error
		if read, err = readRecords(read[:0], payload); err != nil {
			b.Fatal(err)
		}
		for i := range read {
			if err := items[i].read(&read[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64((used()-began).Nanoseconds())/float64(b.N*100), "cpu-ns/kinesis-record")
}

// BenchmarkHTTP is what HTTP costs of its own, for a request with one event.
func BenchmarkHTTP(b *testing.B) {
	body := string(track(b, rand.New(rand.NewPCG(1, 2))))
	payload := edit(b, "function-url.json", map[string]any{"body": body, "rawPath": "/v1/track", "rawQueryString": "", "cookies": nil, "headers": map[string]string{
		"accept": "*/*", "accept-encoding": "gzip, deflate, br, zstd", "accept-language": "ja,en;q=0.9", "authorization": "Basic ZGVtbzo=", "content-length": "661",
		"content-type": "text/plain", "host": "abcdef.lambda-url.us-west-2.on.aws", "origin": "https://shop.example", "priority": "u=1, i", "referer": "https://shop.example/",
		"sec-ch-ua": `"Chromium";v="130", "Not?A_Brand";v="99"`, "sec-ch-ua-mobile": "?0", "sec-ch-ua-platform": `"Windows"`, "sec-fetch-mode": "cors", "sec-fetch-site": "cross-site",
		"user-agent":         "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
		"x-amzn-tls-version": "TLSv1.3", "x-amzn-trace-id": "Root=1-62ecd163-5f302e550dcde3b12402207d", "x-forwarded-for": "123.123.123.123", "x-forwarded-port": "443", "x-forwarded-proto": "https",
	}})
	h := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != int64(len(body)) || err != nil {
			b.Error(n, err)
		}
		w.Header()["Content-Type"] = jsonType
		_, _ = io.WriteString(w, `{"success":true}`)
	})}
	work := make([]byte, len(payload))
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	began := used()
	for b.Loop() {
		copy(work, payload)
		out, err := h.Invoke(ctx, work)
		if err != nil || !bytes.Contains(out, []byte("success")) {
			b.Fatal(string(out), err)
		}
	}
	b.ReportMetric(float64((used()-began).Nanoseconds())/float64(b.N), "cpu-ns/request")
}

// used is the CPU time this process has had: what is billed, and what a machine
// that others work on measures too.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var jsonType = []string{"application/json"}
