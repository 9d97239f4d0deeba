package dynamodb

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/hitolayer/hito/infra/aws/dynamodb/dynamodbtest"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/rules"
)

// shopper is the fragment of somebody who has visited the sample project's shop
// so many times, a visit being eight events, every other day. hook, if any, is
// called after each visit.
func shopper(tb testing.TB, seed uint64, visits int, user bool, hook func(*profile.Fragment)) *profile.Fragment {
	tb.Helper()
	file, err := os.ReadFile("../../../shared/project/sample/shop.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	metrics, err := rules.Parse("shop.yaml", file)
	if err != nil {
		tb.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 1))
	uuid := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Int64N(1<<48))
	}
	k := profile.Key{Project: "shop", Visitor: event.AnonymousPrefix + uuid()}
	if user {
		k.Visitor = event.UserPrefix + fmt.Sprint(100000+random.IntN(900000))
	}
	f := profile.NewFragment(k)
	folder := profile.Folder{Metrics: metrics}
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for range visits {
		at := now
		path := "/"
		for i, name := range []string{"Home", "Kitchen", "Product List Viewed", "Kettle", "Product Viewed", "Product Added", "Cart Viewed", "Order Completed"} {
			at = at.Add(time.Duration(2+random.IntN(60)) * time.Second)
			e := &event.Event{
				MessageId: "ajs-next-" + uuid(), AnonymousId: "ANON", Name: name, Timestamp: at.UnixMilli(), Type: event.Type_TYPE_TRACK,
				Properties: fmt.Appendf(nil, `{"product_id":"p-%d","category":"kitchen","price":%d.90,"revenue":%d.40,"quantity":1}`, 1000+random.IntN(9000), random.IntN(200), random.IntN(300)),
				Context:    []byte(`{}`),
				Enriched: &event.Enriched{
					Agent: &event.Agent{Browser: "Mobile Safari", BrowserVersion: "18.6", Os: "iOS", OsVersion: "18.6", Device: "iPhone", Brand: "Apple", Model: "iPhone", Kind: "mobile"},
					Geo:   &event.Geo{Country: "JP"}, Page: &event.Page{Host: "shop.example", Path: path},
				},
			}
			if i < 2 || i == 3 {
				e.Type = event.Type_TYPE_PAGE
				path = fmt.Sprintf("/products/p-%d", 1000+random.IntN(9000))
			}
			if i == 0 {
				e.Enriched.Referrer = &event.Referrer{Medium: "search", Source: "Google", Host: "www.google.com"}
			}
			if user {
				e.UserId, e.AnonymousId = strings.TrimPrefix(k.Visitor, event.UserPrefix), "d4e6cf57-7b1f-4b6a-9e55-5e3f4cf0b3b1"
				e.Type, e.Traits = event.Type_TYPE_IDENTIFY, []byte(`{"email":"someone.somewhere@example.com","plan":"plus","name":"Some One"}`)
			}
			if i >= 6 && random.IntN(2) == 0 {
				break
			}
			received := at.Add(300 * time.Millisecond)
			folder.Fold(f, &event.Record{Key: k.Visitor, ReceivedAt: received.UnixMilli(), Receipt: random.Uint32(), Events: []*event.Event{e}})
			if hook != nil {
				hook(f)
			}
		}
		now = now.Add(48 * time.Hour)
	}
	return f
}

// TestWriteUnits measures what compression saves. Every version of a fragment
// is a write; those of all visits are averaged.
func TestWriteUnits(t *testing.T) {
	for _, c := range []struct {
		visits int
		user   bool
	}{{1, false}, {1, true}, {3, false}, {3, true}, {10, true}, {40, true}} {
		var bytes, small, plainUnits, packedUnits, writes int
		for seed := range uint64(10) {
			var last *profile.Fragment
			shopper(t, seed, c.visits, c.user, func(f *profile.Fragment) {
				last = f
				state, err := f.Encode()
				if err != nil {
					t.Fatal(err)
				}
				w := write{}
				w.pk, _ = fragmentKey(f.Key)
				packed, err := encodeValue(state, w.overhead())
				if err != nil {
					t.Fatal(err)
				}
				plainUnits += units(len(state) + 1 + w.overhead())
				packedUnits += units(len(packed) + w.overhead())
				writes++
			})
			state, err := last.Encode()
			if err != nil {
				t.Fatal(err)
			}
			e, err := encoder()
			if err != nil {
				t.Fatal(err)
			}
			bytes += len(state)
			small += len(e.EncodeAll(state, nil))
		}
		t.Logf("visits=%d user=%v: %d bytes in the end, %d compressed; %.2f write units each, %.2f as they are packed",
			c.visits, c.user, bytes/10, small/10, float64(plainUnits)/float64(writes), float64(packedUnits)/float64(writes))
		if packedUnits > plainUnits {
			t.Error("packing costs write units")
		}
	}
}

// instant answers every request at once: BatchGetItem with one item, anything
// else with nothing.
type instant struct{ items string }

func (i instant) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	body := "{}"
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "BatchGetItem") {
		body = i.items
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Crc32": {fmt.Sprint(crc32.ChecksumIEEE([]byte(body)))}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// BenchmarkStore is the CPU that loads and saves cost, per fragment of about
// 1 KB, 100 of them a call, with a wire that costs nothing.
func BenchmarkStore(b *testing.B) {
	const n = 100
	fs := make([]*profile.Fragment, n)
	keys := make([]profile.Key, n)
	var items []string
	for i := range fs {
		fs[i] = shopper(b, uint64(i), 3, i%2 == 0, nil)
		keys[i] = fs[i].Key
		state, err := fs[i].Encode()
		if err != nil {
			b.Fatal(err)
		}
		packed, err := encodeValue(state, 100)
		if err != nil {
			b.Fatal(err)
		}
		pk, _ := fragmentKey(fs[i].Key)
		items = append(items, fmt.Sprintf(`{"pk":{"S":%q},"v":{"N":"7"},"s":{"B":%q},"a":{"B":"AAAAAAA="},"b":{"B":"AAAAAAA="},"c":{"B":"AAAAAAA="},"d":{"B":"AAAAAAA="}}`, pk, b64(packed)))
	}
	s := &Store{Table: "t", Workers: 1, Client: NewClient(dynamodbtest.Config("http://127.0.0.1"), func(o *dynamodb.Options) {
		o.HTTPClient = &http.Client{Transport: instant{`{"Responses":{"t":[` + strings.Join(items, ",") + `]},"UnprocessedKeys":{}}`}}
	})}
	b.Run("Load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, err := s.Load(b.Context(), keys); err != nil || got[0].Version != 7 {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/fragment")
	})
	b.Run("Save", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Save(b.Context(), fs); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/fragment")
	})
	b.Run("Pack", func(b *testing.B) {
		state, err := fs[0].Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := encodeValue(state, 100); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
