package dynamodb

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
)

func newLedger(t testing.TB) *Ledger {
	api, name := client(t)
	return &Ledger{Client: api, Table: name}
}

func wantTotals(t *testing.T, l *Ledger, project string, want ledger.Totals) {
	t.Helper()
	if got, err := l.Totals(t.Context(), project); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("totals %v, want %v, %v", got, want, err)
	}
}

func scored(n int64) []ledger.Delta {
	return []ledger.Delta{{Project: "shop", Minute: 61, Counts: ledger.Counts{Scored: n}}}
}

func at(partition string, sequence int, deltas []ledger.Delta) ledger.Booking {
	return ledger.Booking{Partition: partition, Sequence: strconv.Itoa(sequence), Deltas: deltas}
}

func TestRecord(t *testing.T) {
	l := newLedger(t)
	if err := errors.Join(
		l.Record(t.Context(), nil),
		l.Record(t.Context(), []ledger.Delta{
			{Project: "shop", Minute: 1, Counts: ledger.Counts{Scored: 2}, People: 2, Segments: map[string]int64{"new": 2, "gone": 1}},
			{Project: "shop", Minute: 1, Counts: ledger.Counts{Duplicate: 1}, People: -1, Segments: map[string]int64{"gone": -1, "odd\x00/name\xff": 5}},
			{Project: "shop", Minute: -7, Counts: ledger.Counts{Suppressed: 1}},
			{Project: "shop2", Minute: 1, Counts: ledger.Counts{Scored: 9}},
			{Project: "shop/1", Minute: 1, Counts: ledger.Counts{Scored: 9}},
			{Project: "", Minute: 1, Counts: ledger.Counts{Scored: 4}},
		}),
		l.Record(t.Context(), []ledger.Delta{{Project: "shop", Minute: 59, Counts: ledger.Counts{Accepted: 3}, Segments: map[string]int64{"below": -2}}}),
	); err != nil {
		t.Fatal(err)
	}
	wantTotals(t, l, "shop", ledger.Totals{
		Counts: ledger.Counts{Accepted: 3, Scored: 2, Duplicate: 1, Suppressed: 1}, InFlight: -1, People: 1,
		Segments: map[string]int64{"new": 2, "odd\x00/name\xff": 5, "below": -2},
	})
	wantTotals(t, l, "", ledger.Totals{Counts: ledger.Counts{Scored: 4}, InFlight: -4, Segments: map[string]int64{}})
	wantTotals(t, l, "nobody", ledger.Totals{Segments: map[string]int64{}})
	for _, c := range []struct {
		first, last int64
		want        string
	}{
		{-100, 100, "[{-7 {0 0 0 0 1} -1} {1 {0 2 1 0 0} -3} {59 {3 0 0 0 0} 3}]"},
		{-6, 58, "[{1 {0 2 1 0 0} -3}]"},
		{2, 58, "[]"},
		{2, 1, "[]"},
		{-1 << 63, 1<<63 - 1, "[]"}, // the last 8 days
	} {
		if got, err := l.Minutes(t.Context(), "shop", c.first, c.last); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("minutes %d to %d: %v, want %s, %v", c.first, c.last, got, c.want, err)
		}
	}
	now := time.Now().Unix() / 60
	if err := l.Record(t.Context(), []ledger.Delta{{Project: "shop", Minute: now, Counts: ledger.Counts{Accepted: 1}}}); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Minutes(t.Context(), "shop", -1<<63, 1<<63-1); err != nil || len(got) != 1 || got[0].Minute != now {
		t.Errorf("the last 8 days: %v, %v", got, err)
	}
}

