// Package profile is the domain's core: a fragment is a fold over the set of
// one visitor key's events, and a person is the view over a user's fragment and
// the anonymous fragments that user claims.
//
// The one law: any order, any repetition, same result. Folding is commutative,
// associative and, within the dedupe window, idempotent; Merge joins folds of
// disjoint sets. See docs/adr for what follows from it.
package profile

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hitolayer/hito/shared/decimal"
	"github.com/hitolayer/hito/shared/event"
)

// Key names a fragment.
type Key struct {
	Project string
	// Visitor is a visitor key: "u:<userId>" or "a:<anonymousId>".
	Visitor string
}

func (k Key) String() string { return k.Project + "/" + k.Visitor }

// User returns the user id, ok when the key is a user's.
func (k Key) User() (id string, ok bool) { return strings.CutPrefix(k.Visitor, event.UserPrefix) }

// Anonymous returns the anonymous id, ok when the key is an anonymous visitor's.
func (k Key) Anonymous() (id string, ok bool) {
	return strings.CutPrefix(k.Visitor, event.AnonymousPrefix)
}

// Store keeps fragments. Package storetest holds the conformance suite every
// adapter passes.
type Store interface {
	// Load returns the fragment of every key, in order. One that was never saved
	// is empty with Version 0. The caller owns what it gets. Load sees every
	// Save that returned before it began.
	Load(ctx context.Context, keys []Key) ([]*Fragment, error)
	// Save writes each fragment if its stored version is still Fragment.Version,
	// and counts Version up in the ones it wrote. The keys must differ. Fragments
	// are written independently of each other: an error of type *ConflictError
	// names those that were not written because somebody else was faster; after
	// any other error, load again to learn which were. Save takes what it needs
	// before it returns.
	Save(ctx context.Context, fragments []*Fragment) error
}

// ConflictError says which fragments were not saved because their stored
// version was another: load them again and repeat.
type ConflictError struct {
	// Index holds positions in Save's argument, ascending.
	Index []int
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("profile: %d fragments changed since they were loaded", len(e.Index))
}

// Fragment is the stored state of one visitor key.
type Fragment struct {
	Key Key
	// Version counts saves, 0 before the first. Stores own it.
	Version uint64
	// State is never nil.
	State *State

	window window
}

// NewFragment returns the empty fragment of a key.
func NewFragment(key Key) *Fragment { return &Fragment{Key: key, State: &State{}} }

// Kind is how a metric aggregates.
type Kind uint8

// The kinds of metric.
const (
	Count Kind = iota + 1
	Sum
	Min
	Max
	First
	Last
	Distinct
	Decayed // a sum whose values halve every HalfLife
)

// Metric is an aggregate kept in fragments.
type Metric struct {
	// ID is a hash of everything that defines the metric, so that a changed
	// definition does not go on with the old one's state.
	ID   uint64
	Kind Kind
	// Window is the trailing span of event time the metric covers, 0 for all time.
	Window time.Duration
	// Bucket is the width of the window's (or the decay's) time buckets.
	Bucket time.Duration
	// HalfLife is for Decayed only.
	HalfLife time.Duration
}

// Value is what an event contributes to a metric: a number or a text.
type Value struct {
	Number   decimal.D
	Text     string
	IsNumber bool
}

// Number returns a numeric value.
func Number(d decimal.D) Value { return Value{Number: d, IsNumber: true} }

// Text returns a text value.
func Text(s string) Value { return Value{Text: s} }

// Contribution is one value for one metric.
type Contribution struct {
	Metric *Metric
	// Value is ignored by Count.
	Value Value
}

// Extractor says what an event contributes to which metrics. It must be a pure
// function of the event.
type Extractor interface {
	// Extract appends the event's contributions to into and returns it.
	Extract(e *event.Event, into []Contribution) []Contribution
}
