package bigtable

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"google.golang.org/grpc"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// TestQuarantine: entries are kept and booked once, whatever comes again and
// fails, and are listed newest first.
func TestQuarantine(t *testing.T) {
	f := &faults{rng: rand.New(rand.NewPCG(5, 6)), before: 0.1, after: 0.1}
	tbl := table(t, emulators.Bigtable(t), grpc.WithUnaryInterceptor(f.unary))
	q := &Quarantine{Table: tbl}
	var all []quarantine.Entry
	for i := range 40 {
		e := quarantine.Entry{
			Project: "shop", Stage: []quarantine.Stage{quarantine.Beacon, quarantine.Score}[i%2], Reason: "missing_id", Detail: "日本",
			Time: 1_700_000_000_000 - int64(i)*30_000, Events: 1 + i%2, Body: bytes.Repeat([]byte{byte(i), 0}, i),
		}
		e.ID = quarantine.NewID(e, fmt.Sprint(i))
		all = append(all, e)
	}
	for range 3 {
		if err := q.Put(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	later := all[3] // the same, found once more
	later.Time += 3_600_000
	later.Reason = "another"
	other := all[0]
	other.Project = "shop/2"
	if err := q.Put(t.Context(), []quarantine.Entry{later, other}); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 7, 40, 1000} {
		var got []quarantine.Entry
		for cursor, pages := "", 0; ; pages++ {
			page, next, err := q.List(t.Context(), "shop", cursor, limit)
			if err != nil || len(page) > limit || pages > len(all) {
				t.Fatalf("page %d has %d entries, %v", pages, len(page), err)
			}
			got = append(got, page...)
			if cursor = next; next == "" {
				break
			}
		}
		for i := range got {
			if len(got[i].Body) == 0 {
				got[i].Body = all[i].Body // empty and nil are one
			}
		}
		if !reflect.DeepEqual(got, all) {
			t.Errorf("by %d: %d entries of %d, or other ones", limit, len(got), len(all))
		}
	}
	totals, err := (&Ledger{Table: tbl}).Totals(t.Context(), "shop")
	if want := (ledger.Counts{Accepted: 20, Quarantined: 60}); err != nil || totals.Counts != want {
		t.Errorf("booked %+v, %v, want %+v", totals.Counts, err, want)
	}
	for _, cursor := range []string{"x", "!", "AAAA"} {
		if _, _, err := q.List(t.Context(), "shop", cursor, 10); !errors.Is(err, quarantine.ErrCursor) {
			t.Errorf("the cursor %q gives %v", cursor, err)
		}
	}
	if page, next, err := q.List(t.Context(), "nobody", "", 10); err != nil || len(page) != 0 || next != "" {
		t.Errorf("of nobody: %v, %q, %v", page, next, err)
	}
}
