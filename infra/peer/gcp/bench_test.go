package gcp

import (
	"fmt"
	"testing"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/infra/gcp/pubsub/publish"
)

// BenchmarkEncode measures making a request's body, and tells how much larger than
// its packs it is.
func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 5 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data, attributes, err := message.Encode("aws", some(1, size))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				body, err := encode([]publish.Message{{Data: data, Attributes: attributes}})
				if err != nil {
					b.Fatal(err)
				}
				n = len(body)
			}
			b.ReportMetric(float64(n)/float64(len(data)), "sent/packed")
		})
	}
}
