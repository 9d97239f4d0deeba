package local

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/stream"
)

// goldenRecords are what the golden chunks hold.
var goldenRecords = []stream.Record{
	{Project: "shop", Key: "a:1", Events: 2, Time: 1_700_000_000_000, Data: []byte("one")},
	{Project: "shop", Key: "u:2", Events: 1, Time: 1_699_999_999_999, Data: []byte{0, 255}},
	{Project: "", Key: "", Events: 0, Time: -5},
}

const goldenChunk = "01000a0000000000000014000000000000001e000000000000000300000003000000" +
	"0573686f7003613a310280a0abfef962036f6e65" + "0003753a3201010200ff" + "01000087a0abfef96200"

// TestChunkFormIsGolden: what is on users' disks must stay readable.
func TestChunkFormIsGolden(t *testing.T) {
	var b chunkBuilder
	for i := range goldenRecords {
		b.add(&goldenRecords[i])
	}
	b.seal()
	if got := hex.EncodeToString(b.place(10, 20, 30)); got != goldenChunk {
		t.Errorf("chunk\n%s, want\n%s", got, goldenChunk)
	}
	data, err := hex.DecodeString(goldenChunk)
	if err != nil {
		t.Fatal(err)
	}
	c := chunk{seq: 1, data: data}
	got, err := c.decode(nil)
	if err != nil {
		t.Fatal(err)
	}
	sameRecords(t, got, goldenRecords)
	if c.appended() != 10 || c.firstRecord() != 20 || c.firstEvent() != 30 || c.records() != 3 || c.events() != 3 {
		t.Errorf("header %d %d %d %d %d", c.appended(), c.firstRecord(), c.firstEvent(), c.records(), c.events())
	}
}

func sameRecords(t interface{ Errorf(string, ...any) }, got, want []stream.Record) {
	if !slices.EqualFunc(got, want, func(a, b stream.Record) bool {
		return a.Project == b.Project && a.Key == b.Key && a.Events == b.Events && a.Time == b.Time && bytes.Equal(a.Data, b.Data)
	}) {
		t.Errorf("records %+v, want %+v", got, want)
	}
}

func TestChunkHoldsAnyRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stream.Record {
			return stream.Record{
				Project: rapid.String().Draw(t, "project"), Key: rapid.String().Draw(t, "key"),
				Events: rapid.IntRange(0, 5000).Draw(t, "events"), Time: rapid.Int64().Draw(t, "time"),
				Data: bytes.Repeat(rapid.SliceOf(rapid.Byte()).Draw(t, "data"), rapid.IntRange(1, 50).Draw(t, "times")),
			}
		}), 1, 30).Draw(t, "records")
		var b chunkBuilder
		for i := range want {
			b.add(&want[i])
		}
		b.seal()
		got, err := chunk{data: b.place(1, 2, 3)}.decode(nil)
		if err != nil {
			t.Fatal(err)
		}
		sameRecords(t, got, want)
	})
}

func FuzzChunk(f *testing.F) {
	golden, err := hex.DecodeString(goldenChunk)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	var b chunkBuilder
	for range 40 {
		b.add(&stream.Record{Project: "shop", Key: "a:1", Data: []byte(strings.Repeat("x", 100))})
	}
	b.seal()
	f.Add(b.place(1, 2, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := chunk{data: data}
		rs, err := c.decode(nil)
		if err == nil && len(rs) != c.records() {
			t.Errorf("%d records, header says %d", len(rs), c.records())
		}
	})
}

func FuzzCursor(f *testing.F) {
	c := cursor{position: position{seq: 7, index: 3, records: 70, events: 700}, parked: []parked{{seq: 2, index: 1, failed: 4}, {seq: 7}}}
	f.Add(c.append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c, again cursor
		if c.read(data) != nil {
			return
		}
		if err := again.read(c.append(nil)); err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	})
}

// TestKeysKeepNamesApart: a name's keys are one range, in the names' order.
func TestKeysKeepNamesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.RuneFrom([]rune{0, 1, 'a', 'b', 0xff}))
		a, b, rest := name.Draw(t, "a"), name.Draw(t, "b"), name.Draw(t, "rest")
		ka, kb := append(prefix('x', a), rest...), prefix('x', b)
		if got, tail, err := cutName(ka[1:]); err != nil || got != a || string(tail) != rest {
			t.Fatalf("cut %q and %q off %q: %v", got, tail, ka, err)
		}
		inside := bytes.Compare(ka, kb) >= 0 && bytes.Compare(ka, keyAfter(kb)) < 0
		if inside != (a == b) {
			t.Fatalf("key of %q inside the range of %q: %t", a, b, inside)
		}
		if a != b && strings.Compare(a, b) != bytes.Compare(prefix('x', a), kb) {
			t.Fatalf("%q and %q are in another order as keys", a, b)
		}
	})
}

func TestSumsMergeInAnyGrouping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := rapid.SliceOfN(rapid.SliceOfN(rapid.Int64(), 0, 6), 1, 8).Draw(t, "lists")
		var want []int64
		var encoded [][]byte
		for _, l := range lists {
			var fields []*int64
			for i, v := range l {
				if i == len(want) {
					want = append(want, 0)
				}
				want[i] += v
				fields = append(fields, &l[i])
			}
			encoded = append(encoded, sums(fields...))
		}
		from := rapid.IntRange(0, len(lists)-1).Draw(t, "from")
		m, err := sumMerger.Merge(nil, encoded[from])
		if err != nil {
			t.Fatal(err)
		}
		for i := range encoded {
			if i < from {
				err = m.MergeOlder(encoded[i])
			} else if i > from {
				err = m.MergeNewer(encoded[i])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		value, _, err := m.Finish(true)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]int64, len(want))
		fields := make([]*int64, len(want))
		for i := range got {
			fields[i] = &got[i]
		}
		if err := readSums(value, fields...); err != nil || !slices.Equal(got, want) {
			t.Fatalf("merged %v, want %v, %v", got, want, err)
		}
	})
}
