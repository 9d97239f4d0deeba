package rules

import (
	"strconv"
	"time"
)

// The bounds of a metric's time buckets.
const (
	// maxBuckets is how many buckets a window may have.
	maxBuckets = 100
	// defaultBuckets is how many it has at most when the file does not say.
	defaultBuckets = 32
	maxWindow      = 800 * day
)

const day = 24 * time.Hour

// widths are the bucket widths to choose from: they divide hours and days as
// clocks and calendars do.
var widths = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	day, 2 * day, 3 * day, 4 * day, 7 * day, 14 * day, 28 * day,
}

// parseSpan reads a span of time such as 30m, 24h, 7d or 2w.
func parseSpan(s string) (d time.Duration, ok bool) {
	if len(s) < 2 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day}[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if !ok || err != nil || n == 0 || time.Duration(n) > maxWindow/unit {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// bucketFor returns the narrowest width that cuts a window into whole buckets,
// at most defaultBuckets; the last of them is not whole when no width fits.
func bucketFor(window time.Duration) time.Duration {
	narrowest := time.Duration(0)
	for _, w := range widths {
		if window > w*defaultBuckets {
			continue
		}
		if window%w == 0 {
			return w
		}
		if narrowest == 0 {
			narrowest = w
		}
	}
	return narrowest
}
