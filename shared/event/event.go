// Package event is what hito takes in: Segment's six types of event, their
// decoding from every protocol, and their wire form.
package event

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Form is the wire form this build writes. Builds read it and the one before.
const Form = 1

// The prefixes of visitor keys.
const (
	UserPrefix      = "u:"
	AnonymousPrefix = "a:"
)

// VisitorKey returns the key of the fragment the event is folded into:
// "u:<userId>" when it has a user id, else "a:<anonymousId>".
func (e *Event) VisitorKey() string {
	if e.UserId != "" {
		return UserPrefix + e.UserId
	}
	return AnonymousPrefix + e.AnonymousId
}

// AppendVisitorKey appends the event's visitor key to dst.
func (e *Event) AppendVisitorKey(dst []byte) []byte {
	if e.UserId != "" {
		return append(append(dst, UserPrefix...), e.UserId...)
	}
	return append(append(dst, AnonymousPrefix...), e.AnonymousId...)
}

// Claim returns the anonymous id that the event says belongs to its user; ok
// when it claims one: an event with both ids, or an alias.
func (e *Event) Claim() (anonymousID string, ok bool) {
	switch {
	case e.UserId == "":
		return "", false
	case e.Type == Type_TYPE_ALIAS && e.PreviousId != "" && e.PreviousId != e.UserId:
		return e.PreviousId, true
	case e.AnonymousId != "":
		return e.AnonymousId, true
	}
	return "", false
}

// CountedName returns the name an event is counted and selected by: a track
// event's name, any other's type in Segment's words.
func (e *Event) CountedName() string {
	if e.Type == Type_TYPE_TRACK {
		return e.Name
	}
	return e.Type.Word()
}

// Time returns when the event happened.
func (e *Event) Time() time.Time { return time.UnixMilli(e.Timestamp) }

// Encode returns the record's wire form, and sets its Form.
func Encode(r *Record) ([]byte, error) {
	r.Form = Form
	b, err := r.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode record of %s/%s: %w", r.Project, r.Key, err)
	}
	return b, nil
}

// Append appends the record's wire form to dst, and sets its Form.
func Append(dst []byte, r *Record) ([]byte, error) {
	r.Form = Form
	n := r.SizeVT()
	dst = slices.Grow(dst, n)
	if _, err := r.MarshalToSizedBufferVT(dst[len(dst) : len(dst)+n]); err != nil {
		return dst, fmt.Errorf("encode record of %s/%s: %w", r.Project, r.Key, err)
	}
	return dst[:len(dst)+n], nil
}

// Decode reads a record's wire form. The record keeps parts of data: data must
// not change while the record is in use.
func Decode(data []byte) (*Record, error) {
	r := new(Record)
	if err := r.UnmarshalVTUnsafe(data); err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	if r.Form == 0 || r.Form > Form {
		return nil, fmt.Errorf("decode record: wire form %d, this build reads up to %d: deploy readers before writers", r.Form, Form)
	}
	return r, nil
}

// Origin reads of a record's wire form only where it comes from.
func Origin(data []byte) (string, error) {
	origin, form := "", uint64(0)
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return "", fmt.Errorf("decode record: %w", protowire.ParseError(n))
		}
		data = data[n:]
		switch {
		case field == 1 && kind == protowire.VarintType:
			form, n = protowire.ConsumeVarint(data)
		case field == 5 && kind == protowire.BytesType:
			var value []byte
			value, n = protowire.ConsumeBytes(data)
			origin = string(value)
		default:
			n = protowire.ConsumeFieldValue(field, kind, data)
		}
		if n < 0 {
			return "", fmt.Errorf("decode record: %w", protowire.ParseError(n))
		}
		data = data[n:]
	}
	if form == 0 || form > Form {
		return "", fmt.Errorf("decode record: wire form %d, this build reads up to %d: deploy readers before writers", form, Form)
	}
	return origin, nil
}

// typeNames are Segment's words.
var typeNames = [...]string{"", "track", "page", "screen", "identify", "group", "alias"}

// Word returns the type in Segment's words, such as "track".
func (t Type) Word() string {
	if t < 0 || int(t) >= len(typeNames) {
		return ""
	}
	return typeNames[t]
}

// ParseType reads a type in Segment's words; ok when it is one of the six.
func ParseType(word string) (t Type, ok bool) {
	for i, name := range typeNames[1:] {
		if name == word {
			return Type(i + 1), true
		}
	}
	return 0, false
}
