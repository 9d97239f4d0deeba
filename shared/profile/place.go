package profile

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/event"
)

const (
	placeBytes = 12
	// maxPlaces is of how many records a fragment remembers the place: as many as
	// one delivered batch may bring again.
	maxPlaces = 512
	// placesAge is after how long without a record they are forgotten: longer than
	// a batch is retried.
	placesAge = WindowAge / 4
)

// from reports whether a record is to be handled: it is new, or it comes again
// from the place where it came from first. A copy at another place is not.
func (s *State) from(r *event.Record, place uint32) bool {
	if r.ReceivedAt-max(s.ReceivedUntil, s.ErasedAt) > placesAge.Milliseconds() {
		s.Places = nil
	}
	// A receipt alone is 32 bits: too few to call a record a copy by.
	var id uint64
	if len(r.Events) > 0 {
		id = xxhash.Sum64String(r.Events[0].MessageId)
	}
	id ^= uint64(r.Receipt) * 0x9e3779b97f4a7c15
	for at := 0; at+placeBytes <= len(s.Places); at += placeBytes {
		if binary.LittleEndian.Uint64(s.Places[at:]) == id {
			return binary.LittleEndian.Uint32(s.Places[at+8:]) == place
		}
	}
	kept := s.Places
	if over := len(kept) + placeBytes - maxPlaces*placeBytes; over > 0 {
		kept = kept[over:]
	}
	// A new array: the old one may be shared with what was decoded.
	s.Places = binary.LittleEndian.AppendUint64(bytes.Clone(kept), id)
	s.Places = binary.LittleEndian.AppendUint32(s.Places, place)
	return true
}
