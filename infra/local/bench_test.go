package local

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/stream"
)

// cpu returns the processor time the process used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPipeline is the engine's share of the main job: events are published
// durably, handled into a second stream, and from there into fragments and the
// ledger. One iteration is one event.
func BenchmarkPipeline(b *testing.B) {
	for _, perRecord := range []int{1, 2} {
		for _, fragments := range []bool{false, true} {
			b.Run(fmt.Sprintf("perRecord=%d/fragments=%t", perRecord, fragments), func(b *testing.B) {
				benchmarkPipeline(b, perRecord, fragments)
			})
		}
	}
}

func benchmarkPipeline(b *testing.B, perRecord int, fragments bool) {
	db := open(b, Options{Log: slog.New(slog.DiscardHandler)})
	raw := openStream(b, db, "raw", StreamOptions{BooksAccepted: true})
	enriched := openStream(b, db, "enriched", StreamOptions{})
	var scored atomic.Int64
	if err := raw.Subscribe("enrich", func(ctx context.Context, rs []stream.Record) error {
		return enriched.Publish(ctx, rs)
	}, SubscribeOptions{}); err != nil {
		b.Fatal(err)
	}
	if err := enriched.Subscribe("score", func(ctx context.Context, rs []stream.Record) error {
		n := 0
		d := ledger.Delta{Project: "shop", Minute: minuteOf(rs[0].Time)}
		for i := range rs {
			n += rs[i].Events
		}
		if fragments {
			if err := fold(ctx, db.Store(), rs); err != nil {
				return err
			}
		}
		d.Counts.Scored = int64(n)
		if err := db.Ledger().Record(ctx, []ledger.Delta{d}); err != nil {
			return err
		}
		scored.Add(int64(n))
		return nil
	}, SubscribeOptions{Checkpointed: true}); err != nil {
		b.Fatal(err)
	}
	const publishers, visitors = 32, 100_000
	var published atomic.Int64
	before := cpu()
	b.ResetTimer()
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			var datas [64][]byte
			for i := range datas {
				for range perRecord {
					datas[i] = append(datas[i], sampleEvent(p*64+i)...)
				}
			}
			rs := make([]stream.Record, 10/perRecord)
			seed := uint64(p + 1)
			for published.Add(10) <= int64(b.N) {
				for i := range rs {
					seed = seed*6364136223846793005 + 1442695040888963407
					v := (seed >> 33) % visitors
					v = v * v / visitors // some visitors come more often
					rs[i] = stream.Record{Project: "shop", Key: fmt.Sprintf("a:visitor-%d", v), Events: perRecord, Time: time.Now().UnixMilli(), Data: datas[i+int(seed>>60)*3]}
				}
				if err := raw.Publish(context.Background(), rs); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := int64(b.N) / 10 * 10
	for scored.Load() < want {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	took := cpu() - before
	if want > 0 {
		b.ReportMetric(float64(took.Microseconds())/float64(want), "cpu-µs/event")
		b.ReportMetric(float64(want)/b.Elapsed().Seconds(), "events/s")
	}
	s := db.Stats()
	b.ReportMetric(float64(s.Syncs), "fsyncs")
	b.ReportMetric(float64(s.SyncTime.Microseconds())/float64(max(s.Syncs, 1)), "µs/fsync")
	b.ReportMetric(float64(s.FragmentsWritten), "fragments")
}

// sampleEvent is an event about as big, and as like its neighbours, as real ones.
func sampleEvent(i int) []byte {
	r := rand.New(rand.NewPCG(uint64(i), 0))
	return fmt.Appendf(nil, `{"messageId":"%016x%016x","type":"track","event":"Product Viewed","anonymousId":"%016x","timestamp":"2026-11-22T21:51:%02d.%03dZ",`+
		`"context":{"library":{"name":"analytics.js","version":"2.1.%d"},"page":{"url":"https://shop.example/products/%d?ref=%x","path":"/products/%d","referrer":"https://search.example/","title":"Product %d | Shop"},`+
		`"userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36","ip":"203.0.113.%d","locale":"ja-JP"},`+
		`"properties":{"product_id":"%d","sku":"SKU-%d","price":%d.%02d,"currency":"JPY","quantity":%d}}`,
		r.Uint64(), r.Uint64(), r.Uint64(), i%60, i%1000, i%10, r.IntN(5000), r.Uint32(), r.IntN(5000), i, 100+i%30, r.IntN(256), r.IntN(5000), r.IntN(5000), r.IntN(10000), i%100, i%9)
}

// fold stands in for scoring: one load and one save per visitor of the batch.
func fold(ctx context.Context, s *Store, rs []stream.Record) error {
	events := make(map[profile.Key]int64, len(rs))
	var keys []profile.Key
	for i := range rs {
		k := profile.Key{Project: rs[i].Project, Visitor: rs[i].Key}
		if events[k] == 0 {
			keys = append(keys, k)
		}
		events[k] += int64(rs[i].Events)
	}
	fs, err := s.Load(ctx, keys)
	if err != nil {
		return err
	}
	for _, f := range fs {
		f.State.Events += events[f.Key]
		if f.State.Traits == nil {
			f.State.Traits = []*profile.Trait{{Key: "padding", Value: make([]byte, 800)}}
		}
	}
	return s.Save(ctx, fs)
}