func TestCommit(t *testing.T) {
	l := newLedger(t)
	commit := func(log string, bookings ...ledger.Booking) {
		t.Helper()
		if err := l.Commit(t.Context(), log, bookings); err != nil {
			t.Fatal(err)
		}
	}
	want := func(n int64) {
		t.Helper()
		wantTotals(t, l, "shop", ledger.Totals{Counts: ledger.Counts{Scored: n}, InFlight: -n, Segments: map[string]int64{}})
	}
	commit("a")
	commit("a", at("000", 5, scored(1)), at("000", 5, scored(2)), at("001", 3, scored(4)))
	want(7)
	commit("a", at("000", 5, scored(1)), at("000", 5, scored(2)), at("001", 3, scored(4))) // again
	want(7)
	commit("a", at("000", 10, scored(10)), at("001", 2, scored(100))) // 10 is after 5, though not as a text
	want(17)
	commit("b", at("000", 5, scored(1000)))             // another log
	commit("a", ledger.Booking{Deltas: scored(10_000)}) // no position
	commit("a", ledger.Booking{Deltas: scored(10_000)}) // always booked
	commit("", at("else", 1, scored(100_000)))          // a partition that is not hito's
	commit("", at("else", 1, scored(100_000)), at("more", 1, scored(1_000_000)), ledger.Booking{Deltas: scored(10_000_000)})
	want(11_121_017)
	// Again, a delivery that was handled before in part.
	whole := []ledger.Delta{{Project: "shop", Minute: 61, Counts: ledger.Counts{Scored: 1}, Again: ledger.Counts{Scored: 2, Duplicate: 1}}}
	commit("c", ledger.Booking{Partition: "003", Sequence: "49590338271490256608559692538361571095921575989136588898", Deltas: whole})
	wantTotals(t, l, "shop", ledger.Totals{Counts: ledger.Counts{Scored: 11_121_020, Duplicate: 1}, InFlight: -11_121_021, Segments: map[string]int64{}})
	for _, bad := range []string{"", "x", "-1", "1e3", "+5"} {
		if err := l.Commit(t.Context(), "a", []ledger.Booking{{Partition: "000", Sequence: bad, Deltas: scored(1)}}); err == nil {
			t.Errorf("sequence %q is booked", bad)
		}
	}
	for range 2 {
		if err := l.CommitOnce(t.Context(), "once", whole); err != nil {
			t.Fatal(err)
		}
	}
	wantTotals(t, l, "shop", ledger.Totals{Counts: ledger.Counts{Scored: 11_121_023, Duplicate: 2}, InFlight: -11_121_025, Segments: map[string]int64{}})
}

// TestCommitMuch: more than a transaction holds, of many records and of one.
func TestCommitMuch(t *testing.T) {
	l := newLedger(t)
	var bookings []ledger.Booking
	for i := range 150 {
		bookings = append(bookings, at(fmt.Sprintf("%03d", i%7), i+1, []ledger.Delta{
			{Project: fmt.Sprintf("p%d", i), Minute: int64(i), Counts: ledger.Counts{Scored: 1}, Segments: map[string]int64{"s": 1}},
			{Project: "shop", Minute: int64(60 * i), Counts: ledger.Counts{Accepted: 1}},
		}))
	}
	var huge []ledger.Delta
	many := make(map[string]int64)
	for i := range 700 {
		many[fmt.Sprintf("segment %d", i)] = int64(i - 350)
	}
	for i := range 230 {
		huge = append(huge, ledger.Delta{Project: "shop", Minute: int64(-60 * i), Counts: ledger.Counts{Duplicate: 1}})
	}
	bookings = append(bookings, at("200", 1, huge), ledger.Booking{Deltas: []ledger.Delta{{Project: "shop", People: 3, Segments: many}}})
	for range 2 {
		if err := l.Commit(t.Context(), "log", bookings); err != nil {
			t.Fatal(err)
		}
		bookings = bookings[:len(bookings)-1] // all but what has no position
	}
	delete(many, "segment 350") // 0
	wantTotals(t, l, "shop", ledger.Totals{Counts: ledger.Counts{Accepted: 150, Duplicate: 230}, InFlight: -80, People: 3, Segments: maps.Clone(many)})
	for i := range 150 {
		wantTotals(t, l, fmt.Sprintf("p%d", i), ledger.Totals{Counts: ledger.Counts{Scored: 1}, InFlight: -1, Segments: map[string]int64{"s": 1}})
	}
}

func TestPositions(t *testing.T) {
	p := make(positions)
	seq := func(s string) []byte {
		b, err := sequence(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for i := range 256 {
		p.advance(partitionNumber(fmt.Sprintf("%03d", i)), seq(strconv.Itoa(i*1000)))
	}
	p.advance(0, seq("7"))
	p.advance(0, seq("3"))
	for i := range 100 {
		p.advance(partitionNumber(fmt.Sprintf("foreign %d", i)), seq(strconv.Itoa(i)))
	}
	got, err := decodePositions(p.encode())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 256+maxForeign || !got.booked(255, seq("255000")) || got.booked(255, seq("255001")) || !got.booked(0, seq("7")) || got.booked(0, seq("8")) {
		t.Errorf("%d positions, %v", len(got), got[0])
	}
	if !got.booked(partitionNumber("foreign 99"), seq("99")) || got.booked(partitionNumber("foreign 1"), seq("1")) {
		t.Error("not the foreign partitions booked last are kept")
	}
	for _, name := range []string{"256", "0a0", "00", "0000", "+01", "-01"} {
		if partitionNumber(name) < 256 {
			t.Errorf("%q is taken for partition %d", name, partitionNumber(name))
		}
	}
	if _, err := sequence(strings.Repeat("9", 700)); err == nil {
		t.Error("a sequence of 700 digits has no room")
	}
	if a, b := seq("9"), seq("10"); compareSequences(a, b) >= 0 || compareSequences(seq("256"), seq("255")) <= 0 {
		t.Error("sequences compare wrongly")
	}
}
