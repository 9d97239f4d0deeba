package pubsub

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"

	"github.com/hitolayer/hito/shared/stream"
)

// takesAll is a server that takes everything, a while after it was asked, and does nothing.
type takesAll struct {
	pubsubpb.UnimplementedPublisherServer
	delay              time.Duration
	requests, messages atomic.Int64
}

func (s *takesAll) Publish(_ context.Context, in *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	s.requests.Add(1)
	s.messages.Add(int64(len(in.Messages)))
	time.Sleep(s.delay)
	out := &pubsubpb.PublishResponse{MessageIds: make([]string, len(in.Messages))}
	for i := range out.MessageIds {
		out.MessageIds[i] = "12345678901234567"
	}
	return out, nil
}

func (s *takesAll) serve(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer()
	pubsubpb.RegisterPublisherServer(server, s)
	go func() { _ = server.Serve(l) }()
	b.Cleanup(server.Stop)
	return l.Addr().String()
}

// cpu returns the processor time the process used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPublish measures CPU per event of about 700 bytes, a record each, with
// 64 callers: packing, the client, and the server's part of the wire as well.
func BenchmarkPublish(b *testing.B) {
	const callers = 64
	for _, n := range []int{1, 10} {
		for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
			b.Run(fmt.Sprintf("%d/%v", n, delay), func(b *testing.B) {
				server := &takesAll{delay: delay}
				b.Setenv("PUBSUB_EMULATOR_HOST", server.serve(b))
				p := &Publisher{Client: connect(b), Topic: topic, Origin: "gcp"}
				if err := p.Publish(b.Context(), events(0, 1)); err != nil { // connects
					b.Fatal(err)
				}
				var caller atomic.Int64
				b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
				b.ReportAllocs()
				b.ResetTimer()
				began := cpu()
				b.RunParallel(func(pb *testing.PB) {
					records := events(int(caller.Add(1))*n, n)
					for pb.Next() {
						if err := p.Publish(b.Context(), records); err != nil {
							b.Error(err)
						}
					}
				})
				all := float64(b.N * n)
				b.ReportMetric(float64((cpu()-began).Nanoseconds())/all, "CPU-ns/event")
				b.ReportMetric(all/float64(server.messages.Load()), "events/message")
				b.ReportMetric(float64(server.messages.Load())/float64(server.requests.Load()), "messages/request")
			})
		}
	}
}

// events returns records of one event each, numbered from first.
func events(first, n int) []stream.Record {
	records := make([]stream.Record, n)
	for at := range records {
		i := first + at
		data := fmt.Sprintf(`{"messageId":"%08x-0000-4000-8000-000000000000","type":"track","event":"Product Viewed","anonymousId":"a%d","properties":{"sku":"sku-%d","price":%d.5,"currency":"JPY","name":"A very nice product number %d"},"context":{"page":{"url":"https://shop.example/products/%d?from=list","referrer":"https://shop.example/list","title":"Products"},"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36","locale":"ja-JP"},"receivedAt":"2026-11-01T00:00:00.%03dZ"}`,
			i*2654435761, i, i%97, i%1000, i, i, i%1000)
		records[at] = stream.Record{Project: "shop", Key: fmt.Sprint("a:", i), Events: 1, Time: 1_700_000_000_000 + int64(i), Data: []byte(data)}
	}
	return records
}
