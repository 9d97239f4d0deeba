package profile

import (
	"bytes"
	"encoding/binary"
)

const (
	placeBytes = 8
	// maxPlaces is of how many records a fragment remembers the place: as many as
	// one delivered batch may bring again.
	maxPlaces = 512
	// placesAge is after how long without a record they are forgotten: longer than
	// a batch is retried.
	placesAge = WindowAge / 4
)

// from reports whether a record is to be handled: it is new, or it comes again
// from the place where it came from first. A copy at another place is not.
// receivedAt is in Unix milliseconds.
func (s *State) from(receivedAt int64, receipt, place uint32) bool {
	if receivedAt-max(s.ReceivedUntil, s.ErasedAt) > placesAge.Milliseconds() {
		s.Places = nil
	}
	for at := 0; at+placeBytes <= len(s.Places); at += placeBytes {
		if binary.LittleEndian.Uint32(s.Places[at:]) == receipt {
			return binary.LittleEndian.Uint32(s.Places[at+4:]) == place
		}
	}
	kept := s.Places
	if over := len(kept) + placeBytes - maxPlaces*placeBytes; over > 0 {
		kept = kept[over:]
	}
	// A new array: the old one may be shared with what was decoded.
	s.Places = append(bytes.Clone(kept), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(s.Places[len(s.Places)-8:], receipt)
	binary.LittleEndian.PutUint32(s.Places[len(s.Places)-4:], place)
	return true
}
