package local

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

func TestLedger(t *testing.T) {
	dir := t.TempDir()
	db := open(t, Options{Dir: dir})
	l := db.Ledger()
	raw := openStream(t, db, "raw", StreamOptions{BooksAccepted: true})
	publish(t, raw, "a", "b", "c")
	if err := errors.Join(
		l.Record(t.Context(), nil),
		l.Record(t.Context(), []ledger.Delta{
			{Project: "shop", Minute: 1, Counts: ledger.Counts{Scored: 2}, People: 2, Segments: map[string]int64{"new": 2, "gone": 1}},
			{Project: "shop", Minute: 1, Counts: ledger.Counts{Duplicate: 1}, People: -1, Segments: map[string]int64{"gone": -1, "odd\x00/name": 5}},
			{Project: "shop", Minute: -7, Counts: ledger.Counts{Suppressed: 1}},
			{Project: "shop2", Minute: 1, Counts: ledger.Counts{Scored: 9}},
		}),
	); err != nil {
		t.Fatal(err)
	}
	want := ledger.Totals{
		Counts: ledger.Counts{Accepted: 3, Scored: 2, Duplicate: 1, Suppressed: 1}, InFlight: -1, People: 1,
		Segments: map[string]int64{"new": 2, "odd\x00/name": 5},
	}
	for _, when := range []string{"in memory", "from disk"} {
		got, err := l.Totals(t.Context(), "shop")
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: totals %v, want %v, %v", when, got, want, err)
		}
		for _, c := range []struct {
			first, last int64
			want        string
		}{
			{-100, 100, "[{-7 {0 0 0 0 1} -1} {1 {3 2 1 0 0} 0}]"},
			{-6, 1, "[{1 {3 2 1 0 0} 0}]"},
			{2, 1 << 62, "[]"},
			{-1 << 63, 1<<63 - 1, "[{-7 {0 0 0 0 1} -1} {1 {3 2 1 0 0} 0}]"},
		} {
			if got, err := l.Minutes(t.Context(), "shop", c.first, c.last); err != nil || fmt.Sprint(got) != c.want {
				t.Errorf("%s: minutes %d to %d: %v, want %s, %v", when, c.first, c.last, got, c.want, err)
			}
		}
		l.forget(time.Now().Add(2 * minuteMemory))
		if when == "in memory" {
			shut(t, db)
			db = open(t, Options{Dir: dir})
			l = db.Ledger()
		}
	}
	if got, err := l.Totals(t.Context(), "nobody"); err != nil || got.Accepted != 0 {
		t.Errorf("totals of an unknown project: %v, %v", got, err)
	}
}

func TestQuarantine(t *testing.T) {
	dir := t.TempDir()
	db := open(t, Options{Dir: dir})
	q := db.Quarantine()
	entry := func(i int, stage quarantine.Stage) quarantine.Entry {
		return quarantine.Entry{ID: fmt.Sprintf("id%d", i), Project: "shop", Stage: stage, Reason: "r", Time: int64(i) * 1000, Events: 2, Body: []byte{byte(i), 0, 255}}
	}
	for i := range 10 {
		e := entry(i, quarantine.Enrich)
		if i == 3 {
			e.Stage = quarantine.Beacon
		}
		other := e
		other.Project = "shop\x00"
		if err := q.Put(t.Context(), []quarantine.Entry{e, other, e}); err != nil {
			t.Fatal(err)
		}
		if err := q.Put(t.Context(), []quarantine.Entry{e}); err != nil { // again
			t.Fatal(err)
		}
	}
	shut(t, db)
	db = open(t, Options{Dir: dir})
	q = db.Quarantine()
	if err := q.Put(t.Context(), []quarantine.Entry{entry(4, quarantine.Enrich)}); err != nil { // again, from the disk
		t.Fatal(err)
	}
	var ids []string
	for cursor, pages := "", 0; ; pages++ {
		es, next, err := q.List(t.Context(), "shop", cursor, 4)
		if err != nil || pages > 3 {
			t.Fatalf("page %d: %v", pages, err)
		}
		for _, e := range es {
			ids = append(ids, e.ID)
			if len(e.Body) != 3 || e.Project != "shop" {
				t.Errorf("entry %+v", e)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if want := "id9 id8 id7 id6 id5 id4 id3 id2 id1 id0"; strings.Join(ids, " ") != want {
		t.Errorf("listed %v, want %s", ids, want)
	}
	if _, _, err := q.List(t.Context(), "shop", "nonsense!", 1); !errors.Is(err, quarantine.ErrCursor) {
		t.Errorf("a wrong cursor: %v", err)
	}
	if totals, err := db.Ledger().Totals(t.Context(), "shop"); err != nil || totals.Quarantined != 20 || totals.Accepted != 2 {
		t.Errorf("totals %+v, %v; want 20 quarantined, 2 of them accepted by the beacon", totals, err)
	}
}
