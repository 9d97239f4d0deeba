package bigtable

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/bigtable"
	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/ledger"
)

// Ledger books into rows of a project, an hour of acceptance, and one of
// ledgerShards. A row keeps sums, and the ids that were booked into it, so that
// one conditional write books an id once. Hours into which nothing can be booked
// any more are summed up in one row, now and then, so that totals are those and
// the hours since: six numbers each, a megabyte or two for a busy project.
type Ledger struct {
	Table *bigtable.Table
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

var (
	_ ledger.Recorder  = (*Ledger)(nil)
	_ ledger.Committer = (*Ledger)(nil)
	_ ledger.Reader    = (*Ledger)(nil)
)

const (
	// sums is the family of sums, and booked that of the ids that are in them.
	sums, booked = "l", "s"
	kindLedger   = "l/"
	// ledgerShards is over how many rows the bookings of an hour are spread: a row
	// takes about 1,000 writes a second.
	ledgerShards = 16
	// The columns of sums that are no minute's: the hour's counts, people, and each
	// segment's size.
	hourColumns, peopleColumn, segmentColumns = "hour/", "people", "segment/"
	// whole matches them.
	whole = `people|(hour|segment)/\C*`

	// open is for how many hours something may be booked into one: a message may come
	// again for 31 days, as a dead letter for as long, and by hand after that.
	open = 100 * 24
	// One booking in rollOneIn sums up.
	rollOneIn = 4096
	// through is the column, in the family of fragments, of up to which hour is summed up.
	through = "through"
)

// kinds are how a minute's counts are called in columns such as "07a".
const kinds = "asdqx"

func count(c *ledger.Counts, kind byte) *int64 {
	return map[byte]*int64{'a': &c.Accepted, 's': &c.Scored, 'd': &c.Duplicate, 'q': &c.Quarantined, 'x': &c.Suppressed}[kind]
}

// ledgerRows is what the keys of a project's rows in a shard begin with. An hour
// follows, in ten digits.
func ledgerRows(project string, shard int) string {
	name := strconv.Itoa(len(project)) + "/" + project + "/" + fmt.Sprintf("%02d", shard) + "/"
	return fmt.Sprintf("%04x", xxhash.Sum64String(name)>>48) + kindLedger + name
}

// Record books deltas. Of an error it cannot be told whether they are booked.
func (l *Ledger) Record(ctx context.Context, deltas []ledger.Delta) error {
	return l.CommitOnce(ctx, fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()), deltas)
}

