package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/ledger"
)

// Ledger books outcomes and answers for the balance. Every project's totals and
// the minutes lately booked are in memory, so that reading costs nothing; what
// the database keeps is the sum of everything committed.
type Ledger struct {
	db *DB

	mu       sync.Mutex
	projects map[string]*account
}

var (
	_ ledger.Recorder = (*Ledger)(nil)
	_ ledger.Reader   = (*Ledger)(nil)
)

// account is one project's balance: what is committed and what the batches
// handled since the last checkpoint add.
type account struct {
	totals  ledger.Totals
	minutes map[int64]*recentMinute
}

type recentMinute struct {
	ledger.Counts
	touched time.Time
}

// minuteMemory is how long a minute stays in memory after it was last booked:
// far longer than anything booked stays uncommitted.
const minuteMemory = time.Hour

func minuteOf(unixMilli int64) int64 {
	m := unixMilli / 60_000
	if unixMilli%60_000 < 0 {
		m--
	}
	return m
}

// Record books deltas: within a handler's batch with that batch, else durably.
func (l *Ledger) Record(ctx context.Context, deltas []ledger.Delta) error {
	if len(deltas) == 0 {
		return nil
	}
	if t := l.db.txOf(ctx); t != nil {
		t.record(deltas)
		return nil
	}
	if err := l.db.committer.do(ctx, &request{deltas: deltas}); err != nil {
		return fmt.Errorf("record %d ledger deltas: %w", len(deltas), err)
	}
	return nil
}

// Totals returns the project's balance as of the last batch handled.
func (l *Ledger) Totals(_ context.Context, project string) (ledger.Totals, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := l.account(project)
	if err != nil {
		return ledger.Totals{}, err
	}
	t := a.totals
	t.Segments = make(map[string]int64, len(a.totals.Segments))
	for s, n := range a.totals.Segments {
		if n != 0 {
			t.Segments[s] = n
		}
	}
	return t, nil
}

// Minutes returns the project's minutes from first to last that have counts.
func (l *Ledger) Minutes(_ context.Context, project string, first, last int64) ([]ledger.Minute, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := l.account(project)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]ledger.Counts)
	end := minuteKey(project, last)
	if last < 1<<63-1 {
		end = minuteKey(project, last+1)
	}
	it, err := l.db.pebble.NewIter(&pebble.IterOptions{LowerBound: minuteKey(project, first), UpperBound: end})
	if err != nil {
		return nil, fmt.Errorf("read minutes of %s: %w", project, err)
	}
	for it.First(); it.Valid(); it.Next() {
		k := it.Key()
		var c ledger.Counts
		if err := readSums(it.Value(), countFields(&c)...); err != nil {
			return nil, errors.Join(err, it.Close())
		}
		found[int64(binary.BigEndian.Uint64(k[len(k)-8:])^1<<63)] = c
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("read minutes of %s: %w", project, err)
	}
	for m, c := range a.minutes {
		if first <= m && m <= last {
			found[m] = c.Counts
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

// account returns the project's balance, read from the database the first time.
func (l *Ledger) account(project string) (*account, error) {
	if a, ok := l.projects[project]; ok {
		return a, nil
	}
	a := &account{minutes: make(map[int64]*recentMinute)}
	a.totals.Segments = make(map[string]int64)
	c := &a.totals.Counts
	if err := l.db.get(prefix(totalsKind, project), func(v []byte) error {
		return readSums(v, append(countFields(c), &a.totals.People)...)
	}); err != nil {
		return nil, fmt.Errorf("read totals of %s: %w", project, err)
	}
	a.totals.InFlight = c.InFlight()
	lower := prefix(segmentKind, project)
	it, err := l.db.pebble.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: keyAfter(lower)})
	if err != nil {
		return nil, fmt.Errorf("read segments of %s: %w", project, err)
	}
	for it.First(); it.Valid(); it.Next() {
		name, _, err := cutName(it.Key()[len(lower):])
		var n int64
		if err = errors.Join(err, readSums(it.Value(), &n)); err != nil {
			return nil, errors.Join(err, it.Close())
		}
		a.totals.Segments[name] = n
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("read segments of %s: %w", project, err)
	}
	if l.projects == nil {
		l.projects = make(map[string]*account)
	}
	l.projects[project] = a
	return a, nil
}

