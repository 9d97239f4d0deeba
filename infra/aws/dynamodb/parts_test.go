package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/hitolayer/hito/shared/profile"
)

// noise is a state of about so many bytes that nothing compresses.
func noise(size int, seed uint64) *profile.State {
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	value := make([]byte, size)
	random.Read(value)
	return &profile.State{Events: int64(seed), Traits: []*profile.Trait{{Key: "noise", Value: value}}}
}

// everything returns the table's items, by key.
func everything(t *testing.T, s *Store) map[string]item {
	t.Helper()
	all := make(map[string]item)
	p := dynamodb.NewScanPaginator((&wire{}).client(t), &dynamodb.ScanInput{TableName: &s.Table, ConsistentRead: new(true)})
	for p.HasMorePages() {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Items {
			all[textOf(it, pkAttr)] = it
		}
	}
	return all
}

// wantTidy asserts that the table holds one fragment with so many parts, none
// of which goes before it.
func wantTidy(t *testing.T, s *Store, parts int) {
	t.Helper()
	all := everything(t, s)
	if len(all) != 1+parts {
		t.Errorf("%d items, want a head and %d parts", len(all), parts)
	}
	for k, it := range all {
		if strings.Contains(k, "~") && (it[looseAttr] != nil || it[ttlAttr] != nil) {
			t.Errorf("%s would go by itself", k)
		}
	}
}

func wantState(t *testing.T, s *Store, version uint64, want *profile.State) {
	t.Helper()
	got := one(t, s, shopU1)
	if got.Version != version || got.State.Events != want.Events || len(got.State.Traits) != len(want.Traits) ||
		len(want.Traits) > 0 && !bytes.Equal(got.State.Traits[0].Value, want.Traits[0].Value) {
		t.Fatalf("version %d of %d events and %d bytes, want %d of %d and %d", got.Version, got.State.Events, got.State.SizeVT(), version, want.Events, want.SizeVT())
	}
}

// TestSizes: a fragment grows beyond one item, beyond what one transaction or
// one answer holds, and shrinks again; nothing stays behind.
func TestSizes(t *testing.T) {
	api, name := client(t)
	s := &Store{Client: api, Table: name}
	f := one(t, s, shopU1)
	for i, c := range []struct{ size, parts int }{
		{100, 0}, {379 << 10, 0}, {390 << 10, 2}, {3 << 20, 9}, {20 << 20, 54}, {3 << 20, 9}, {3 << 20, 9}, {10, 0}, {500 << 10, 2}, {2000, 0}, {2000, 0},
	} {
		f.State = noise(c.size, uint64(i))
		saveOne(t, s, f)
		wantState(t, s, uint64(i+1), f.State)
		wantTidy(t, s, c.parts)
	}
}

// TestPartsOnBadWire: as TestSizes, with lost requests and answers; whatever
// the moment, what can be read is the last that was saved.
func TestPartsOnBadWire(t *testing.T) {
	s := &Store{Client: faulty(t, everyFault), Table: empty(t), Retry: quick}
	f := one(t, s, shopU1)
	for i := range 30 {
		f.State = noise([]int{500, 400 << 10, 1 << 20}[i%3], uint64(i))
		saveOne(t, s, f)
		wantState(t, s, uint64(i+1), f.State)
		wantTidy(t, s, []int{0, 2, 3}[i%3])
	}
}

// TestCrashInSave: a writer that dies at any of its requests leaves the old
// state or the new; the next save tidies up what can be known of, and the rest
// has a time to live.
func TestCrashInSave(t *testing.T) {
	crash := errors.New("crash")
	for _, sizes := range [][2]int{{500, 400 << 10}, {400 << 10, 400 << 10}, {400 << 10, 500}} {
		for at := range 13 {
			w := &wire{}
			s := &Store{Client: w.client(t), Table: empty(t), Retry: quick, Workers: 1}
			f := one(t, s, shopU1)
			before, after := noise(sizes[0], 1), noise(sizes[1], 2)
			f.State = before
			saveOne(t, s, f)
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			w.after = func(operation string, _ []byte) error {
				if n++; n > at {
					cancel()
					return crash
				}
				return nil
			}
			f.State = after
			err := s.Save(ctx, []*profile.Fragment{f})
			cancel()
			w.after = nil
			survivor := &Store{Client: s.Client, Table: s.Table}
			got := one(t, survivor, shopU1)
			want := map[uint64]*profile.State{1: before, 2: after}[got.Version]
			if want == nil || err == nil && got.Version != 2 {
				t.Fatalf("version %d after %d requests: %v", got.Version, at, err)
			}
			wantState(t, survivor, got.Version, want)
			head, _ := fragmentKey(shopU1)
			all := everything(t, survivor)
			held, err := readParts(bytesOf(all[head], partsAttr))
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range held.keys(head) {
				if all[k][looseAttr] != nil || all[k][ttlAttr] != nil {
					t.Errorf("crash after %d requests: %s is loose though it was read", at, k)
				}
			}
			got.State = noise(390<<10, 3)
			saveOne(t, survivor, got)
			wantState(t, survivor, got.Version, got.State)
			all = everything(t, survivor)
			if held, err = readParts(bytesOf(all[head], partsAttr)); err != nil || held.count == 0 {
				t.Fatal(held, err)
			}
			delete(all, head)
			for _, k := range held.keys(head) {
				delete(all, k)
			}
			for k, it := range all {
				if it[ttlAttr] == nil {
					t.Errorf("crash after %d requests: %s stays for ever", at, k)
				}
			}
		}
	}
}

