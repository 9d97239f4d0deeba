// Package ledger balances, per minute and project, what came in against what
// became of it: accepted = scored + duplicate + quarantined + suppressed + in flight.
package ledger

import (
	"context"
	"maps"
)

// Counts is what happened to the events accepted in one span of time.
type Counts struct {
	Accepted    int64 `json:"accepted"`
	Scored      int64 `json:"scored"`
	Duplicate   int64 `json:"duplicate"`
	Quarantined int64 `json:"quarantined"`
	// Suppressed were accepted before their person was erased, and came after.
	Suppressed int64 `json:"suppressed"`
}

// InFlight is what was accepted and has no outcome yet.
func (c Counts) InFlight() int64 {
	return c.Accepted - c.Scored - c.Duplicate - c.Quarantined - c.Suppressed
}

// Plus adds d to c.
func (c Counts) Plus(d Counts) Counts {
	c.Accepted += d.Accepted
	c.Scored += d.Scored
	c.Duplicate += d.Duplicate
	c.Quarantined += d.Quarantined
	c.Suppressed += d.Suppressed
	return c
}

// Delta is a change to one project's ledger.
type Delta struct {
	Project string
	// Source is the ID of the stream's record it comes from, empty for none: a
	// redelivery of the record gives the same Whole.
	Source string
	// Minute is the minute of acceptance, Unix seconds divided by 60: every
	// outcome is booked to the minute its event was accepted in.
	Minute int64
	Counts Counts
	// Again is what an earlier delivery of the Source had come to. Who books in
	// the same write that saves the outcome has booked it then.
	Again Counts
	// People is how many persons appeared, negative when two became one or one was erased.
	People int64
	// Segments is by how many persons each segment grew.
	Segments map[string]int64
}

// Whole returns the delta as if the record came for the first time: what a
// Committer books, once for each Source.
func (d Delta) Whole() Delta {
	d.Counts, d.Again = d.Counts.Plus(d.Again), Counts{}
	return d
}

// Totals is a project's balance.
type Totals struct {
	Counts
	InFlight int64            `json:"in_flight"`
	People   int64            `json:"people"`
	Segments map[string]int64 `json:"segments"`
}

// Add books d into the totals.
func (t *Totals) Add(d Delta) {
	t.Counts = t.Counts.Plus(d.Counts)
	t.InFlight = t.Counts.InFlight()
	t.People += d.People
	if t.Segments == nil {
		t.Segments = maps.Clone(d.Segments)
		return
	}
	for s, n := range d.Segments {
		t.Segments[s] += n
	}
}

// Minute is one minute of a project's series.
type Minute struct {
	// Minute is its begin, Unix seconds divided by 60.
	Minute int64 `json:"minute"`
	Counts
	InFlight int64 `json:"in_flight"`
}

// Recorder books outcomes. Acceptance is booked by whatever makes the raw
// record durable, in the same write; where a stream cannot, by its consumer.
type Recorder interface {
	Record(ctx context.Context, deltas []Delta) error
}

// Booking is what became of one record of a log, at its position.
type Booking struct {
	// Sequence is a decimal number of any size, which ascends along the log; empty
	// for what has no position, which is always booked.
	Sequence string
	Deltas   []Delta
}

// Committer books what delivered batches came to, each record once however
// often it is delivered.
type Committer interface {
	// Commit books, of one log, the bookings that come after what is booked of it
	// already. After an error some may be booked: to commit them again books the rest.
	Commit(ctx context.Context, log string, bookings []Booking) error
	// CommitOnce books deltas unless something was booked under the id before.
	CommitOnce(ctx context.Context, id string, deltas []Delta) error
}

// Reader reads a project's ledger.
type Reader interface {
	Totals(ctx context.Context, project string) (Totals, error)
	// Minutes returns the minutes from first to last inclusive that have counts, in order.
	Minutes(ctx context.Context, project string, first, last int64) ([]Minute, error)
}
