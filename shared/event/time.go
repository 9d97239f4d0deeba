package event

import (
	"strconv"
	"strings"
	"time"
)

// plausible is the earliest event time that is believed: before 2000 nobody
// sent events, so an earlier one is a clock or a field that was never set.
const plausible = 946_684_800_000

// maxAhead is by how much an event may seem to have been sent before it
// happened before its sentAt is taken for garbage.
const maxAhead = 24 * 60 * 60 * 1000

// Correct returns when an event happened by the server's clock, from what the
// client's clock said (0 when it did not), all in Unix milliseconds:
//
//	receivedAt − (sentAt − original)
//
// Without sentAt the client's time stands. What would be in the future, before
// 2000 or unknown is receivedAt.
func Correct(receivedAt, sentAt, original int64) int64 {
	t := original
	if original != 0 && sentAt != 0 && sentAt-original >= -maxAhead {
		t = receivedAt - (sentAt - original)
	}
	if t < plausible || t > receivedAt {
		return receivedAt
	}
	return t
}

// layouts are the forms of time that clients send beside ISO 8601 (Date's
// toString and toUTCString, Rails' and Python's defaults). None names a zone
// other than UTC: time.Parse would invent its offset.
var layouts = [...]string{
	"2006-01-02",
	"20060102",
	"2006-01-02T15:04",
	"2006-01-02T15:04Z07:00",
	"20060102T150405Z0700",
	"2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05 UTC",
	"2006/01/02 15:04:05",
	"2006-01-02 15:04:05.999999999 -0700 MST",
	"Mon, 02 Jan 2006 15:04:05 GMT",
	time.RFC1123Z,
	time.ANSIC,
	"Mon Jan 02 2006 15:04:05 GMT-0700",
}

// ParseTime reads a time as clients write it: ISO 8601 and its variants (no
// zone is UTC), or a Unix epoch in seconds, milliseconds, microseconds or
// nanoseconds, told apart by size. It returns Unix milliseconds; ok when it
// understood.
func ParseTime(s string) (ms int64, ok bool) {
	if ms, ok := parseISO(s); ok {
		return ms, true
	}
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 80 {
		return 0, false
	}
	if len(s) != len("20060102") {
		if ms, ok := parseEpoch(s); ok {
			return ms, true
		}
	}
	if ms, ok := parseISO(s); ok {
		return ms, true
	}
	if before, _, found := strings.Cut(s, " ("); found { // "… GMT+0900 (Japan Standard Time)"
		s = before
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

// parseEpoch reads a number since 1970. Below 10^8 even seconds would be before
// 1973: not a time.
func parseEpoch(s string) (ms int64, ok bool) {
	if c := s[0]; c < '0' || c > '9' {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || n < 1e8 || n >= 1e19:
		return 0, false
	case n < 1e11:
		n *= 1e3
	case n >= 1e17:
		n /= 1e6
	case n >= 1e14:
		n /= 1e3
	}
	return int64(n), true
}

// parseISO reads YYYY-MM-DDThh:mm:ss[.fff][zone], without allocating.
func parseISO(s string) (ms int64, ok bool) {
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || s[10] != 'T' && s[10] != ' ' && s[10] != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	bad := 0
	two := func(i int) int {
		a, b := int(s[i])-'0', int(s[i+1])-'0'
		if uint(a) > 9 || uint(b) > 9 {
			bad++
		}
		return a*10 + b
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if bad > 0 || year == 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	rest := s[19:]
	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		i, weight := 1, int64(100)
		for ; i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
			ms += int64(rest[i]-'0') * weight
			weight /= 10
		}
		if i == 1 {
			return 0, false
		}
		rest = rest[i:]
	}
	offset, ok := parseZone(rest)
	if !ok {
		return 0, false
	}
	// A leap second is the one before it.
	second = min(second, 59)
	return ((daysSince1970(year, month, day)*24+int64(hour))*60+int64(minute)-int64(offset))*60_000 + int64(second)*1000 + ms, true
}

// parseZone reads "", "Z", "±hh", "±hhmm" or "±hh:mm"; minutes east of UTC.
func parseZone(s string) (minutes int, ok bool) {
	if s == "" || s == "Z" || s == "z" {
		return 0, true
	}
	sign := 1
	switch s[0] {
	case '+':
	case '-':
		sign = -1
	default:
		return 0, false
	}
	s = s[1:]
	if len(s) == 5 && s[2] == ':' {
		s = s[:2] + s[3:]
	}
	if len(s) != 2 && len(s) != 4 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	if len(s) == 2 {
		n *= 100
	}
	if n/100 > 23 || n%100 > 59 {
		return 0, false
	}
	return sign * (n/100*60 + n%100), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts in years that begin in March, so that the leap day is
// the last.
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return int64(365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 719469)
}
