package profile

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// window finds ids in a fragment's dedupe window: by looking through it, and
// once it has looked longer than that costs, by a hash table. Its zero value is
// ready.
type window struct {
	looked int
	// table holds positions counted from 1. Ids are hashes: their low bits are
	// as good a place as any.
	table []uint32
	// filled is how many of the window's ids are in the table.
	filled int
}

// find returns the position of id in seen, -1 when it is not there.
func (w *window) find(seen []uint64, id uint64) int {
	if w.looked < 16*len(seen) || len(seen) < 64 {
		w.looked += len(seen)
		for i := len(seen) - 1; i >= 0; i-- { // repeats come soon
			if seen[i] == id {
				return i
			}
		}
		return -1
	}
	if 2*len(seen) > len(w.table) {
		w.table, w.filled = make([]uint32, 4<<bits.Len(uint(len(seen)))), 0
	}
	mask := uint64(len(w.table) - 1)
	for ; w.filled < len(seen); w.filled++ {
		at := seen[w.filled] & mask
		for w.table[at] != 0 {
			at = (at + 1) & mask
		}
		w.table[at] = uint32(w.filled + 1)
	}
	for at := id & mask; w.table[at] != 0; at = (at + 1) & mask {
		if i := int(w.table[at]) - 1; seen[i] == id {
			return i
		}
	}
	return -1
}

// moved tells that the window's positions have changed.
func (w *window) moved() {
	clear(w.table)
	w.filled = 0
}

// evict bounds the dedupe window, oldest receipt first, and returns how many
// ids left it before their time. It waits until an eighth is to go, since
// moving the rest costs.
func (f *Fragment) evict() (forced int) {
	s := f.State
	if len(s.SeenAt) == 0 {
		return 0
	}
	limit := s.SeenAt[len(s.SeenAt)-1] - WindowAge.Milliseconds()
	old := 0
	for old < len(s.SeenAt) && s.SeenAt[old] < limit {
		old++
	}
	forced = max(0, len(s.Seen)-old-WindowCount)
	n := old + forced
	if n < max(1, len(s.Seen)/8) {
		return 0
	}
	s.Seen = append(s.Seen[:0], s.Seen[n:]...)
	s.SeenAt = append(s.SeenAt[:0], s.SeenAt[n:]...)
	f.window.moved()
	return forced
}

// Reflects reports whether the event with the message id is folded in and
// still in the dedupe window.
func (f *Fragment) Reflects(messageID string) bool {
	return f.window.find(f.State.Seen, xxhash.Sum64String(messageID)) >= 0
}
