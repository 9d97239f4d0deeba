package event

import (
	"bytes"
	"unicode/utf8"
)

// shared is what a batch says for all its events.
type shared struct {
	sentAt       int64
	ip, agent    string
	hasIP        bool
	server       bool
	context      []byte
	bare         []byte // context without traits
	traits       []byte // of context
	integrations []byte
	members      []member // of context
	// deep is set when the events, with this inside, are nested too deeply.
	deep bool
}

type member struct {
	key  string
	pair []byte // `"key":value`
}

// maxSharedMembers bounds the work of merging a batch's context into its events'.
const maxSharedMembers = 256

// Segment decodes Segment's tracking API, which RudderStack's SDKs speak too
// (https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/).
// It takes bodies as clients really send them: bytes that are not UTF-8 become
// U+FFFD, raw control characters are taken as escaped, and of repeated members
// the last counts.
func Segment(b *Batch, body []byte, t Type) error {
	body = bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte(string(utf8.RuneError)))
	}
	s := scanner{b: body}
	err := b.segment(&s, t)
	if s.control {
		b.Reset()
		s = scanner{b: escapeControls(body)}
		err = b.segment(&s, t)
	}
	return err
}

func (b *Batch) segment(s *scanner, t Type) error {
	if c := s.space(); c != '{' {
		s.value()
		if s.err != nil {
			return s.err
		}
		return &Error{BadShape, "the body must be a JSON object"}
	}
	isBatch, batched := t == Type_TYPE_UNSPECIFIED, false
	if from := s.i; !isBatch {
		b.decode(s, t)
		if isBatch = b.Items[0].hasBatch && s.err == nil; isBatch { // A batch sent to the wrong path.
			b.Items, s.i = b.Items[:0], from
		}
	}
	if isBatch {
		batched = b.envelope(s)
	}
	if s.err == nil && len(b.Items) > MaxEvents {
		return &Error{TooManyEvents, "a batch may hold 2,500 events"}
	}
	if s.space(); s.err == nil && s.i < len(s.b) {
		s.fail("more after the body's object")
	}
	switch {
	case s.err != nil:
		return s.err
	case isBatch && !batched:
		return &Error{BadShape, "the body must have a batch, an array of events"}
	}
	return b.share()
}

// envelope reads a batch's object; false when it has no array of events.
func (b *Batch) envelope(s *scanner) (batched bool) {
	var all Item // collects what the batch says of its context
	all.Event = new(Event)
	for ok := s.begin('}'); ok; ok = s.next('}') {
		switch key := s.key(); string(key) {
		case "batch":
			b.Items = b.Items[:0]
			batched = s.err == nil && s.space() == '['
			if !batched {
				s.value()
				continue
			}
			for ok := s.begin(']'); ok && len(b.Items) <= MaxEvents; ok = s.next(']') {
				b.decode(s, Type_TYPE_UNSPECIFIED)
			}
			if len(b.Items) > MaxEvents {
				return true
			}
		case "writeKey":
			b.WriteKey = all.text("writeKey", s.value())
		case "sentAt":
			b.shared.sentAt = instant(s.value())
		case "context":
			s.deepest = s.depth
			all.context(s)
			b.shared.deep = b.shared.deep || s.deepest-s.depth >= MaxDepth
		case "integrations":
			s.deepest = s.depth
			b.shared.integrations = object(s.value())
			b.shared.deep = b.shared.deep || s.deepest-s.depth >= MaxDepth
		default:
			s.value()
		}
	}
	b.shared.context, b.shared.ip, b.shared.agent = all.Event.Context, all.Event.Ip, all.Event.UserAgent
	b.shared.hasIP, b.shared.server, b.shared.traits = all.hasIP, all.server, all.traits
	return batched
}

