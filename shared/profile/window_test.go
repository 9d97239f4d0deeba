package profile

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/event"
)

func many(prefix string, n int, receivedAt int64) *event.Record {
	r := &event.Record{ReceivedAt: receivedAt, Receipt: uint32(receivedAt)}
	for i := range n {
		r.Events = append(r.Events, &event.Event{MessageId: fmt.Sprint(prefix, i), Type: event.Type_TYPE_PAGE, UserId: "u", Timestamp: receivedAt})
	}
	return r
}

// TestWholeBatchRepeated: the largest batch a client can send, all of one
// visitor, repeated after others of its size.
func TestWholeBatchRepeated(t *testing.T) {
	f := newTestFragment()
	batch := many("b", 2500, lawEpoch)
	fold(f, batch)
	fold(f, many("other", WindowCount-2500, lawEpoch+1))
	again := many("b", 2500, lawEpoch+2)
	if tally := fold(f, again); tally.Duplicate != 2500 || tally.Scored != 0 {
		t.Fatalf("%+v", tally)
	}
	if tally := fold(f, batch); tally.Redelivered != 2500 {
		t.Fatalf("%+v", tally)
	}
}

func TestWindowIsBoundedAndEarlyEvictionsAreCounted(t *testing.T) {
	f := newTestFragment()
	var total Tally
	for i := range 20 {
		total = total.Plus(fold(f, many(fmt.Sprint("b", i, "-"), 1000, lawEpoch+int64(i))))
	}
	n := f.State.seenCount()
	if n < WindowCount || n >= WindowCount+blockEntries {
		t.Fatalf("%d ids in the window", n)
	}
	if total.Evicted+n != 20_000 {
		t.Fatalf("%d evictions counted, %d ids left of 20,000", total.Evicted, n)
	}
}

func TestWindowForgetsAfterADay(t *testing.T) {
	f := newTestFragment()
	fold(f, many("b", 10, lawEpoch))
	if tally := fold(f, many("later", 10, lawEpoch+WindowAge.Milliseconds()+1000)); tally.Evicted != 0 {
		t.Fatalf("%+v", tally)
	}
	if f.Reflects("b0") || !f.Reflects("later0") {
		t.Fatalf("window holds %d ids", f.State.seenCount())
	}
}

// TestRareVisitorsWindowIsShort: five events a day must not fill the window
// until a block is full.
func TestRareVisitorsWindowIsShort(t *testing.T) {
	f := newTestFragment()
	for day := range int64(30) {
		fold(f, many(fmt.Sprint("day", day, "-"), 5, lawEpoch+day*86_400_000))
	}
	if n := f.State.seenCount(); n > 10 {
		t.Fatalf("window holds %d ids", n)
	}
}

// TestRepeatWithinTheSameMillisecond: the ledger once took a client's repeat
// for the stream's when both were accepted within one millisecond.
func TestRepeatWithinTheSameMillisecond(t *testing.T) {
	f := newTestFragment()
	first, second := many("b", 3, lawEpoch), many("b", 3, lawEpoch)
	second.Receipt++
	fold(f, first)
	if tally := fold(f, second); tally.Duplicate != 3 || tally.Redelivered != 0 {
		t.Fatalf("%+v", tally)
	}
	if tally := fold(f, first); tally.Redelivered != 3 || tally.Duplicate != 0 {
		t.Fatalf("%+v", tally)
	}
}

func TestWindowFindsWhatLookingFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newTestFragment()
		var seen []uint64
		for range 600 {
			if rapid.IntRange(0, 100).Draw(t, "evict") == 0 && len(f.State.Seen) > 1 {
				f.State.Seen = f.State.Seen[1:]
				seen = seen[min(blockEntries, len(seen)):]
				f.window.moved()
			}
			id := rapid.Uint64Range(0, 900).Draw(t, "id") * 0x9e3779b97f4a7c15
			if got, want := f.window.find(f.State, id), slices.Index(seen, id); got != want {
				t.Fatalf("found %d at %d, want %d", id, got, want)
			}
			if !slices.Contains(seen, id) {
				seen = append(seen, id)
				f.State.see(id, lawEpoch, 0)
			}
		}
	})
}

// TestWindowDoesNotWriteIntoWhatItWasDecodedFrom: stores keep these bytes.
func TestWindowDoesNotWriteIntoWhatItWasDecodedFrom(t *testing.T) {
	f := newTestFragment()
	fold(f, many("b", 5, lawEpoch))
	f.State.Memberships = []*Membership{{Segment: "follows the window in memory", Changes: 1}}
	data, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(data)
	g, err := Decode(f.Key, 1, data)
	if err != nil {
		t.Fatal(err)
	}
	fold(g, many("c", 500, lawEpoch+1))
	if !slices.Equal(before, data) {
		t.Fatal("the stored bytes changed")
	}
}
