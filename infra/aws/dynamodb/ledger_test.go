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

func at(sequence int, deltas []ledger.Delta) ledger.Booking {
	return ledger.Booking{Sequence: strconv.Itoa(sequence), Deltas: deltas}
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
	commit("a", at(5, scored(1)), at(5, scored(2)), at(3, scored(4)))
	want(7)
	commit("a", at(5, scored(1)), at(5, scored(2)), at(3, scored(4))) // again
	want(7)
	commit("a", at(10, scored(10)), at(4, scored(100))) // 10 is after 5, though not as a text
	want(17)
	commit("b", at(5, scored(1000)))                    // another log
	commit("a", ledger.Booking{Deltas: scored(10_000)}) // no position
	commit("a", ledger.Booking{Deltas: scored(10_000)}) // always booked
	commit("", at(1, scored(100_000)))                  // a log without a name
	commit("", at(1, scored(100_000)), at(2, scored(1_000_000)), ledger.Booking{Deltas: scored(10_000_000)})
	want(11_121_017)
	// Again, a delivery that was handled before in part.
	whole := []ledger.Delta{{Project: "shop", Minute: 61, Counts: ledger.Counts{Scored: 1}, Again: ledger.Counts{Scored: 2, Duplicate: 1}}}
	commit("c", ledger.Booking{Sequence: "49590338271490256608559692538361571095921575989136588898", Deltas: whole})
	wantTotals(t, l, "shop", ledger.Totals{Counts: ledger.Counts{Scored: 11_121_020, Duplicate: 1}, InFlight: -11_121_021, Segments: map[string]int64{}})
	for _, bad := range []string{"x", "-1", "1e3", "+5", "1_0", strings.Repeat("9", 78)} {
		if err := l.Commit(t.Context(), "a", []ledger.Booking{{Sequence: bad, Deltas: scored(1)}}); err == nil {
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
		bookings = append(bookings, at(i+1, []ledger.Delta{
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
	bookings = append(bookings, at(200, huge), ledger.Booking{Deltas: []ledger.Delta{{Project: "shop", People: 3, Segments: many}}})
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

// TestMoreThanAWriteTakes: of one record, in one hour.
func TestMoreThanAWriteTakes(t *testing.T) {
	l := newLedger(t)
	var deltas []ledger.Delta
	for i := range 60 {
		deltas = append(deltas, ledger.Delta{Project: "shop", Minute: int64(i), Counts: ledger.Counts{Accepted: 5, Scored: 1, Duplicate: 1, Quarantined: 1, Suppressed: 1}})
	}
	for range 2 {
		if err := l.Commit(t.Context(), "log", []ledger.Booking{at(1, deltas), at(2, deltas[:1])}); err != nil {
			t.Fatal(err)
		}
	}
	wantTotals(t, l, "shop", ledger.Totals{
		Counts: ledger.Counts{Accepted: 305, Scored: 61, Duplicate: 61, Quarantined: 61, Suppressed: 61}, InFlight: 61, Segments: map[string]int64{},
	})
}
