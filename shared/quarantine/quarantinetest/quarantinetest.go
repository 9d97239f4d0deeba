// Package quarantinetest is the conformance suite of a quarantine that books in
// the ledger what it takes in: what it must do, whatever keeps the entries.
package quarantinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// Quarantine is what is tested.
type Quarantine interface {
	quarantine.Sink
	quarantine.Reader
}

// Harness makes a new, empty quarantine for a test, and the ledger that it books
// in, and sees to their end.
type Harness func(t *testing.T) (Quarantine, ledger.Reader)

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Quarantine, ledger.Reader)
	}{
		{"KeptOnceNewestFirst", keptOnceNewestFirst},
		{"LargeBodies", largeBodies},
		{"OddCursors", oddCursors},
		{"CancelledContext", cancelledContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, l := h(t)
			c.test(t, q, l)
		})
	}
}

// entry returns an entry, older the higher i.
func entry(i int, body []byte) quarantine.Entry {
	e := quarantine.Entry{
		Project: "shop", Stage: []quarantine.Stage{quarantine.Beacon, quarantine.Score}[i%2], Reason: "missing_id", Detail: "日本",
		Time: 1_700_000_000_000 - int64(i)*30_000, Events: 1 + i%2, Body: body,
	}
	e.ID = quarantine.NewID(e, fmt.Sprint(i))
	return e
}

// list returns what pages of limit list, all of which must be.
func list(t *testing.T, q Quarantine, limit int, want []quarantine.Entry) {
	t.Helper()
	var got []quarantine.Entry
	for cursor, pages := "", 0; ; pages++ {
		page, next, err := q.List(t.Context(), "shop", cursor, limit)
		if err != nil || len(page) > limit || pages > len(want) {
			t.Fatalf("page %d has %d entries, %v", pages, len(page), err)
		}
		got = append(got, page...)
		if cursor = next; next == "" {
			break
		}
	}
	for i := range got {
		if len(got[i].Body) == 0 && i < len(want) {
			got[i].Body = want[i].Body // empty and nil are one
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("by %d: %d entries of %d, or other ones", limit, len(got), len(want))
	}
}

// keptOnceNewestFirst: entries are kept and booked once, whatever comes again,
// from several at a time.
func keptOnceNewestFirst(t *testing.T, q Quarantine, l ledger.Reader) {
	var all []quarantine.Entry
	for i := range 40 {
		all = append(all, entry(i, bytes.Repeat([]byte{byte(i), 0}, i)))
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := q.Put(t.Context(), all); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	later := all[3] // the same, found once more
	later.Time += 3_600_000
	later.Reason = "another"
	other := all[0]
	other.Project = "shop/2"
	if err := q.Put(t.Context(), []quarantine.Entry{later, other}); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 7, 40, 1000} {
		list(t, q, limit, all)
	}
	totals, err := l.Totals(t.Context(), "shop")
	if want := (ledger.Counts{Accepted: 20, Quarantined: 60}); err != nil || totals.Counts != want {
		t.Errorf("booked %+v, %v, want %+v", totals.Counts, err, want)
	}
	totals, err = l.Totals(t.Context(), "shop/2")
	if want := (ledger.Counts{Accepted: 1, Quarantined: 1}); err != nil || totals.Counts != want {
		t.Errorf("booked of the other %+v, %v, want %+v", totals.Counts, err, want)
	}
}

// largeBodies: as large as what Pub/Sub and Kinesis deliver.
func largeBodies(t *testing.T, q Quarantine, _ ledger.Reader) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []quarantine.Entry
	for i, size := range []int{0, 200 << 10, 1 << 20, 10_000_000} {
		body := make([]byte, size)
		for j := range body {
			body[j] = byte(random.Uint32())
		}
		all = append(all, entry(i, body))
	}
	for range 2 {
		if err := q.Put(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	list(t, q, 3, all)
}

func oddCursors(t *testing.T, q Quarantine, _ ledger.Reader) {
	if err := q.Put(t.Context(), []quarantine.Entry{entry(1, nil)}); err != nil {
		t.Fatal(err)
	}
	for _, cursor := range []string{"x", "!", "AAAA", "L-"} {
		if _, _, err := q.List(t.Context(), "shop", cursor, 10); !errors.Is(err, quarantine.ErrCursor) {
			t.Errorf("the cursor %q gives %v", cursor, err)
		}
	}
	if page, next, err := q.List(t.Context(), "nobody", "", 10); err != nil || len(page) != 0 || next != "" {
		t.Errorf("of nobody: %v, %q, %v", page, next, err)
	}
}

func cancelledContext(t *testing.T, q Quarantine, _ ledger.Reader) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Put(ctx, []quarantine.Entry{entry(1, nil)}); err == nil {
		t.Error("put though ended")
	}
	if _, _, err := q.List(ctx, "shop", "", 10); err == nil {
		t.Error("listed though ended")
	}
}
