package rules

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "24h": day, "7d": 7 * day, "2w": 14 * day, "800d": 800 * day,
		"": 0, "m": 0, "30": 0, "0d": 0, "-1d": 0, "1.5h": 0, "801d": 0, "1y": 0, "99999999999d": 0, "1 d": 0, "+1d": 0,
	} {
		if d, ok := parseSpan(text); d != want || ok != (want > 0) {
			t.Errorf("%q is %v (%v), want %v", text, d, ok, want)
		}
	}
}

func TestDefaultBuckets(t *testing.T) {
	for window, want := range map[string]string{
		"1m": "1m", "30m": "1m", "45m": "5m", "1h": "2m", "24h": "1h", "7d": "6h", "30d": "1d", "90d": "3d", "365d": "14d", "800d": "28d",
	} {
		w, _ := parseSpan(window)
		want, _ := parseSpan(want)
		if got := bucketFor(w); got != want {
			t.Errorf("a window of %s has buckets of %v, want %v", window, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		w := time.Duration(rapid.IntRange(1, int(maxWindow/time.Minute)).Draw(t, "minutes")) * time.Minute
		b := bucketFor(w)
		if n := (w + b - 1) / b; b <= 0 || n < 1 || n > defaultBuckets {
			t.Errorf("a window of %v has %d buckets of %v", w, n, b)
		}
	})
}