// decode reads one event. What is wrong with it goes into the item, what is
// wrong with the JSON into the scanner.
func (b *Batch) decode(s *scanner, t Type) {
	it := b.add()
	e := it.Event
	from := s.i
	if s.space() != '{' {
		it.raw = s.value()
		it.refuse(NotAnObject, "the event is not a JSON object")
		return
	}
	outer := s.depth
	s.deepest = outer
	e.Type = t
	var name, event string
	for ok := s.begin('}'); ok; ok = s.next('}') {
		key := s.key()
		if s.err != nil {
			return
		}
		if string(key) == "context" {
			if it.contextTo > 0 { // Only the last counts, and an address in the others would stay.
				blank(s.b[from+it.contextFrom : from+it.contextTo])
			}
			it.contextFrom = s.i - from
			it.context(s)
			it.contextTo = s.i - from
			continue
		}
		v := s.value()
		if s.err != nil {
			return
		}
		switch string(key) {
		case "type":
			it.hasType = true
			if t == Type_TYPE_UNSPECIFIED {
				it.parseType(v)
			}
		case "messageId":
			e.MessageId = it.text("messageId", v)
		case "userId":
			e.UserId = it.text("userId", v)
		case "anonymousId":
			e.AnonymousId = it.text("anonymousId", v)
		case "previousId":
			e.PreviousId = it.text("previousId", v)
		case "groupId":
			e.GroupId = it.text("groupId", v)
		case "event":
			event = it.text("event", v)
		case "name":
			name = it.text("name", v)
		case "category":
			e.Category = it.text("category", v)
		case "timestamp":
			if ms := instant(v); ms != 0 { // what the caller set goes before what the SDK noted
				e.OriginalTimestamp = ms
			}
		case "originalTimestamp":
			if e.OriginalTimestamp == 0 {
				e.OriginalTimestamp = instant(v)
			}
		case "sentAt":
			it.hasSentAt = true
			e.SentAt = instant(v)
		case "properties":
			e.Properties = it.object("properties", v)
		case "traits":
			e.Traits = it.object("traits", v)
		case "integrations":
			e.Integrations = object(v)
		case "batch":
			it.hasBatch = v[0] == '['
		case "writeKey":
			if b.WriteKey == "" {
				b.WriteKey = it.text("writeKey", v)
			}
		}
	}
	it.raw = s.b[from:s.i]
	switch e.Type {
	case Type_TYPE_UNSPECIFIED:
		it.refuse(UnknownType, "the event has no type")
	case Type_TYPE_TRACK:
		e.Name = event
	case Type_TYPE_PAGE, Type_TYPE_SCREEN:
		e.Name = name
	}
	if s.deepest-outer > MaxDepth {
		it.Reason, it.Detail = TooDeep, "the event is nested deeper than 64 levels"
	}
	if len(it.raw) > MaxSize {
		it.Reason, it.Detail = TooLarge, "the event is larger than 32 KB"
	}
}

// blank makes an empty object of an object's bytes.
func blank(v []byte) {
	if object(v) == nil {
		return
	}
	for i := range v {
		v[i] = ' '
	}
	copy(v, `{}`)
}

func (it *Item) parseType(v []byte) {
	if v[0] == '"' {
		word := stringBytes(v)
		t, ok := ParseType(text(word))
		if !ok {
			t, ok = ParseType(string(bytes.ToLower(bytes.TrimSpace(word))))
		}
		if ok {
			it.Event.Type = t
			return
		}
	}
	it.refuse(UnknownType, "type must be one of track, page, screen, identify, group and alias")
}

// text reads a field that should be a string; numbers and booleans count as
// their text.
func (it *Item) text(field string, v []byte) string {
	switch {
	case len(v) == 0 || v[0] == 'n':
		return ""
	case v[0] == '"':
		return text(stringBytes(v))
	case v[0] == '{' || v[0] == '[':
		it.refuse(BadType, field+" must be a string")
		return ""
	case isZero(v):
		return "0" // however it is written: -0, 0.0, 0e5
	}
	return text(v)
}

// isZero reports whether v, a JSON number or word, is nought.
func isZero(v []byte) bool {
	for _, c := range v {
		switch {
		case c == 'e' || c == 'E':
			return true
		case c != '0' && c != '-' && c != '.':
			return false
		}
	}
	return true
}

// object reads a field that must be an object.
func (it *Item) object(field string, v []byte) []byte {
	o := object(v)
	if o == nil && len(v) > 0 && v[0] != 'n' && v[0] != '{' && !emptyArray(v) {
		it.refuse(BadType, field+" must be an object")
	}
	return o
}

// emptyArray recognises PHP's empty object.
func emptyArray(v []byte) bool {
	return len(v) > 1 && v[0] == '[' && len(bytes.TrimSpace(v[1:len(v)-1])) == 0
}

// object returns v if it is an object with members, else nil.
func object(v []byte) []byte {
	if len(v) <= len(`{}`) || v[0] != '{' {
		return nil
	}
	if s := (scanner{b: v, i: 1}); s.space() == '}' {
		return nil
	}
	return v
}

// instant reads a time; 0 when it cannot be understood.
func instant(v []byte) int64 {
	if len(v) == 0 {
		return 0
	}
	if v[0] == '"' {
		v = stringBytes(v)
	}
	ms, _ := ParseTime(text(v))
	return ms
}

// context reads the context at s.i and what matters inside it. Its address is
// and traits are only noted here: share takes them out.
func (it *Item) context(s *scanner) {
	e := it.Event
	e.Context, e.Ip, e.UserAgent = nil, "", ""
	it.server, it.hasIP, it.hasTraits, it.traits = false, false, false, nil
	if s.err != nil {
		return
	}
	if s.space() != '{' {
		it.object("context", s.value())
		return
	}
	from := s.i
	for ok := s.begin('}'); ok; ok = s.next('}') {
		key := s.key()
		v := s.value()
		if s.err != nil {
			return
		}
		switch string(key) {
		case "ip":
			e.Ip = ""
			if v[0] == '"' {
				e.Ip = text(stringBytes(v))
			}
			it.hasIP = true
		case "userAgent":
			e.UserAgent = ""
			if v[0] == '"' {
				e.UserAgent = text(stringBytes(v))
			}
		case "traits":
			it.traits, it.hasTraits = object(v), true
		case "library":
			it.server = serverLibrary(v)
		}
	}
	e.Context = object(s.b[from:s.i])
}
