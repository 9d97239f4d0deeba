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

	"cloud.google.com/go/bigtable"
	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/ledger"
)

// Ledger books into rows of a project, an hour of acceptance, and one of
// ledgerShards. A row keeps sums, and the ids that were booked into it, so that
// one conditional write books an id once.
type Ledger struct {
	Table *bigtable.Table
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
	// The columns of sums that are no minute's: people, and each segment's size.
	peopleColumn, segmentColumns = "people", "segment/"
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

// CommitOnce books deltas unless they were booked under the id before. It may be
// repeated with the same deltas after an error, which some may have survived. A
// delta that counts nothing books the id in its project and hour all the same.
func (l *Ledger) CommitOnce(ctx context.Context, id string, deltas []ledger.Delta) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	shard := int(h.Sum32() % ledgerShards)
	rows := map[string]map[string]int64{}
	for _, d := range deltas {
		key := ledgerRows(d.Project, shard) + fmt.Sprintf("%010d", d.Minute/60)
		row := rows[key]
		if row == nil {
			row = map[string]int64{}
			rows[key] = row
		}
		for i := range len(kinds) {
			row[fmt.Sprintf("%02d%c", d.Minute%60, kinds[i])] += *count(&d.Counts, kinds[i])
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
	err := l.read(ctx, project, 0, 9_999_999_999, func(_ int64, column string, n int64) {
		segment, isSegment := strings.CutPrefix(column, segmentColumns)
		switch {
		case isSegment:
			t.Segments[segment] += n
		case column == peopleColumn:
			t.People += n
		default:
			*count(&t.Counts, column[2]) += n
		}
	})
	maps.DeleteFunc(t.Segments, func(_ string, n int64) bool { return n == 0 })
	t.InFlight = t.Counts.InFlight()
	return t, err
}

// Minutes implements ledger.Reader.
func (l *Ledger) Minutes(ctx context.Context, project string, first, last int64) ([]ledger.Minute, error) {
	minutes := map[int64]*ledger.Minute{}
	err := l.read(ctx, project, first/60, last/60, func(hour int64, column string, n int64) {
		if column == peopleColumn || strings.HasPrefix(column, segmentColumns) {
			return
		}
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

// read yields the sums of a project's hours from first to last, of each column
// as often as there are shards.
func (l *Ledger) read(ctx context.Context, project string, first, last int64, yield func(hour int64, column string, n int64)) error {
	if last < first || last < 0 {
		return nil
	}
	var ranges bigtable.RowRangeList
	for shard := range ledgerShards {
		rows := ledgerRows(project, shard)
		ranges = append(ranges, bigtable.NewRange(rows+fmt.Sprintf("%010d", max(first, 0)), rows+fmt.Sprintf("%010d\x00", last)))
	}
	var bad error
	err := l.Table.ReadRows(ctx, ranges, func(r bigtable.Row) bool {
		key := r.Key()
		hour, err := strconv.ParseInt(key[strings.LastIndexByte(key, '/')+1:], 10, 64)
		for _, c := range r[sums] {
			column := strings.TrimPrefix(c.Column, sums+":")
			if err != nil || len(c.Value) != 8 || !isSum(column) {
				bad = fmt.Errorf("bigtable: the row %q has %q: %x", key, column, c.Value)
				return false
			}
			yield(hour, column, int64(binary.BigEndian.Uint64(c.Value)))
		}
		return true
	}, bigtable.RowFilter(bigtable.ChainFilters(bigtable.FamilyFilter(sums), bigtable.LatestNFilter(1))))
	if err = errors.Join(err, bad, ctx.Err()); err != nil {
		return fmt.Errorf("read the ledger of %s: %w", project, err)
	}
	return nil
}

// isSum tells whether a column is one that add writes.
func isSum(column string) bool {
	if column == peopleColumn || strings.HasPrefix(column, segmentColumns) {
		return true
	}
	_, err := strconv.ParseUint(column[:min(2, len(column))], 10, 8)
	return len(column) == 3 && err == nil && strings.IndexByte(kinds, column[2]) >= 0
}
