package event

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/project"
)

// Decoder reads one request's body in one protocol and adds what it holds to
// the batch. It judges form only; Batch.Check judges the rest, the same for all
// protocols. t is the type the path names, TYPE_UNSPECIFIED when the body is a
// batch. The batch keeps parts of body, and may change it. An error is an
// *Error: nothing of the request can be read.
type Decoder func(b *Batch, body []byte, t Type) error

// Batch is one request's events. Its zero value is empty; Reset makes it so
// again and keeps its memory.
type Batch struct {
	// WriteKey is the one in the body, if any.
	WriteKey string
	// Items are the events in the order they were sent.
	Items []Item

	events  []*Event // reused
	scratch []byte   // rewritten contexts
	shared  shared
}

// Item is one event of a batch, or why it is none.
type Item struct {
	// Event is never nil. It shares the batch's memory: use it up before Reset.
	Event *Event
	// Reason is empty for an event that was accepted.
	Reason Reason
	// Detail says the reason in a sentence.
	Detail string

	raw []byte
	// Where the context is in raw, and what is missing in raw beside it.
	contextFrom, contextTo int
	hasType, hasSentAt     bool
	// server is set for SDKs that run on servers: neither the request's address
	// nor its user agent is the visitor's.
	server bool
	// hasIP is set while Event.Context holds an ip.
	hasIP bool
	// traits is context.traits, which share moves; hasTraits is set when the
	// context says them, be it to say that there are none.
	traits    []byte
	hasTraits bool
	// hasBatch is set when the event is a batch in truth.
	hasBatch bool
	address  project.AddressPolicy
}

// refuse gives the item a reason, unless it has one.
func (it *Item) refuse(reason Reason, detail string) {
	if it.Reason == "" {
		it.Reason, it.Detail = reason, detail
	}
}

// Reset empties the batch.
func (b *Batch) Reset() {
	clear(b.Items)
	*b = Batch{Items: b.Items[:0], events: b.events, scratch: b.scratch[:0]}
	const keep = 512 // what a big batch took is not kept for small ones
	if len(b.events) > keep {
		b.events = slices.Clone(b.events[:keep])
	}
	if cap(b.Items) > keep {
		b.Items = nil
	}
	if cap(b.scratch) > MaxBatchSize {
		b.scratch = nil
	}
}

// add appends an item with an empty event.
func (b *Batch) add() *Item {
	n := len(b.Items)
	if n == len(b.events) {
		b.events = append(b.events, new(Event))
	}
	b.events[n].Reset()
	b.Items = append(b.Items, Item{Event: b.events[n]})
	return &b.Items[n]
}

// Terms are what a batch's events are checked against and completed with.
type Terms struct {
	// ReceivedAt is when the request came, Unix milliseconds.
	ReceivedAt int64
	// IP and UserAgent are the request's, for events that bring none and that
	// no server sent for its visitors.
	IP, UserAgent string
	Address       project.AddressPolicy
	Junk          Junk
	// NewID mints message ids.
	NewID func() string
}

// Check gives every event that cannot be accepted its reason, and completes all
// others: message id, time, address (as the policy says) and user agent.
func (b *Batch) Check(t Terms) {
	t.IP = Address(t.Address, t.IP)
	t.UserAgent = strings.ToValidUTF8(t.UserAgent, "") // a header may hold any bytes
	for i := range b.Items {
		t.check(&b.Items[i])
	}
}

