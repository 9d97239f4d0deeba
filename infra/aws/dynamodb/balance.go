package dynamodb

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
)

// maxSpan bounds the minutes that are read at once.
const maxSpan = 8 * 24 * 60

// Totals implements ledger.Reader.
func (l *Ledger) Totals(ctx context.Context, project string) (ledger.Totals, error) {
	t := l.table()
	keys := make([]string, slots)
	for i := range keys {
		keys[i] = totalsKey(project, i)
	}
	items, err := t.get(ctx, keys)
	if err != nil {
		return ledger.Totals{}, fmt.Errorf("read totals of %s: %w", project, err)
	}
	sum := ledger.Totals{Segments: make(map[string]int64)}
	for _, it := range items {
		d := ledger.Delta{Segments: make(map[string]int64)}
		for name := range it {
			if escaped, ok := strings.CutPrefix(name, segmentPrefix); ok {
				segment, err := unescape(escaped)
				if err == nil {
					d.Segments[segment], err = numberOf(it, name)
				}
				if err != nil {
					return ledger.Totals{}, fmt.Errorf("read totals of %s: %w", project, err)
				}
			}
		}
		if d.Counts, err = readCounts(it, func(attr string) string { return attr }); err == nil {
			d.People, err = numberOf(it, peopleAttr)
		}
		if err != nil {
			return ledger.Totals{}, fmt.Errorf("read totals of %s: %w", project, err)
		}
		sum.Add(d)
	}
	for s, n := range sum.Segments {
		if n == 0 {
			delete(sum.Segments, s)
		}
	}
	return sum, nil
}

// Minutes implements ledger.Reader: of the minutes asked for, those of the last
// 8 days.
func (l *Ledger) Minutes(ctx context.Context, project string, first, last int64) ([]ledger.Minute, error) {
	t := l.table()
	last = min(last, t.now().Add(time.Hour).Unix()/60)
	first = max(first, last-maxSpan)
	from, _ := hourOf(first)
	to, _ := hourOf(last)
	var keys []string
	for hour := from; hour <= to; hour++ {
		for slot := range slots {
			keys = append(keys, hourKey(project, hour, slot))
		}
	}
	items, err := t.get(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read minutes of %s: %w", project, err)
	}
	var out []ledger.Minute
	for hour := from; hour <= to; hour++ {
		var sums [60]ledger.Counts
		for slot := range slots {
			it := items[hourKey(project, hour, slot)]
			if it == nil {
				continue
			}
			for m := range sums {
				c, err := readCounts(it, func(attr string) string { return minuteAttr(attr, int64(m)) })
				if err != nil {
					return nil, fmt.Errorf("read minutes of %s: %w", project, err)
				}
				sums[m] = sums[m].Plus(c)
			}
		}
		for m, c := range sums {
			if at := hour*60 + int64(m); first <= at && at <= last && c != (ledger.Counts{}) {
				out = append(out, ledger.Minute{Minute: at, Counts: c, InFlight: c.InFlight()})
			}
		}
	}
	return out, nil
}

func readCounts(it item, attr func(counter string) string) (c ledger.Counts, err error) {
	for _, counter := range counters {
		if *counter.of(&c), err = numberOf(it, attr(counter.attr)); err != nil {
			return c, err
		}
	}
	return c, nil
}
