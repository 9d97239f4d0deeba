package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets less than 1 % wide. It may be used by
// many goroutines at once. Its zero value is empty.
type histogram struct {
	counts [64 << subBits]atomic.Int64
	max    atomic.Int64
}

// subBits says how many buckets a power of two has: 2^subBits.
const subBits = 7

func (h *histogram) record(d time.Duration) {
	n := uint64(max(d, 0))
	h.counts[bucket(n)].Add(1)
	for {
		old := h.max.Load()
		if int64(n) <= old || h.max.CompareAndSwap(old, int64(n)) {
			return
		}
	}
}

func bucket(n uint64) int {
	shift := max(bits.Len64(n)-subBits-1, 0)
	return shift<<subBits + int(n>>shift)
}

// upper is the largest value of a bucket.
func upper(b int) uint64 {
	if b < 2<<subBits {
		return uint64(b)
	}
	shift := b>>subBits - 1
	return uint64(b-shift<<subBits+1)<<shift - 1
}

// Latencies are a distribution's percentiles, in milliseconds.
type Latencies struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

func (h *histogram) latencies() Latencies {
	var l Latencies
	for i := range h.counts {
		l.Count += h.counts[i].Load()
	}
	biggest := h.max.Load()
	at := func(q float64) float64 {
		rank, seen := int64(q*float64(l.Count)+0.999999), int64(0)
		for i := range h.counts {
			if seen += h.counts[i].Load(); seen >= rank && seen > 0 {
				return float64(min(upper(i), uint64(biggest))) / 1e6
			}
		}
		return 0
	}
	l.P50, l.P90, l.P99, l.P999, l.Max = at(0.5), at(0.9), at(0.99), at(0.999), float64(biggest)/1e6
	return l
}