// TestReplacedWhileRead: a reader whose parts are replaced between its head and
// them reads again.
func TestReplacedWhileRead(t *testing.T) {
	w := &wire{}
	s := &Store{Client: w.client(t), Table: empty(t), Retry: quick}
	other := &Store{Client: (&wire{}).client(t), Table: s.Table}
	f := one(t, s, shopU1)
	f.State = noise(900<<10, 0)
	saveOne(t, s, f)
	left := 5
	w.before = func(operation string, body []byte) error {
		if operation == "BatchGetItem" && bytes.Contains(body, []byte("~")) && left > 0 {
			g := one(t, other, shopU1)
			g.State = noise(900<<10-left, uint64(left))
			saveOne(t, other, g)
			left--
		}
		return nil
	}
	wantState(t, s, 6, noise(900<<10-1, 1))
}

// TestLostRace: who lost leaves no parts.
func TestLostRace(t *testing.T) {
	api, name := client(t)
	s := &Store{Client: api, Table: name}
	a, b := one(t, s, shopU1), one(t, s, shopU1)
	a.State, b.State = noise(900<<10, 1), noise(900<<10, 2)
	saveOne(t, s, a)
	if _, ok := errors.AsType[*profile.ConflictError](s.Save(t.Context(), []*profile.Fragment{b})); !ok {
		t.Error("no conflict")
	}
	wantState(t, s, 1, a.State)
	wantTidy(t, s, 3)
}

// TestMissingParts: what is broken is said, not read as empty.
func TestMissingParts(t *testing.T) {
	api, name := client(t)
	now := time.Now()
	s := &Store{Client: api, Table: name, Retry: quick, Keep: time.Hour, Now: func() time.Time { return now }}
	f := one(t, s, shopU1)
	f.State = noise(900<<10, 1)
	saveOne(t, s, f)
	head, _ := fragmentKey(shopU1)
	for k := range everything(t, s) {
		if strings.HasSuffix(k, "/1") {
			if _, err := api.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &name, Key: s.table().key(k)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Load(t.Context(), []profile.Key{shopU1}); !errors.Is(err, errGone) || !strings.Contains(err.Error(), head) {
		t.Errorf("a fragment without all its parts: %v", err)
	}
	now = now.Add(2 * time.Hour) // its time is over: its parts may go first
	f = one(t, s, shopU1)
	if f.Version != 1 || f.State.Events != 0 {
		t.Errorf("version %d with %d events", f.Version, f.State.Events)
	}
	f.State = noise(900<<10, 2)
	saveOne(t, s, f)
	wantState(t, s, 2, f.State)
}

// TestKeep: a fragment goes when nothing was saved for so long, its parts after it.
func TestKeep(t *testing.T) {
	api, name := client(t)
	now := time.Now().Truncate(time.Second)
	s := &Store{Client: api, Table: name, Keep: time.Hour, Now: func() time.Time { return now }}
	f := one(t, s, shopU1)
	for i, size := range []int{10, 900 << 10} {
		f.State = noise(size, uint64(i))
		saveOne(t, s, f)
		for k, it := range everything(t, s) {
			ttl, err := numberOf(it, ttlAttr)
			want := now.Add(time.Hour)
			if strings.Contains(k, "~") {
				want = want.Add(partsOutlive)
			}
			if err != nil || ttl != want.Unix() || it[looseAttr] != nil {
				t.Errorf("%s goes at %d, want %d, %v", k, ttl, want.Unix(), err)
			}
		}
		now = now.Add(time.Minute)
	}
}
