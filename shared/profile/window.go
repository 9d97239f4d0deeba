package profile

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// The dedupe window is kept in blocks, because a busy visitor's is large and
// changes with every event: all blocks but the last are shared with what the
// fragment was decoded from, and leave whole.
const (
	entryBytes   = 12
	blockEntries = 128
)

func entryID(block []byte, i int) uint64 {
	return binary.LittleEndian.Uint64(block[i*entryBytes:])
}

func entryReceipt(block []byte, i int) uint32 {
	return binary.LittleEndian.Uint32(block[i*entryBytes+8:])
}

func entries(block []byte) int { return len(block) / entryBytes }

// seenCount is how many ids the window holds.
func (s *State) seenCount() int {
	n := len(s.Seen)
	if n == 0 {
		return 0
	}
	return (n-1)*blockEntries + entries(s.Seen[n-1])
}

// receipt returns the receipt at a place of the window, its low half.
func (s *State) receipt(i int) uint32 {
	return entryReceipt(s.Seen[i/blockEntries], i%blockEntries)
}

// see appends to the window.
func (s *State) see(id uint64, receivedAt int64) {
	n := len(s.Seen)
	if n == 0 || entries(s.Seen[n-1]) == blockEntries {
		s.Seen = append(s.Seen, nil)
		n++
	}
	b := binary.LittleEndian.AppendUint64(s.Seen[n-1], id)
	s.Seen[n-1] = binary.LittleEndian.AppendUint32(b, uint32(receivedAt))
}

// checkSeen reports what is wrong with a window read from a store.
func (s *State) checkSeen() error {
	for i, b := range s.Seen {
		if n := entries(b); len(b)%entryBytes != 0 || n > blockEntries || n < blockEntries && i < len(s.Seen)-1 {
			return fmt.Errorf("block %d of the dedupe window has %d bytes", i, len(b))
		}
		s.Seen[i] = slices.Clip(b) // what follows in memory is not the window's
	}
	return nil
}

// window finds ids in a fragment's dedupe window: by looking through it, and
// once it has looked longer than that costs, by a hash table. Its zero value is
// ready.
type window struct {
	looked int
	// table holds places counted from 1. Ids are hashes: their low bits are as
	// good a position as any.
	table []uint16
	// filled is how many of the window's ids are in the table.
	filled int
}

// find returns the place of id in the window, -1 when it is not there.
func (w *window) find(s *State, id uint64) int {
	n := s.seenCount()
	if w.looked < 8*n || n < 64 {
		w.looked += n
		for b := len(s.Seen) - 1; b >= 0; b-- { // repeats come soon
			block := s.Seen[b]
			for i := 0; i+entryBytes <= len(block); i += entryBytes {
				if binary.LittleEndian.Uint64(block[i:]) == id {
					return b*blockEntries + i/entryBytes
				}
			}
		}
		return -1
	}
	if 2*n > len(w.table) {
		w.table, w.filled = make([]uint16, 2<<bits.Len(uint(n))), 0
	}
	mask := uint64(len(w.table) - 1)
	for ; w.filled < n; w.filled++ {
		at := entryID(s.Seen[w.filled/blockEntries], w.filled%blockEntries) & mask
		for w.table[at] != 0 {
			at = (at + 1) & mask
		}
		w.table[at] = uint16(w.filled + 1)
	}
	for at := id & mask; w.table[at] != 0; at = (at + 1) & mask {
		i := int(w.table[at]) - 1
		if entryID(s.Seen[i/blockEntries], i%blockEntries) == id {
			return i
		}
	}
	return -1
}

// moved tells that the window's places have changed.
func (w *window) moved() {
	clear(w.table)
	w.filled = 0
}

// evict bounds the dedupe window by age and count, oldest receipt first, and
// returns how many ids left it before their time. Blocks leave whole; only the
// window of a visitor who has no more than one is cut inside it.
func (f *Fragment) evict() (forced int) {
	s := f.State
	for len(s.Seen) > 1 {
		old := s.expired(s.Seen[0], blockEntries-1)
		if !old && s.seenCount()-blockEntries < WindowCount {
			return forced
		}
		if !old {
			forced += blockEntries
		}
		s.Seen = slices.Delete(s.Seen, 0, 1)
		f.window.moved()
	}
	if len(s.Seen) == 0 || !s.expired(s.Seen[0], 0) {
		return forced
	}
	b, n := s.Seen[0], 1
	for n < entries(b) && s.expired(b, n) {
		n++
	}
	s.Seen[0] = slices.Clone(b[n*entryBytes:])
	f.window.moved()
	return forced
}

// expired reports whether an entry's receipt is WindowAge before the latest.
func (s *State) expired(block []byte, i int) bool {
	age := uint32(s.ReceivedUntil) - entryReceipt(block, i) // halves wrap alike
	return int64(age) > WindowAge.Milliseconds() && age < 1<<31
}

// Reflects reports whether the event with the message id is folded in and
// still in the dedupe window.
func (f *Fragment) Reflects(messageID string) bool {
	return f.window.find(f.State, xxhash.Sum64String(messageID)) >= 0
}