func (t *Terms) check(it *Item) {
	e := it.Event
	it.address = t.Address
	if e.Ip != "" {
		e.Ip = Address(t.Address, e.Ip)
	}
	if e.Ip == "" && !it.server {
		e.Ip = t.IP
	}
	if e.UserAgent == "" && !it.server {
		e.UserAgent = t.UserAgent
	}
	e.UserAgent = cleanAgent(e.UserAgent)
	e.Timestamp = Correct(t.ReceivedAt, e.SentAt, e.OriginalTimestamp)
	switch {
	case !validID(e.MessageId):
		it.refuse(InvalidID, "messageId is too long or holds broken characters")
		e.MessageId = t.NewID()
	case t.Junk.Has(e.MessageId):
		e.MessageId = t.NewID()
	}
	if it.Reason != "" {
		return
	}
	junk := ""
	for _, id := range [...]struct {
		field string
		value *string
	}{{"userId", &e.UserId}, {"anonymousId", &e.AnonymousId}, {"previousId", &e.PreviousId}, {"groupId", &e.GroupId}} {
		if *id.value == "" {
			continue
		}
		if t.Junk.Has(*id.value) {
			junk = id.field
			*id.value = ""
		} else if !validID(*id.value) {
			it.refuse(InvalidID, id.field+" is too long or holds broken characters")
		}
	}
	missing := func(detail string) {
		if junk != "" {
			it.refuse(JunkID, junk+" is junk, and "+detail)
		} else {
			it.refuse(MissingID, detail)
		}
	}
	switch {
	case e.UserId == "" && e.AnonymousId == "":
		missing("the event has neither a userId nor an anonymousId")
	case e.Type == Type_TYPE_ALIAS && (e.UserId == "" || e.PreviousId == "" && e.AnonymousId == ""):
		missing("an alias needs a userId and a previousId")
	case e.Type == Type_TYPE_GROUP && e.GroupId == "":
		missing("a group needs a groupId")
	case e.Type == Type_TYPE_TRACK && strings.TrimSpace(e.Name) == "":
		it.refuse(MissingEventName, "a track event needs an event name")
	case len(e.Name) > MaxName || len(e.Category) > MaxName:
		it.refuse(InvalidName, "the event's name or category is too long")
	}
	e.Name, e.Category = withoutNUL(e.Name), withoutNUL(e.Category)
}

// withoutNUL spares databases and C programs further on.
func withoutNUL(s string) string {
	if strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", string(utf8.RuneError))
}

// cleanAgent bounds a user agent.
func cleanAgent(s string) string {
	if len(s) > MaxUserAgent {
		s = strings.ToValidUTF8(s[:MaxUserAgent], "")
	}
	return withoutNUL(s)
}

// Body returns the event's JSON for quarantine, in memory of its own: what was
// sent, with what the request said for all its events, so that it can be sent
// again by itself, and with no more of the address, or of any member called ip
// however deep, than the policy keeps. Call it after Check.
func (it *Item) Body() []byte {
	body := it.body()
	if it.address != project.Keep {
		body = redact(it.address, body)
	}
	return body
}

func (it *Item) body() []byte {
	raw := it.raw
	if len(raw) == 0 || raw[0] != '{' {
		return slices.Clone(raw)
	}
	out := make([]byte, 0, len(raw)+128)
	out = append(out, '{')
	if !it.hasType && it.Event.Type != Type_TYPE_UNSPECIFIED {
		out = append(out, `"type":"`+it.Event.Type.Word()+`",`...)
	}
	if !it.hasSentAt && it.Event.SentAt != 0 {
		out = append(out, `"sentAt":"`+time.UnixMilli(it.Event.SentAt).UTC().Format(time.RFC3339Nano)+`",`...)
	}
	if it.contextTo > 0 && raw[it.contextFrom] != '{' {
		return append(out, raw[1:]...)
	}
	if context := it.wholeContext(); it.contextTo > 0 {
		out = append(out, raw[1:it.contextFrom]...)
		out = append(out, context...)
		return append(out, raw[it.contextTo:]...)
	} else if len(context) > len(`{}`) {
		out = append(append(append(out, `"context":`...), context...), ',')
	}
	if n := len(out); out[n-1] == ',' && object(raw) == nil {
		out = out[:n-1]
	}
	return append(out, raw[1:]...)
}

// wholeContext returns the event's context with its address and traits put back.
func (it *Item) wholeContext() []byte {
	context := it.Event.Context
	if len(context) == 0 {
		context = []byte(`{}`)
	}
	out := []byte{'{'}
	if it.Event.Ip != "" {
		out = append(append(append(out, `"ip":"`...), it.Event.Ip...), `",`...)
	}
	if it.traits != nil {
		out = append(append(append(out, `"traits":`...), it.traits...), ',')
	}
	if n := len(out); n > 1 && len(context) == len(`{}`) {
		out = out[:n-1]
	}
	return append(out, context[1:]...)
}
