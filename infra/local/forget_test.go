package local

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/quarantine"
)

// TestQuarantineIsBounded: anybody with a public write key can put things in
// quarantine; once that filled the disk.
func TestQuarantineIsBounded(t *testing.T) {
	var clock atomic.Int64
	clock.Store(1_700_000_000_000)
	now := func() time.Time { return time.UnixMilli(clock.Load()) }
	put := func(t *testing.T, db *DB, project string, i int) {
		t.Helper()
		clock.Add(1000)
		// The event's own time must not matter: here it goes backwards.
		e := quarantine.Entry{ID: fmt.Sprint(i), Project: project, Stage: quarantine.Enrich, Reason: "r", Time: int64(-i) * 1000, Events: 1, Body: bytes.Repeat([]byte("x"), 3000)}
		if err := db.Quarantine().Put(t.Context(), []quarantine.Entry{e, e}); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(t *testing.T, db *DB, project string) (ids []string) {
		t.Helper()
		entries, _, err := db.Quarantine().List(t.Context(), project, "", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			ids = append(ids, e.ID)
		}
		slices.Sort(ids)
		return ids
	}
	keys := func(t *testing.T, db *DB, kind byte) (n int) {
		t.Helper()
		it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
		if err != nil {
			t.Fatal(err)
		}
		for it.First(); it.Valid(); it.Next() {
			n++
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	drop := func(t *testing.T, db *DB) {
		t.Helper()
		if err := db.Quarantine().drop(now()); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("Age", func(t *testing.T) {
		db := open(t, Options{Now: now, QuarantineFor: time.Hour})
		put(t, db, "shop", 1)
		put(t, db, "shop\x00two", 2)
		clock.Add(30 * 60_000)
		put(t, db, "shop", 3)
		drop(t, db)
		if got := ids(t, db, "shop"); len(got) != 2 {
			t.Errorf("%v left before their time", got)
		}
		shut(t, db)
		clock.Add(30 * 60_000)
		db = open(t, Options{Dir: db.options.Dir, Now: now, QuarantineFor: time.Hour})
		drop(t, db)
		if got := slices.Concat(ids(t, db, "shop"), ids(t, db, "shop\x00two")); !slices.Equal(got, []string{"3"}) {
			t.Errorf("kept %v, want the one of half an hour ago", got)
		}
		if n, m := keys(t, db, entryIDKind), keys(t, db, arrivalKind); n != 1 || m != 1 {
			t.Errorf("%d ids and %d arrivals are kept of 1 entry", n, m)
		}
		clock.Add(60 * 60_000)
		drop(t, db)
		if k := db.Quarantine().kept; k != (kept{}) || len(ids(t, db, "shop")) != 0 {
			t.Errorf("all are too old, yet %+v is kept", k)
		}
		totals, err := db.Ledger().Totals(t.Context(), "shop")
		if err != nil || totals.Quarantined != 2 {
			t.Errorf("ledger: %+v, %v; want 2 quarantined", totals, err)
		}
	})
	t.Run("Size", func(t *testing.T) {
		o := Options{Dir: t.TempDir(), Now: now, QuarantineBytes: 50_000}
		db := open(t, o)
		for i := range 100 {
			put(t, db, fmt.Sprint("shop", i%3), 1000+i)
			drop(t, db)
			if b := db.Quarantine().kept.bytes; b > o.QuarantineBytes {
				t.Fatalf("%d bytes are kept, may be %d", b, o.QuarantineBytes)
			}
		}
		before := db.Quarantine().kept
		var all []string
		for i := range 3 {
			all = append(all, ids(t, db, fmt.Sprint("shop", i))...)
		}
		slices.Sort(all)
		if len(all) < 5 || len(all) > 20 || all[0] != fmt.Sprint(1100-len(all)) || all[len(all)-1] != "1099" {
			t.Errorf("kept %v, want the latest that fit", all)
		}
		if n := keys(t, db, entryIDKind); n != len(all) {
			t.Errorf("%d ids are kept of %d entries", n, len(all))
		}
		shut(t, db)
		db = open(t, o)
		if after := db.Quarantine().kept; after != before {
			t.Errorf("opened again, %+v are kept, were %+v", after, before)
		}
	})
	t.Run("Loop", func(t *testing.T) { // what is put goes by itself
		db := open(t, Options{QuarantineBytes: 1, Now: now})
		for i := range dropAtOnce/500 + 3 {
			put(t, db, "shop", i)
		}
		eventually(t, "quarantine is emptied", func() bool {
			es, _, err := db.Quarantine().List(context.Background(), "shop", "", 10)
			return err == nil && len(es) == 0
		})
	})
}