// Commit books every booking once, by the log and the Sequence it has there, in
// any order.
func (l *Ledger) Commit(ctx context.Context, log string, bookings []ledger.Booking) error {
	for _, b := range bookings {
		var err error
		if b.Sequence == "" {
			err = l.Record(ctx, b.Deltas)
		} else {
			err = l.CommitOnce(ctx, log+"/"+b.Sequence, b.Deltas)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// summed is the row of what is summed up.
func summed(project string) string { return ledgerRows(project, ledgerShards) + "summed" }

// CommitOnce books deltas unless they were booked under the id before. It may be
// repeated with the same deltas after an error, which some may have survived. A
// delta that counts nothing books the id in its project and hour all the same.
func (l *Ledger) CommitOnce(ctx context.Context, id string, deltas []ledger.Delta) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	shard := int(h.Sum32() % ledgerShards)
	rows := map[string]map[string]int64{}
	for _, d := range deltas {
		key := ledgerRows(d.Project, shard) + hourText(d.Minute/60)
		row := rows[key]
		if row == nil {
			row = map[string]int64{}
			rows[key] = row
		}
		for i := range len(kinds) {
			row[fmt.Sprintf("%02d%c", d.Minute%60, kinds[i])] += *count(&d.Counts, kinds[i])
			row[hourColumns+kinds[i:i+1]] += *count(&d.Counts, kinds[i])
		}
		row[peopleColumn] += d.People
		for segment, n := range d.Segments {
			row[segmentColumns+segment] += n
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if err := l.add(ctx, key, id, rows[key]); err != nil {
			return fmt.Errorf("book %s: %w", id, err)
		}
	}
	if h.Sum32()/ledgerShards%rollOneIn == 0 {
		for _, d := range deltas {
			if d.Minute/60 > l.over() { // whoever books into the past is no judge of what is over
				_ = l.sumUp(ctx, d.Project) // else another one does
			}
		}
	}
	return nil
}

// add adds to a row's sums unless the id was booked there.
func (l *Ledger) add(ctx context.Context, key, id string, row map[string]int64) error {
	m := bigtable.NewMutation()
	for column, n := range row {
		if n != 0 {
			m.AddIntToCell(sums, column, 0, n)
		}
	}
	m.Set(booked, id, bigtable.Now(), nil)
	was := bigtable.ChainFilters(bigtable.FamilyFilter(booked), bigtable.ColumnRangeFilter(booked, id, id+"\x00"))
	cond := bigtable.NewCondMutation(was, nil, m)
	return apply(ctx, l.Table, key, cond)
}

// Totals implements ledger.Reader.
func (l *Ledger) Totals(ctx context.Context, project string) (ledger.Totals, error) {
	t := ledger.Totals{Segments: map[string]int64{}}
	add := func(_ int64, column string, n int64) {
		segment, isSegment := strings.CutPrefix(column, segmentColumns)
		switch {
		case isSegment:
			t.Segments[segment] += n
		case column == peopleColumn:
			t.People += n
		default:
			*count(&t.Counts, column[len(hourColumns)]) += n
		}
	}
	last, err := l.summed(ctx, project, add)
	if err == nil {
		err = l.read(ctx, project, last+1, 9_999_999_999, bigtable.ColumnFilter(whole), add)
	}
	maps.DeleteFunc(t.Segments, func(_ string, n int64) bool { return n == 0 })
	t.InFlight = t.Counts.InFlight()
	return t, err
}

// summed yields what is summed up, and returns through which hour; -1 for none.
func (l *Ledger) summed(ctx context.Context, project string, yield func(hour int64, column string, n int64)) (last int64, err error) {
	row, err := l.Table.ReadRow(ctx, summed(project), bigtable.RowFilter(bigtable.LatestNFilter(1)))
	if err != nil {
		return 0, fmt.Errorf("read the ledger of %s: %w", project, err)
	}
	last = -1
	for _, c := range row[fragments] {
		if last, err = strconv.ParseInt(string(c.Value), 10, 64); err != nil {
			return 0, fmt.Errorf("bigtable: the row %q is summed up through %q", row.Key(), c.Value)
		}
	}
	return last, yieldSums(row, 0, yield)
}

// sumUp sums up the hours that are over and were not. Whoever does it twice, or at
// the same time as another, does it in vain.
func (l *Ledger) sumUp(ctx context.Context, project string) error {
	last, err := l.summed(ctx, project, func(int64, string, int64) {})
	to := l.over()
	if err != nil || to <= last {
		return err
	}
	more := map[string]int64{}
	if err := l.read(ctx, project, last+1, to, bigtable.ColumnFilter(whole), func(_ int64, column string, n int64) { more[column] += n }); err != nil {
		return err
	}
	m := bigtable.NewMutation()
	for column, n := range more {
		if n != 0 {
			m.AddIntToCell(sums, column, 0, n)
		}
	}
	m.Set(fragments, through, bigtable.Now(), []byte(hourText(to)))
	is := bigtable.ChainFilters(bigtable.FamilyFilter(fragments), bigtable.ColumnFilter(through), bigtable.LatestNFilter(1))
	cond := bigtable.NewCondMutation(is, nil, m)
	if last >= 0 {
		cond = bigtable.NewCondMutation(bigtable.ChainFilters(is, bigtable.ValueFilter(hourText(last))), m, nil)
	}
	return apply(ctx, l.Table, summed(project), cond)
}

// over returns the last hour into which nothing can be booked any more.
func (l *Ledger) over() int64 {
	now := time.Now
	if l.Now != nil {
		now = l.Now
	}
	return now().Unix()/3600 - open
}

// hourText is an hour as keys have it.
func hourText(hour int64) string { return fmt.Sprintf("%010d", hour) }

// Minutes implements ledger.Reader.
func (l *Ledger) Minutes(ctx context.Context, project string, first, last int64) ([]ledger.Minute, error) {
	minutes := map[int64]*ledger.Minute{}
	err := l.read(ctx, project, first/60, last/60, bigtable.ColumnFilter(`\d\d.`), func(hour int64, column string, n int64) {
		within, _ := strconv.ParseInt(column[:2], 10, 64) // read has looked at it
		at := hour*60 + within
		if at < first || at > last {
			return
		}
		m := minutes[at]
		if m == nil {
			m = &ledger.Minute{Minute: at}
			minutes[at] = m
		}
		*count(&m.Counts, column[2]) += n
	})
	if err != nil {
		return nil, err
	}
	out := make([]ledger.Minute, 0, len(minutes))
	for _, at := range slices.Sorted(maps.Keys(minutes)) {
		m := minutes[at]
		m.InFlight = m.Counts.InFlight()
		out = append(out, *m)
	}
	return out, nil
}

// read yields those sums of a project's hours from first to last that a filter lets
// through, of each column as often as there are shards.
func (l *Ledger) read(ctx context.Context, project string, first, last int64, columns bigtable.Filter, yield func(hour int64, column string, n int64)) error {
	if last < first || last < 0 {
		return nil
	}
	var ranges bigtable.RowRangeList
	for shard := range ledgerShards {
		rows := ledgerRows(project, shard)
		ranges = append(ranges, bigtable.NewRange(rows+hourText(max(first, 0)), rows+hourText(last)+"\x00"))
	}
	var bad error
	err := l.Table.ReadRows(ctx, ranges, func(r bigtable.Row) bool {
		key := r.Key()
		hour, err := strconv.ParseInt(key[strings.LastIndexByte(key, '/')+1:], 10, 64)
		if err != nil {
			bad = fmt.Errorf("bigtable: the row %q is of no hour", key)
			return false
		}
		bad = yieldSums(r, hour, yield)
		return bad == nil
	}, bigtable.RowFilter(bigtable.ChainFilters(bigtable.FamilyFilter(sums), columns, bigtable.LatestNFilter(1))))
	if err = errors.Join(err, bad, ctx.Err()); err != nil {
		return fmt.Errorf("read the ledger of %s: %w", project, err)
	}
	return nil
}

// yieldSums yields a row's sums.
func yieldSums(r bigtable.Row, hour int64, yield func(hour int64, column string, n int64)) error {
	for _, c := range r[sums] {
		column := strings.TrimPrefix(c.Column, sums+":")
		if len(c.Value) != 8 || !isSum(column) {
			return fmt.Errorf("bigtable: the row %q has %q: %x", r.Key(), column, c.Value)
		}
		yield(hour, column, int64(binary.BigEndian.Uint64(c.Value)))
	}
	return nil
}

// isSum tells whether a column is one that add writes.
func isSum(column string) bool {
	if column == peopleColumn || strings.HasPrefix(column, segmentColumns) {
		return true
	}
	if kind, ok := strings.CutPrefix(column, hourColumns); ok {
		return len(kind) == 1 && strings.Contains(kinds, kind)
	}
	_, err := strconv.ParseUint(column[:min(2, len(column))], 10, 8)
	return len(column) == 3 && err == nil && strings.IndexByte(kinds, column[2]) >= 0
}
