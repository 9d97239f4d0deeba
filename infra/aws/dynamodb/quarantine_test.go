package dynamodb

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

func newQuarantine(t testing.TB) (*Quarantine, *Ledger) {
	api, name := client(t)
	return &Quarantine{Client: api, Table: name}, &Ledger{Client: api, Table: name}
}

func entryOf(i int, stage quarantine.Stage) quarantine.Entry {
	return quarantine.Entry{ID: fmt.Sprintf("id%d", i), Project: "shop", Stage: stage, Reason: "r", Detail: "said \xff", Time: int64(i) * 1000, Events: 2, Body: []byte{byte(i), 0, 255}}
}

// listAll pages through a project's quarantine.
func listAll(t *testing.T, q *Quarantine, project string, limit int) (all []quarantine.Entry) {
	t.Helper()
	cursor := ""
	for {
		entries, next, err := q.List(t.Context(), project, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) > limit || next != "" && len(entries) != limit {
			t.Fatalf("a page of %d entries of %d, then %q", len(entries), limit, next)
		}
		all = append(all, entries...)
		if cursor = next; next == "" {
			return all
		}
	}
}

func TestQuarantine(t *testing.T) {
	q, l := newQuarantine(t)
	const n = 100
	var put []quarantine.Entry
	for i := range n {
		stage := quarantine.Enrich
		if i == 3 {
			stage = quarantine.Beacon
		}
		e := entryOf(i, stage)
		other := e
		other.Project = "shop\x00"
		put = append(put, e, other, e)
	}
	rand.Shuffle(len(put), func(i, j int) { put[i], put[j] = put[j], put[i] })
	for _, some := range [][]quarantine.Entry{nil, put[:50], put, put[25:60], put} {
		if err := q.Put(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	wantTotals(t, l, "shop", ledger.Totals{Counts: ledger.Counts{Accepted: 2, Quarantined: 2 * n}, InFlight: 2 - 2*n, Segments: map[string]int64{}})
	if got, err := l.Minutes(t.Context(), "shop", 0, 1); err != nil || fmt.Sprint(got) != "[{0 {2 0 0 120 0} -118} {1 {0 0 0 80 0} -80}]" {
		t.Errorf("minutes %v, %v", got, err)
	}
	for _, limit := range []int{1, 7, n - 1, n, n + 1} {
		all := listAll(t, q, "shop", limit)
		if len(all) != n {
			t.Fatalf("%d at a time: %d entries", limit, len(all))
		}
		for i, e := range all {
			want := entryOf(n-1-i, e.Stage)
			if fmt.Sprint(e) != fmt.Sprint(want) || (e.Stage == quarantine.Beacon) != (n-1-i == 3) {
				t.Fatalf("%d at a time: entry %d is %v, want %v", limit, i, e, want)
			}
		}
	}
	_, cursor, err := q.List(t.Context(), "shop", "", 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ project, cursor string }{{"shop", "!"}, {"shop", "aaaa"}, {"shop", cursor + "A"}, {"shop2", cursor}, {"shop", strings.ToUpper(cursor)}} {
		if _, _, err := q.List(t.Context(), c.project, c.cursor, 5); !errors.Is(err, quarantine.ErrCursor) {
			t.Errorf("cursor %q in %s: %v", c.cursor, c.project, err)
		}
	}
	if all := listAll(t, q, "nobody", 3); len(all) != 0 {
		t.Error("entries of nobody")
	}
}

// TestQuarantineOdd: nothing that comes is lost for what it is.
func TestQuarantineOdd(t *testing.T) {
	q, _ := newQuarantine(t)
	large := make([]byte, 1<<20)
	for i := range large {
		large[i] = byte(rand.Uint32())
	}
	for _, project := range []string{"", "\xff/\x00~", strings.Repeat("long", 2000)} {
		put := []quarantine.Entry{
			{ID: "", Project: project, Time: -5},
			{ID: strings.Repeat("i", 5000), Project: project, Time: 1 << 60, Events: -1, Body: []byte{}},
			{ID: "large", Project: project, Time: 7, Events: 1, Body: large},
			{ID: "soft", Project: project, Time: 7, Events: 1, Body: bytes.Repeat([]byte("compresses "), 100<<10)},
			{ID: "inline", Project: project, Time: 6, Events: 1, Body: large[:290<<10], Detail: strings.Repeat("\xff", 50<<10)},
			{ID: "inline2", Project: project, Time: 6, Events: 1, Body: large[:290<<10]},
		}
		for range 2 {
			if err := q.Put(t.Context(), put); err != nil {
				t.Fatal(err)
			}
		}
		got := listAll(t, q, project, 2)
		want := []quarantine.Entry{put[1], put[2], put[3], put[4], put[5], put[0]}
		want[0].Body = nil
		if !slices.EqualFunc(got, want, func(a, b quarantine.Entry) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("project %.10q: %d entries of %d came back, or in another order", project, len(got), len(want))
		}
	}
}

// TestPagingWhilePut: whoever was there when paging began is in it, once and in
// order, whatever comes meanwhile.
func TestPagingWhilePut(t *testing.T) {
	q, _ := newQuarantine(t)
	var first []quarantine.Entry
	for i := range 200 {
		first = append(first, entryOf(2*i, quarantine.Score))
	}
	if err := q.Put(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < 200; i += 4 {
				if err := q.Put(t.Context(), []quarantine.Entry{entryOf(2*i+1, quarantine.Score), entryOf(2*i, quarantine.Score)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		all := listAll(t, q, "shop", 9)
		seen := make(map[int64]bool)
		for i, e := range all {
			if i > 0 && e.Time >= all[i-1].Time {
				t.Fatalf("%d comes after %d", e.Time, all[i-1].Time)
			}
			seen[e.Time] = true
		}
		for _, e := range first {
			if !seen[e.Time] {
				t.Fatalf("the entry of %d is missing", e.Time)
			}
		}
	}
	wg.Wait()
	if all := listAll(t, q, "shop", 50); len(all) != 400 {
		t.Errorf("%d entries in the end", len(all))
	}
}

func TestQuarantineExpires(t *testing.T) {
	q, _ := newQuarantine(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	q.Now, q.Keep = func() time.Time { return now }, 48*time.Hour
	if err := q.Put(t.Context(), []quarantine.Entry{entryOf(1, quarantine.Enrich)}); err != nil {
		t.Fatal(err)
	}
	pk, _ := key("q", "shop", "id1")
	items, err := q.table().get(t.Context(), []string{pk})
	if err != nil {
		t.Fatal(err)
	}
	if ttl, err := numberOf(items[pk], ttlAttr); err != nil || ttl != now.Add(q.Keep).Unix() {
		t.Errorf("ttl %d, %v", ttl, err)
	}
}
