package functions

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// tally is a ledger that adds up what is accepted.
type tally struct{ accepted atomic.Int64 }

func (l *tally) Record(_ context.Context, deltas []ledger.Delta) error {
	for i := range deltas {
		l.accepted.Add(deltas[i].Counts.Accepted)
	}
	return nil
}

func (l *tally) CommitOnce(ctx context.Context, _ string, deltas []ledger.Delta) error {
	return l.Record(ctx, deltas)
}

// asked is an answer of which only the status counts.
type asked struct {
	header http.Header
	status int
}

func (a *asked) Header() http.Header         { return a.header }
func (a *asked) Write(p []byte) (int, error) { return len(p), nil }
func (a *asked) WriteHeader(status int)      { a.status = status }

// cpu returns the processor time the process used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPush is what Push costs of its own for a message, with a handler that
// only books, of records of one event of about 700 bytes each: as it is deployed,
// unwrapped behind Cloud Run's check, and wrapped with a token whose signature is
// checked here.
func BenchmarkPush(b *testing.B) {
	for _, form := range []string{"unwrapped", "wrapped"} {
		for _, events := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("%s/events=%d", form, events), func(b *testing.B) {
				records := make([]stream.Record, events)
				for i := range records {
					data := fmt.Appendf(nil, `{"messageId":"%08x-0000-4000-8000-000000000000","type":"track","event":"Product Viewed","anonymousId":"a%d","properties":{"sku":"sku-%d","price":%d.5,"currency":"JPY"},"context":{"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36","locale":"ja-JP"}}%300d`,
						uint32(i*2654435761), i, i%97, i%1000, i)
					records[i] = stream.Record{Project: "shop", Key: fmt.Sprint("a:", i), Events: 1, Time: accepted + int64(i), Data: data}
				}
				data, attributes, err := message.Encode("gcp", records)
				if err != nil {
					b.Fatal(err)
				}
				m := &Message{ID: "2070443601311540", Data: data, Attributes: attributes, Attempt: 1, Published: time.Now()}
				r, body := request(b, "/", m, form == "unwrapped"), data
				if form == "wrapped" {
					body = wrap(b, m)
				}
				token := newGoogle().token()
				token.Checked = form == "unwrapped"
				if r.Header.Set("Authorization", "Bearer "+right()); token.Checked {
					r.Header.Set("Authorization", "Bearer "+stripped(claims(time.Now())))
				}
				var handled atomic.Int64
				books := &tally{}
				p := &Push{Token: token, Log: quiet, Settler: &Settler{
					Handler: func(ctx context.Context, records []stream.Record) error {
						deltas := make([]ledger.Delta, len(records))
						for i := range records {
							r := &records[i]
							deltas[i] = ledger.Delta{Project: r.Project, Source: r.ID, Minute: r.Time / 60_000, Counts: ledger.Counts{Accepted: int64(r.Events)}}
						}
						handled.Add(int64(len(records)))
						return ledger.Book{}.Record(ctx, deltas)
					},
					Group: "score", Stage: quarantine.Score, Quarantine: &shelf{}, Ledger: books,
				}}
				a, reader := &asked{header: http.Header{}}, bytes.NewReader(nil)
				b.ReportAllocs()
				n, began := 0, cpu()
				for b.Loop() {
					reader.Reset(body)
					r.Body, a.status = io.NopCloser(reader), 0
					if p.ServeHTTP(a, r); a.status != http.StatusNoContent {
						b.Fatalf("answered %d", a.status)
					}
					n++
				}
				took := float64((cpu() - began).Nanoseconds())
				if all := int64(n * events); handled.Load() != all || books.accepted.Load() != all {
					b.Fatalf("%d handled and %d booked of %d", handled.Load(), books.accepted.Load(), all)
				}
				b.ReportMetric(took/float64(n), "CPU-ns/message")
				b.ReportMetric(took/float64(n*events), "CPU-ns/event")
			})
		}
	}
}
