// Package quarantine keeps every event that cannot be processed: whole, with a
// typed reason, so that it can be read, mended and sent again.
package quarantine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/hitolayer/hito/shared/stream"
)

// Stage is where an event was found unfit.
type Stage string

// The stages, named after the functions.
const (
	Beacon Stage = "beacon"
	Enrich Stage = "enrich"
	Score  Stage = "score"
)

// Reason says why, for programs. An event that is unfit has its event.Reason;
// these are of records that a function failed on, whatever delivered them.
type Reason string

// The reasons of records.
const (
	AttemptsExhausted Reason = "attempts_exhausted" // it failed as often as it may be delivered
	Unprocessable     Reason = "unprocessable"      // it can never succeed: see stream.Permanent
	Panic             Reason = "panic"              // the function panicked on it, as often as it may be delivered
)

// Entry is one event (or one record that cannot be read) in quarantine.
type Entry struct {
	// ID is the entry's identity: putting it again changes nothing. See NewID.
	ID      string `json:"id"`
	Project string `json:"project"`
	Stage   Stage  `json:"stage"`
	// Reason is the typed reason, an event.Reason such as "missing_id"
	// or a Reason; Detail says it in a sentence.
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	// Time is when it was accepted, Unix milliseconds.
	Time int64 `json:"time"`
	// Events is how many accepted events the entry stands for: 1, or a record's count.
	Events int `json:"events"`
	// Body is what was to be processed, whole: an event's JSON, or an encoded record.
	Body []byte `json:"body"`
}

// NewID derives an entry's identity from what it holds and discriminates by
// (the record's stream ID, the message id), so that a retry meets its own entry.
func NewID(e Entry, discriminator string) string {
	h := sha256.New()
	for _, s := range []string{e.Project, string(e.Stage), e.Reason, discriminator} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	h.Write(e.Body)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Of returns the entry of a record, delivered under its ID, that a function
// failed on for good or too often.
func Of(stage Stage, r *stream.Record, err error) Entry {
	reason := AttemptsExhausted
	if stream.IsPermanent(err) {
		reason = Unprocessable
	}
	if _, ok := errors.AsType[*stream.PanicError](err); ok {
		reason = Panic
	}
	e := Entry{
		Project: r.Project, Stage: stage, Reason: string(reason), Detail: err.Error(),
		Time: r.Time, Events: r.Events, Body: r.Data,
	}
	// Of the record alone: it may fail for another reason when it comes again.
	e.ID = NewID(Entry{Project: r.Project, Stage: stage, Body: r.Data}, r.ID)
	return e
}

// Sink takes entries in.
type Sink interface {
	// Put returns nil only after every entry is durable. Putting an ID again changes nothing.
	Put(ctx context.Context, entries []Entry) error
}

// ErrCursor is what List answers to a cursor that it never returned.
var ErrCursor = errors.New("quarantine: not a cursor of this list")

// Reader reads a project's entries.
type Reader interface {
	// List returns up to limit entries, newest first, starting after the page
	// that returned cursor; empty begins. An empty next ends. The error of a
	// cursor that List never returned is, or wraps, ErrCursor.
	List(ctx context.Context, project, cursor string, limit int) (entries []Entry, next string, err error)
}
