package dynamodb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
)

// maxSpan bounds the minutes that are read at once.
const maxSpan = 8 * 24 * 60

// Totals implements ledger.Reader.
func (l *Ledger) Totals(ctx context.Context, project string) (ledger.Totals, error) {
	keys := make([]string, slots)
	for i := range keys {
		keys[i] = totalsKey(project, i)
	}
	items, err := l.shares(ctx, project, keys, place{project: project})
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

// shares returns the items that make up places of a project: the slots', whose
// keys are given, and every log's accounts.
func (l *Ledger) shares(ctx context.Context, project string, slotKeys []string, places ...place) (map[string]item, error) {
	t := l.table()
	list := logsKey(project)
	items, err := t.get(ctx, append(slotKeys, list))
	if err != nil {
		return nil, err
	}
	logs, err := logsOf(items[list])
	if err != nil || len(logs) == 0 {
		delete(items, list)
		return items, err
	}
	delete(items, list)
	keys := make([]string, 0, len(logs)*len(places))
	for _, log := range logs {
		for _, p := range places {
			keys = append(keys, accountKey(log, p))
		}
	}
	accounts, err := t.get(ctx, keys)
	maps.Copy(items, accounts)
	return items, err
}

// Minutes implements ledger.Reader: of the minutes asked for, those of the last
// 8 days.
func (l *Ledger) Minutes(ctx context.Context, project string, first, last int64) ([]ledger.Minute, error) {
	last = min(last, l.table().now().Add(time.Hour).Unix()/60)
	first = max(first, last-maxSpan)
	from, _ := hourOf(first)
	to, _ := hourOf(last)
	var keys []string
	var places []place
	for hour := from; hour <= to; hour++ {
		places = append(places, place{project, true, hour})
		for slot := range slots {
			keys = append(keys, hourKey(project, hour, slot))
		}
	}
	if len(places) == 0 {
		return nil, nil
	}
	items, err := l.shares(ctx, project, keys, places...)
	if err != nil {
		return nil, fmt.Errorf("read minutes of %s: %w", project, err)
	}
	found := make(map[int64]ledger.Counts)
	for _, it := range items {
		hour, err := numberOf(it, hourAttr)
		if err != nil {
			return nil, fmt.Errorf("read minutes of %s: %w", project, err)
		}
		for m := range int64(60) {
			c, err := readCounts(it, func(attr string) string { return minuteAttr(attr, m) })
			if err != nil {
				return nil, fmt.Errorf("read minutes of %s: %w", project, err)
			}
			if at := hour*60 + m; first <= at && at <= last {
				found[at] = found[at].Plus(c)
			}
		}
	}
	var out []ledger.Minute
	for _, m := range slices.Sorted(maps.Keys(found)) {
		if c := found[m]; c != (ledger.Counts{}) {
			out = append(out, ledger.Minute{Minute: m, Counts: c, InFlight: c.InFlight()})
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
