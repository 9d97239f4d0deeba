package lambda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// What a handler does with a record.
const (
	succeed = iota
	transient
	permanent
	panics
)

// TestReportedPosition: whatever becomes of the records, what is reported is the
// first Kinesis record with one that failed, and what is before it is booked, each
// record once, and nothing else.
func TestReportedPosition(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 4), 1, 12).Draw(rt, "sizes")
		records := packs(t, sizes...)
		outcome := map[string]int{}
		lowest := len(sizes)
		for n, size := range sizes {
			for i := range size {
				o := rapid.SampledFrom([]int{succeed, succeed, succeed, succeed, transient, permanent, panics}).Draw(rt, "outcome")
				outcome[fmt.Sprintf("%d.%d", n, i)] = o
				if o == transient || o == panics {
					lowest = min(lowest, n)
				}
			}
		}
		u := newStream(func(ctx context.Context, rs []stream.Record) error {
			var f stream.Failures
			var deltas []ledger.Delta
			for i, n := range names(rs) {
				deltas = append(deltas, ledger.Delta{Source: rs[i].ID, Counts: ledger.Counts{Accepted: 1, Scored: 1}})
				switch outcome[n] {
				case transient:
					f = append(f, stream.Failure{Index: i, Err: errors.New("not yet")})
				case permanent:
					f = append(f, stream.Failure{Index: i, Err: stream.Permanent(errors.New("unfit"))})
				}
			}
			if err := (ledger.Book{}).Record(ctx, deltas); err != nil {
				return err
			}
			for _, n := range names(rs) { // after it is recorded: what panics is forgotten
				if outcome[n] == panics {
					panic(n)
				}
			}
			return f.OrNil()
		})
		u.MaxRecords = rapid.IntRange(1, 20).Draw(rt, "maxRecords")
		ids := u.invoke(t, kinesisEvent(t, shardID, records))
		want := []string{}
		if lowest < len(sizes) {
			want = append(want, sequence(lowest))
		}
		if !slices.Equal(ids, want) {
			rt.Fatalf("reported %q, want %q", ids, want)
		}
		booked := 0
		for n, size := range sizes[:lowest] {
			for i := range size {
				booked++
				c := ledger.Counts{Accepted: 1, Scored: 1}
				if outcome[fmt.Sprintf("%d.%d", n, i)] == permanent {
					c.Scored = 0
				}
				if got := u.books.counts[fmt.Sprintf("%s:%s.%d", shardID, sequence(n), i)]; got != c {
					rt.Fatalf("record %d.%d is booked as %+v, want %+v", n, i, got, c)
				}
			}
		}
		if len(u.books.counts) != booked {
			rt.Fatalf("%d records are booked, want %d: %v", len(u.books.counts), booked, u.books.counts)
		}
	})
}

