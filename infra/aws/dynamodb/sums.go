package dynamodb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/hitolayer/hito/shared/ledger"
)

const (
	// slots is in how many shares a project's totals and hours are kept, so that
	// many write them at a time: one item takes about 1,000 writes/s.
	slots = 16
	// hourKept is how long an hour's counts stay: longer than the 7 days that can
	// be asked for.
	hourKept = 8 * 24 * time.Hour
	// maxAdds is how many attributes one update adds to, so that its expression
	// stays below 4 KB and 300 operators.
	maxAdds = 250
)

// The names of the numbers in a share of the totals, and with the minute behind
// them of an hour. A segment's size has its name, escaped, behind its prefix.
const (
	acceptedAttr    = "a"
	scoredAttr      = "s"
	duplicateAttr   = "d"
	quarantinedAttr = "x" // not q, whose type the index decides
	suppressedAttr  = "u"
	peopleAttr      = "p"
	segmentPrefix   = "s:"
	hourAttr        = "h" // which hour it is, since 1970
)

// counter is one of the counts, with its attribute's name.
type counter struct {
	attr string
	of   func(*ledger.Counts) *int64
}

var counters = []counter{
	{acceptedAttr, func(c *ledger.Counts) *int64 { return &c.Accepted }},
	{scoredAttr, func(c *ledger.Counts) *int64 { return &c.Scored }},
	{duplicateAttr, func(c *ledger.Counts) *int64 { return &c.Duplicate }},
	{quarantinedAttr, func(c *ledger.Counts) *int64 { return &c.Quarantined }},
	{suppressedAttr, func(c *ledger.Counts) *int64 { return &c.Suppressed }},
}

// minuteAttr returns the name of a counter's minute, 0 to 59, in an hour.
func minuteAttr(counter string, minute int64) string {
	return counter + string([]byte{'0' + byte(minute/10), '0' + byte(minute%10)})
}

func totalsKey(project string, slot int) string {
	pk, _ := key("l/t", project, fmt.Sprintf("%02d", slot))
	return pk
}

func hourKey(project string, hour int64, slot int) string {
	pk, _ := key("l/h", project, fmt.Sprint(hour), fmt.Sprintf("%02d", slot))
	return pk
}

// hourOf returns the hour that a minute is in, and which minute of it it is.
func hourOf(minute int64) (hour, of int64) {
	hour, of = minute/60, minute%60
	if of < 0 {
		hour, of = hour-1, of+60
	}
	return hour, of
}

// place is what a sum is kept of: a project's totals or one hour.
type place struct {
	project string
	isHour  bool
	hour    int64
}

func (p place) compare(q place) int {
	switch {
	case p.project != q.project:
		return strings.Compare(p.project, q.project)
	case p.isHour != q.isHour && q.isHour:
		return -1
	case p.isHour != q.isHour:
		return 1
	case p.hour != q.hour && p.hour < q.hour:
		return -1
	case p.hour != q.hour:
		return 1
	}
	return 0
}

// sums is what deltas add to: of each place, by the attribute's name.
type sums map[place]map[string]int64

func (s sums) add(p place, attr string, n int64) {
	if n == 0 {
		return
	}
	if s[p] == nil {
		s[p] = make(map[string]int64)
	}
	s[p][attr] += n
}

// book adds d.
func (s sums) book(d ledger.Delta) {
	totals := place{project: d.Project}
	hour, minute := hourOf(d.Minute)
	for _, c := range counters {
		n := *c.of(&d.Counts)
		s.add(totals, c.attr, n)
		if n != 0 {
			s.add(place{d.Project, true, hour}, minuteAttr(c.attr, minute), n)
		}
	}
	s.add(totals, peopleAttr, d.People)
	for segment, n := range d.Segments {
		s.add(totals, segmentPrefix+string(appendEscaped(nil, segment)), n)
	}
}

// sumsOf returns what deltas add to, each as if its record came for the first time.
func sumsOf(deltas []ledger.Delta) sums {
	s := make(sums)
	for _, d := range deltas {
		s.book(d.Whole())
	}
	return s
}

// updates returns the writes that add s, in the shares of slot. What is too much
// for one update goes to the next slots: the totals are the sum of all.
func (s sums) updates(t *table, slot int) []types.TransactWriteItem {
	var out []types.TransactWriteItem
	for _, p := range slices.SortedFunc(maps.Keys(s), place.compare) {
		attrs := slices.DeleteFunc(slices.Sorted(maps.Keys(s[p])), func(a string) bool { return s[p][a] == 0 })
		n := slot
		for some := range slices.Chunk(attrs, maxAdds) {
			pk := totalsKey(p.project, n%slots)
			if p.isHour {
				pk = hourKey(p.project, p.hour, n%slots)
			}
			out = append(out, types.TransactWriteItem{Update: t.adds(pk, p, some, s[p])})
			n++
		}
	}
	return out
}

// adds returns the update of pk that adds numbers to attrs.
func (t *table) adds(pk string, p place, attrs []string, numbers map[string]int64) *types.Update {
	var expression strings.Builder
	if len(attrs) > 0 {
		expression.WriteString("ADD ")
	}
	names, values := make(map[string]string, len(attrs)+1), make(item, len(attrs)+1)
	for i, a := range attrs {
		if i > 0 {
			expression.WriteByte(',')
		}
		fmt.Fprintf(&expression, "#%d :%d", i, i)
		names[fmt.Sprintf("#%d", i)], values[fmt.Sprintf(":%d", i)] = a, number(numbers[a])
	}
	if p.isHour {
		// From when it is booked, since that may be long after: a redelivery.
		end := max(t.now().Unix(), (p.hour+1)*3600)
		expression.WriteString(" SET #t = :t, #h = :h")
		names["#t"], values[":t"] = ttlAttr, number(end+int64(hourKept/time.Second))
		names["#h"], values[":h"] = hourAttr, number(p.hour)
	}
	return &types.Update{
		TableName: &t.name, Key: t.key(pk), UpdateExpression: new(expression.String()),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}
}
