package profile

import (
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
)

// TestPlaces: a copy is told from a redelivery, an erasure does not make one
// forget what was booked, and what is remembered is bounded by count and age.
func TestPlaces(t *testing.T) {
	f := NewFragment(Key{"p", "a:1"})
	var folder Folder
	record := func(receipt uint32, at time.Duration) *event.Record {
		return &event.Record{Key: "a:1", ReceivedAt: at.Milliseconds(), Receipt: receipt, Events: []*event.Event{{
			MessageId: time.Duration(receipt).String(), Type: event.Type_TYPE_PAGE, AnonymousId: "1", Timestamp: 1,
		}}}
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		receipt, place uint32
		want           Tally
	}{
		{1, 7, Tally{Scored: 1}}, {1, 7, Tally{Redelivered: 1}}, {1, 9, Tally{Copied: 1}}, {2, 9, Tally{Scored: 1}}, {1, 9, Tally{Copied: 1}}, {1, 7, Tally{Redelivered: 1}},
	} {
		if got := folder.FoldFrom(f, record(c.receipt, day), c.place); got != c.want {
			t.Fatalf("receipt %d from %d: %+v, want %+v", c.receipt, c.place, got, c.want)
		}
	}
	// TestReceiptsMayCollide: once another record of the same receipt was dropped.
	other := record(2, day)
	other.Events[0].MessageId = "another"
	if got := folder.FoldFrom(f, other, 11); got.Scored != 1 {
		t.Errorf("another record of the same receipt: %+v", got)
	}
	f.Erase(2 * day.Milliseconds())
	if got := folder.FoldFrom(f, record(1, day), 9); got.Copied != 1 {
		t.Errorf("a copy after the erasure: %+v", got)
	}
	if got := folder.FoldFrom(f, record(1, day), 7); got.Suppressed != 1 {
		t.Errorf("a redelivery after the erasure: %+v", got)
	}
	for i := range uint32(2 * maxPlaces) {
		folder.FoldFrom(f, record(10+i, 3*day), 5)
	}
	if n := len(f.State.Places); n != maxPlaces*placeBytes {
		t.Errorf("%d bytes of places", n)
	}
	if got := folder.FoldFrom(f, record(9+2*maxPlaces, 3*day), 6); got.Copied != 1 {
		t.Errorf("a copy of the last one: %+v", got)
	}
	folder.FoldFrom(f, record(5000, 4*day), 5)
	if n := len(f.State.Places); n != placeBytes {
		t.Errorf("%d bytes of places a day later", n)
	}
	before := len(f.State.Places)
	folder.Fold(f, record(5001, 4*day))
	if len(f.State.Places) != before {
		t.Error("a stream without copies has places remembered")
	}
}
