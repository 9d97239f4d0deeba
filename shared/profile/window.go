package profile

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// The dedupe window is kept in blocks, because a busy visitor's is large and
// changes with every event: all blocks but the last are shared with what the
// fragment was decoded from. Blocks leave whole.
const (
	headBytes    = 8
	entryBytes   = 12
	blockEntries = 128
	// blockSpan is how long a block takes entries: it may not keep those of a
	// rare visitor until it is full.
	blockSpan = WindowAge / 4
)

// block is one block of the window.
type block []byte

func (b block) first() int64       { return int64(binary.LittleEndian.Uint32(b)) }
func (b block) last() int64        { return int64(binary.LittleEndian.Uint32(b[4:])) }
func (b block) entries() int       { return (len(b) - headBytes) / entryBytes }
func (b block) entry(i int) []byte { return b[headBytes+i*entryBytes:] }
func (b block) id(i int) uint64    { return binary.LittleEndian.Uint64(b.entry(i)) }

// seenCount is how many ids the window holds.
func (s *State) seenCount() (n int) {
	for _, b := range s.Seen {
		n += block(b).entries()
	}
	return n
}

// seenEnd is the place after the window's last id.
func (s *State) seenEnd() int {
	n := len(s.Seen)
	if n == 0 {
		return 0
	}
	return (n-1)*blockEntries + block(s.Seen[n-1]).entries()
}

// receipt returns the receipt at a place of the window.
func (s *State) receipt(place int) uint32 {
	return binary.LittleEndian.Uint32(block(s.Seen[place/blockEntries]).entry(place % blockEntries)[8:])
}

// see appends to the window.
func (s *State) see(id uint64, receivedAt int64, receipt uint32) {
	n, at := len(s.Seen), receivedAt/1000
	if n == 0 || block(s.Seen[n-1]).entries() == blockEntries || at-block(s.Seen[n-1]).first() > int64(blockSpan/time.Second) {
		head := binary.LittleEndian.AppendUint32(make([]byte, 0, headBytes+entryBytes), uint32(at))
		s.Seen = append(s.Seen, binary.LittleEndian.AppendUint32(head, uint32(at)))
		n++
	}
	b := binary.LittleEndian.AppendUint64(s.Seen[n-1], id)
	b = binary.LittleEndian.AppendUint32(b, receipt)
	// The bytes may be shared with what was decoded: they are new now, the
	// slice having had no room.
	binary.LittleEndian.PutUint32(b[4:], uint32(max(at, block(b).last())))
	s.Seen[n-1] = b
}

// checkSeen reports what is wrong with a window read from a store.
func (s *State) checkSeen() error {
	if len(s.Seen) > maxBlocks {
		return fmt.Errorf("the dedupe window has %d blocks", len(s.Seen))
	}
	for i, b := range s.Seen {
		if n := len(b) - headBytes; n < 0 || n%entryBytes != 0 || n > blockEntries*entryBytes {
			return fmt.Errorf("block %d of the dedupe window has %d bytes", i, len(b))
		}
		s.Seen[i] = slices.Clip(b) // what follows in memory is not the window's
	}
	return nil
}

// maxBlocks is more than a window can have: full ones, and one per blockSpan.
const maxBlocks = 2*WindowCount/blockEntries + 16

// window finds ids in a fragment's dedupe window: by looking through it, and
// once it has looked longer than that costs, by a hash table. Its zero value is
// ready.
type window struct {
	looked int
	// table holds places counted from 1: block × blockEntries + entry. Ids are
	// hashes: their low bits are as good a position as any.
	table []uint16
	// filled is the place of the first id that is not in the table.
	filled int
}

// find returns the place of id in the window, -1 when it is not there.
func (w *window) find(s *State, id uint64) int {
	blocks := len(s.Seen)
	if w.looked < 8*blocks || blocks < 2 {
		w.looked++
		for i := blocks - 1; i >= 0; i-- { // repeats come soon
			entries := s.Seen[i][headBytes:]
			for at := 0; at+entryBytes <= len(entries); at += entryBytes {
				if binary.LittleEndian.Uint64(entries[at:]) == id {
					return i*blockEntries + at/entryBytes
				}
			}
		}
		return -1
	}
	if size := 2 * blocks * blockEntries; size > len(w.table) {
		w.table, w.filled = make([]uint16, 2<<bits.Len(uint(size))), 0
	}
	mask := uint64(len(w.table) - 1)
	for i := w.filled / blockEntries; i < blocks; i++ {
		b := block(s.Seen[i])
		for e := w.filled % blockEntries; e < b.entries(); e++ {
			at := b.id(e) & mask
			for w.table[at] != 0 {
				at = (at + 1) & mask
			}
			w.table[at] = uint16(i*blockEntries + e + 1)
		}
		if i < blocks-1 {
			w.filled = (i + 1) * blockEntries
		} else {
			w.filled = i*blockEntries + b.entries()
		}
	}
	for at := id & mask; w.table[at] != 0; at = (at + 1) & mask {
		place := int(w.table[at]) - 1
		if block(s.Seen[place/blockEntries]).id(place%blockEntries) == id {
			return place
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
// returns how many ids left it before their time.
func (f *Fragment) evict() (forced int) {
	s := f.State
	if len(s.Seen) < 2 {
		return 0
	}
	count, limit := s.seenCount(), s.ReceivedUntil/1000-int64(WindowAge/time.Second)
	gone := 0
	for gone < len(s.Seen)-1 {
		b := block(s.Seen[gone])
		old := b.last() < limit
		if !old && count-b.entries() < WindowCount {
			break
		}
		if !old {
			forced += b.entries()
		}
		count -= b.entries()
		gone++
	}
	if gone > 0 {
		s.Seen = slices.Delete(s.Seen, 0, gone)
		f.window.moved()
	}
	return forced
}

// Reflects reports whether the event with the message id is folded in and
// still in the dedupe window.
func (f *Fragment) Reflects(messageID string) bool {
	return f.window.find(f.State, xxhash.Sum64String(messageID)) >= 0
}
