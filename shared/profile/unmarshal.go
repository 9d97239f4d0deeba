package profile

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// The field numbers of fragment.proto that unmarshal reads itself.
const (
	fieldNames   = 7
	fieldTraits  = 8
	fieldMetrics = 9
	fieldSlots   = 10
	fieldRecent  = 11

	fieldBuckets = 2 // of MetricState
)

// leaf is a message as vtprotobuf generates it.
type leaf[T any] interface {
	*T
	UnmarshalVTUnsafe([]byte) error
}

// slab makes a message's repeated fields out of one array each. Generated code
// allocates every element, which costs more than reading it.
type slab[T any, P leaf[T]] struct {
	array []T
	list  []P
}

func newSlab[T any, P leaf[T]](n int) slab[T, P] {
	if n == 0 {
		return slab[T, P]{}
	}
	// Room for one more, which the next event often makes.
	return slab[T, P]{make([]T, n), make([]P, 0, n+1)}
}

func (s *slab[T, P]) take() P { return P(&s.array[len(s.list)]) }

func (s *slab[T, P]) read(data []byte) error {
	p := s.take()
	s.list = append(s.list, p)
	return p.UnmarshalVTUnsafe(data)
}

// nextField returns the field that data begins with: its number, its length
// with the tag, and what it holds: nil when it is not length-delimited.
func nextField(data []byte) (num protowire.Number, length int, body []byte, err error) {
	// Nearly all fields: a small number, and less than 128 bytes.
	if len(data) > 1 && data[0] < 0x80 && data[1] < 0x80 && data[0]&7 == byte(protowire.BytesType) && data[0]>>3 > 0 {
		if length = 2 + int(data[1]); length <= len(data) {
			return protowire.Number(data[0] >> 3), length, data[2:length], nil
		}
	}
	num, wire, tag := protowire.ConsumeTag(data)
	if tag < 0 {
		return 0, 0, nil, protowire.ParseError(tag)
	}
	if wire == protowire.BytesType {
		body, n := protowire.ConsumeBytes(data[tag:])
		if n < 0 {
			return 0, 0, nil, protowire.ParseError(n)
		}
		return num, tag + n, body, nil
	}
	n := protowire.ConsumeFieldValue(num, wire, data[tag:])
	if n < 0 {
		return 0, 0, nil, protowire.ParseError(n)
	}
	return num, tag + n, nil, nil
}

// unmarshal is UnmarshalVTUnsafe with fewer allocations.
func (s *State) unmarshal(data []byte) error {
	var names, traits, metrics, slots, recent, buckets int
	for at := 0; at < len(data); {
		num, n, body, err := nextField(data[at:])
		if err != nil {
			return err
		}
		at += n
		switch num {
		case fieldNames:
			names++
		case fieldTraits:
			traits++
		case fieldSlots:
			slots++
		case fieldRecent:
			recent++
		case fieldMetrics:
			metrics++
			for len(body) > 0 {
				num, n, _, err := nextField(body)
				if err != nil {
					return err
				}
				if num == fieldBuckets {
					buckets++
				}
				body = body[n:]
			}
		}
	}
	var (
		nameSlab   = newSlab[NameCount](names)
		traitSlab  = newSlab[Trait](traits)
		metricSlab = newSlab[MetricState](metrics)
		slotSlab   = newSlab[Slot](slots)
		recentSlab = newSlab[Recent](recent)
		bucketSlab = newSlab[Bucket](buckets)
	)
	// Runs of other fields are left to generated code, which adds to what is there.
	rest := 0
	for at := 0; at < len(data); {
		num, n, body, err := nextField(data[at:])
		if err != nil {
			return err
		}
		if body == nil {
			num = 0 // generated code says what is wrong with it
		}
		switch num {
		case fieldNames, fieldTraits, fieldMetrics, fieldSlots, fieldRecent:
			if err := s.UnmarshalVTUnsafe(data[rest:at]); err != nil {
				return err
			}
			rest = at + n
		}
		switch num {
		case fieldNames:
			err = nameSlab.read(body)
		case fieldTraits:
			err = traitSlab.read(body)
		case fieldSlots:
			err = slotSlab.read(body)
		case fieldRecent:
			err = recentSlab.read(body)
		case fieldMetrics:
			m := metricSlab.take()
			metricSlab.list = append(metricSlab.list, m)
			err = m.unmarshal(body, &bucketSlab)
		}
		if err != nil {
			return err
		}
		at += n
	}
	s.Names, s.Traits, s.Metrics, s.Slots, s.Recent = nameSlab.list, traitSlab.list, metricSlab.list, slotSlab.list, recentSlab.list
	return s.UnmarshalVTUnsafe(data[rest:])
}

func (s *MetricState) unmarshal(data []byte, buckets *slab[Bucket, *Bucket]) error {
	first := len(buckets.list)
	rest := 0
	for at := 0; at < len(data); {
		num, n, body, err := nextField(data[at:])
		if err != nil {
			return err
		}
		if num == fieldBuckets && body != nil {
			if err := s.UnmarshalVTUnsafe(data[rest:at]); err != nil {
				return err
			}
			rest = at + n
			if err := buckets.read(body); err != nil {
				return err
			}
		}
		at += n
	}
	// Without spare room: what follows is another metric's.
	s.Buckets = buckets.list[first:len(buckets.list):len(buckets.list)]
	return s.UnmarshalVTUnsafe(data[rest:])
}
