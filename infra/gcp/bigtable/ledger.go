package bigtable

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/bigtable"
	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/ledger"
)

// Ledger books into the rows of a project: ledgerSlots, of which the hour of
// acceptance takes one, by ledgerShards, of which the id takes one. A row keeps
// totals, the counts of its hours' minutes, and the ids that were booked into it,
// so that one conditional write books an id once. Totals are the sum of all rows,
// however long there have been events: 7,680 at most, with some six numbers each
// and one for each segment.
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
	// ledgerSlots is after how many hours a row is used again: 20 days, so that it has
	// the ids of two hours at a time, which are known for 40. With 7,000 messages a
	// second they are some 100 MB; a row should not have more, and cannot have 256.
	// https://cloud.google.com/bigtable/quotas#limits-data-size
	ledgerSlots = 480
	// The columns of totals that are no counts: people, and each segment's size. They
	// all begin with a letter; those of minutes, such as "0029000000a", with a digit.
	peopleColumn, segmentColumns = "people", "segment/"
	firstOfTotals                = "a"
	// lastMinute is the last that has a column.
	lastMinute = 9_999_999_998
)

// kinds are how counts are called in columns.
const kinds = "asdqx"

func count(c *ledger.Counts, kind byte) *int64 {
	return map[byte]*int64{'a': &c.Accepted, 's': &c.Scored, 'd': &c.Duplicate, 'q': &c.Quarantined, 'x': &c.Suppressed}[kind]
}

// ledgerRows is what the keys of a project's rows in a shard begin with. A slot
// follows, in three digits.
func ledgerRows(project string, shard int) string {
	name := strconv.Itoa(len(project)) + "/" + project + "/" + fmt.Sprintf("%02d", shard) + "/"
	return fmt.Sprintf("%04x", xxhash.Sum64String(name)>>48) + kindLedger + name
}

func slotText(slot int64) string { return fmt.Sprintf("%03d", slot) }

func minuteText(minute int64) string { return fmt.Sprintf("%010d", minute) }

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
	h := sha256.Sum256([]byte(id))
	rows := map[string]map[string]int64{}
	for _, d := range deltas {
		at := min(max(d.Minute, 0), lastMinute)
		key := ledgerRows(d.Project, int(h[0]%ledgerShards)) + slotText(at/60%ledgerSlots)
		row := rows[key]
		if row == nil {
			row = map[string]int64{}
			rows[key] = row
		}
		for i := range len(kinds) {
			n, kind := *count(&d.Counts, kinds[i]), kinds[i:i+1]
			row[kind] += n
			row[minuteText(at)+kind] += n
		}
		row[peopleColumn] += d.People
		for segment, n := range d.Segments {
			row[segmentColumns+segment] += n
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if err := l.add(ctx, key, string(h[:16]), rows[key]); err != nil {
			return fmt.Errorf("book %s: %w", id, err)
		}
	}
	return nil
}

// add adds to a row's sums unless the id, of 16 bytes, was booked there.
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
	err := l.read(ctx, project, 0, ledgerSlots-1, firstOfTotals, "", func(column string, n int64) bool {
		segment, isSegment := strings.CutPrefix(column, segmentColumns)
		switch {
		case isSegment:
			t.Segments[segment] += n
		case column == peopleColumn:
			t.People += n
		case len(column) == 1 && strings.Contains(kinds, column):
			*count(&t.Counts, column[0]) += n
		default:
			return false
		}
		return true
	})
	if err != nil {
		return ledger.Totals{}, err
	}
	maps.DeleteFunc(t.Segments, func(_ string, n int64) bool { return n == 0 })
	t.InFlight = t.Counts.InFlight()
	return t, nil
}

// Minutes implements ledger.Reader.
func (l *Ledger) Minutes(ctx context.Context, project string, first, last int64) ([]ledger.Minute, error) {
	first, last = max(first, 0), min(last, lastMinute)
	if last < first {
		return nil, nil
	}
	minutes := map[int64]*ledger.Minute{}
	if err := l.read(ctx, project, first/60, last/60, minuteText(first), minuteText(last+1), func(column string, n int64) bool {
		digits := column[:len(column)-1]
		kind := column[len(digits)]
		at, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || strings.IndexByte(kinds, kind) < 0 {
			return false
		}
		m := minutes[at]
		if m == nil {
			m = &ledger.Minute{Minute: at}
			minutes[at] = m
		}
		*count(&m.Counts, kind) += n
		return true
	}); err != nil {
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

// read yields the sums in the columns from one to before another, "" for none, of
// all rows that hold a project's hours from first to last. It fails where yield
// returns false.
func (l *Ledger) read(ctx context.Context, project string, first, last int64, from, to string, yield func(column string, n int64) bool) error {
	var ranges bigtable.RowRangeList
	for shard := range ledgerShards {
		rows := ledgerRows(project, shard)
		add := func(first, last int64) {
			ranges = append(ranges, bigtable.NewRange(rows+slotText(first), rows+slotText(last+1)))
		}
		switch a, b := first%ledgerSlots, last%ledgerSlots; {
		case last-first >= ledgerSlots-1:
			add(0, ledgerSlots-1)
		case a <= b:
			add(a, b)
		default: // over the last slot
			add(0, b)
			add(a, ledgerSlots-1)
		}
	}
	var bad error
	err := l.Table.ReadRows(ctx, ranges, func(r bigtable.Row) bool {
		for _, c := range r[sums] {
			column := strings.TrimPrefix(c.Column, sums+":")
			if len(c.Value) != 8 || column == "" || !yield(column, int64(binary.BigEndian.Uint64(c.Value))) {
				bad = fmt.Errorf("bigtable: the row %q has %q: %x", r.Key(), column, c.Value)
				return false
			}
		}
		return true
	}, bigtable.RowFilter(bigtable.ChainFilters(bigtable.ColumnRangeFilter(sums, from, to), bigtable.LatestNFilter(1))))
	if err = errors.Join(err, bad, ctx.Err()); err != nil {
		return fmt.Errorf("read the ledger of %s: %w", project, err)
	}
	return nil
}