// touch brings what the deltas change into memory. It must come before they are
// committed, else they would be in what is read as well as added to it.
func (l *Ledger) touch(deltas []ledger.Delta) error {
	if len(deltas) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range deltas {
		d := &deltas[i]
		a, err := l.account(d.Project)
		if err != nil {
			return err
		}
		m, ok := a.minutes[d.Minute]
		if !ok {
			m = &recentMinute{}
			if err := l.db.get(minuteKey(d.Project, d.Minute), func(v []byte) error {
				return readSums(v, countFields(&m.Counts)...)
			}); err != nil {
				return fmt.Errorf("read minute of %s: %w", d.Project, err)
			}
			a.minutes[d.Minute] = m
		}
		m.touched = l.db.options.Now()
	}
	return nil
}

// show adds deltas to what readers see.
func (l *Ledger) show(deltas []ledger.Delta) {
	if len(deltas) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range deltas {
		d := &deltas[i]
		a := l.projects[d.Project]
		a.totals.Add(*d)
		m := a.minutes[d.Minute]
		m.Counts = m.Counts.Plus(d.Counts)
	}
}

// forget drops minutes that were not booked for long. Everything booked before
// committed must be in the database.
func (l *Ledger) forget(committed time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.projects {
		maps.DeleteFunc(a.minutes, func(_ int64, m *recentMinute) bool {
			return committed.Sub(m.touched) > minuteMemory
		})
	}
}

// addDeltas writes the sums of the deltas.
func (db *DB) addDeltas(b *pebble.Batch, lists ...[]ledger.Delta) error {
	type minute struct {
		project string
		minute  int64
	}
	minutes := make(map[minute]ledger.Counts)
	totals := make(map[string]*ledger.Totals)
	for _, list := range lists {
		for _, d := range list {
			k := minute{d.Project, d.Minute}
			minutes[k] = minutes[k].Plus(d.Counts)
			if totals[d.Project] == nil {
				totals[d.Project] = new(ledger.Totals)
			}
			totals[d.Project].Add(d)
		}
	}
	for k, c := range minutes {
		if c == (ledger.Counts{}) {
			continue
		}
		if err := b.Merge(minuteKey(k.project, k.minute), sums(countFields(&c)...), nil); err != nil {
			return err
		}
	}
	for project, t := range totals {
		c := t.Counts
		if err := b.Merge(prefix(totalsKind, project), sums(append(countFields(&c), &t.People)...), nil); err != nil {
			return err
		}
		for s, n := range t.Segments {
			if n == 0 {
				continue
			}
			if err := b.Merge(prefix(segmentKind, project, s), sums(&n), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func countFields(c *ledger.Counts) []*int64 {
	return []*int64{&c.Accepted, &c.Scored, &c.Duplicate, &c.Quarantined, &c.Suppressed}
}

// sums encodes numbers as the database keeps them: varints, one after another.
func sums(fields ...*int64) []byte {
	var out []byte
	for _, f := range fields {
		out = binary.AppendVarint(out, *f)
	}
	return out
}

func readSums(value []byte, fields ...*int64) error {
	for _, f := range fields {
		if len(value) == 0 {
			return nil // written before the field existed
		}
		v, n := binary.Varint(value)
		if n <= 0 {
			return fmt.Errorf("local: %x is not a list of sums", value)
		}
		*f, value = v, value[n:]
	}
	return nil
}

// sumMerger adds lists of varints, number by number, so that a delta is written
// without reading what it is added to.
var sumMerger = &pebble.Merger{
	Name: "hito.sums.v1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := new(sumValue)
		return m, m.MergeNewer(value)
	},
}

type sumValue []int64

func (s *sumValue) MergeNewer(value []byte) error {
	for i := 0; len(value) > 0; i++ {
		v, n := binary.Varint(value)
		if n <= 0 {
			return fmt.Errorf("local: %x is not a list of sums", value)
		}
		value = value[n:]
		if i == len(*s) {
			*s = append(*s, 0)
		}
		(*s)[i] += v
	}
	return nil
}

func (s *sumValue) MergeOlder(value []byte) error { return s.MergeNewer(value) }

func (s *sumValue) Finish(bool) ([]byte, io.Closer, error) {
	var out []byte
	for _, v := range *s {
		out = binary.AppendVarint(out, v)
	}
	return out, nil, nil
}