// TestEveryRecordIsSettledOnce runs shards to their end through a mapping whose
// ledger and quarantine fail, whose answers are lost, and whose handler fails
// before and after its effect: every record ends scored or in quarantine, and
// is booked once.
func TestEveryRecordIsSettledOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 3), 1, 25).Draw(rt, "sizes")
		faults := rapid.SliceOfN(rapid.IntRange(0, 9), 64, 64).Draw(rt, "faults")
		var mu sync.Mutex
		fault := func(n int) bool { // until they are used up
			mu.Lock()
			defer mu.Unlock()
			if len(faults) == 0 {
				return false
			}
			f := faults[0]
			faults = faults[1:]
			return f == n
		}
		outcome := map[string]int{}
		b := newBooks()
		// CommitOnce does not fail, and no answer about a discarded batch is lost: with
		// two such faults at once a record may be booked as both, scored and quarantined.
		b.failCommit = func() error {
			if fault(1) {
				return errors.New("ledger away")
			}
			return nil
		}
		m := newMapping(t, 1)
		m.shelf.fail = func() error {
			if fault(2) {
				return errors.New("quarantine away")
			}
			return nil
		}
		m.lose = func() bool { return fault(3) }
		m.stream.Ledger = b
		m.stream.MaxRecords = rapid.IntRange(1, 20).Draw(rt, "maxRecords")
		m.batch = rapid.IntRange(1, 30).Draw(rt, "batch")
		m.bisect = rapid.Bool().Draw(rt, "bisect")
		scored := map[string]int64{} // what the store knows
		m.stream.Handler = func(ctx context.Context, rs []stream.Record) error {
			if fault(4) {
				return errors.New("store away")
			}
			var f stream.Failures
			for i, n := range names(rs) {
				switch outcome[n] {
				case transient:
					f = append(f, stream.Failure{Index: i, Err: errors.New("never")})
					continue
				case permanent:
					f = append(f, stream.Failure{Index: i, Err: stream.Permanent(errors.New("unfit"))})
					continue
				case panics:
					panic(n)
				}
				d := ledger.Delta{Source: rs[i].ID, Counts: ledger.Counts{Scored: 1}}
				if scored[n] > 0 {
					d.Counts, d.Again = ledger.Counts{}, ledger.Counts{Scored: 1}
				}
				scored[n]++
				deltas := []ledger.Delta{d}
				if scored[n] == 1 {
					deltas = append(deltas, ledger.Delta{People: 1})
				}
				if err := (ledger.Book{}).Record(ctx, deltas); err != nil {
					return err
				}
			}
			if fault(5) {
				return errors.New("the actions' stream is away")
			}
			if fault(6) {
				panic("now and then")
			}
			return f.OrNil()
		}
		total := 0
		for n, size := range sizes {
			total += size
			for i := range size {
				outcome[fmt.Sprintf("%d.%d", n, i)] = rapid.SampledFrom([]int{succeed, succeed, succeed, succeed, succeed, succeed, transient, permanent, panics}).Draw(rt, "outcome")
			}
		}
		for _, r := range packs(t, sizes...) {
			m.put(0, r.PartitionKey, r.Data)
		}
		for rest := range slices.Chunk(m.shards[0].records, m.batch) {
			m.deliver(t.Context(), m.shards[0].id, rest)
		}
		if len(m.dead) > 0 {
			rt.Fatalf("given up: %v", m.dead)
		}
		inQuarantine := map[string]quarantine.Entry{}
		for _, e := range m.shelf.all() {
			inQuarantine[string(e.Body)] = e
		}
		for n, size := range sizes {
			for i := range size {
				name := fmt.Sprintf("%d.%d", n, i)
				got := b.counts[fmt.Sprintf("%s:%s.%d", m.shards[0].id, sequence(n), i)]
				_, kept := inQuarantine[name]
				if outcome[name] != succeed && !kept {
					rt.Fatalf("%s is not in quarantine", name)
				}
				if outcome[name] == succeed && scored[name] == 0 && !kept {
					rt.Fatalf("%s is lost", name)
				}
				// What goes to quarantine though it would have succeeded later is one
				// outcome too: the quarantine books it.
				if want := int64(1); got.Scored != want && !kept || kept && got.Scored != 0 {
					rt.Fatalf("%s is booked as scored %d times, in quarantine: %v", name, got.Scored, kept)
				}
			}
		}
		if len(inQuarantine) > total {
			rt.Fatalf("%d records in quarantine of %d", len(inQuarantine), total)
		}
	})
}

// FuzzSequenceOrder: sequence numbers are ordered as the numbers they are.
func FuzzSequenceOrder(f *testing.F) {
	f.Add(uint64(9), uint64(10), 3)
	f.Fuzz(func(t *testing.T, a, b uint64, zeros int) {
		x := fmt.Appendf(nil, "%0*d", max(1, zeros%30), a)
		y := fmt.Appendf(nil, "%d", b)
		if got := compare(x, y); got < 0 != (a < b) || got > 0 != (a > b) {
			t.Errorf("compare(%s, %s) is %d", x, y, got)
		}
	})
}

func TestItemsAreSorted(t *testing.T) {
	records := packs(t, 1, 1, 1, 1, 1, 1, 1)
	slices.Reverse(records)
	var got []string
	u := newStream(func(_ context.Context, rs []stream.Record) error {
		got = append(got, names(rs)...)
		return stream.Failures{{Index: slices.Index(names(rs), "5.0"), Err: errors.New("not yet")}, {Index: slices.Index(names(rs), "6.0"), Err: errors.New("not yet")}}
	})
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); !slices.Equal(ids, []string{sequence(5)}) {
		t.Errorf("reported %q", ids)
	}
	if !slices.Equal(got, []string{"0.0", "1.0", "2.0", "3.0", "4.0", "5.0", "6.0"}) {
		t.Errorf("handled %q", got)
	}
}
