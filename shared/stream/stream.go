// Package stream is how records travel between functions: a Publisher on one
// side, a Handler on the other, and between them something durable that
// delivers at least once, in batches, with no promise of order.
//
// Package streamtest holds the conformance suite every adapter passes.
package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// Record is one visitor key and a run of its events accepted together, as a
// stream carries it.
type Record struct {
	// Project and Key choose the partition: records that share both are
	// delivered by one consumer at a time.
	Project string
	// Key is the visitor key.
	Key string
	// Events is how many events Data carries: what ledgers and lag count in.
	Events int
	// Time is when the run was accepted, Unix milliseconds.
	Time int64
	// Data is the encoded run (event.Record on the raw and enriched streams,
	// an action on the actions stream). A handler must not keep it past its return.
	Data []byte
	// ID is the record's place on the stream, for logs and quarantine. Set on delivery.
	ID string
	// Attempt counts deliveries from 1, as far as the stream tells them apart. Set on delivery.
	Attempt int
}

// Publisher puts records on one stream.
type Publisher interface {
	// Publish returns nil only after every record is durable. An error that is a
	// Failures (itself, not one it wraps) names those that are not, by position; any
	// other error says that none may be taken as durable. Publishing a record again is always safe.
	// It takes what it needs from the records before it returns.
	Publish(ctx context.Context, records []Record) error
}

// Handler consumes batches of one stream. An error that is a Failures (itself,
// not one it wraps, which may speak of another batch) names the failed records,
// all others succeeded; any other error fails the whole batch.
// What failed permanently goes to quarantine, the rest is redelivered. Records
// may come again after success, so a handler's effects must bear repetition.
type Handler func(ctx context.Context, records []Record) error

// Failure is one record's failure.
type Failure struct {
	// Index is the record's position in the batch.
	Index int
	Err   error
}

// Failures names the failed records of a batch, by ascending position.
type Failures []Failure

func (f Failures) Error() string {
	if len(f) == 1 {
		return fmt.Sprintf("record %d: %v", f[0].Index, f[0].Err)
	}
	return fmt.Sprintf("%d records failed, first record %d: %v", len(f), f[0].Index, f[0].Err)
}

// Unwrap returns every record's error.
func (f Failures) Unwrap() []error {
	errs := make([]error, len(f))
	for i := range f {
		errs[i] = f[i].Err
	}
	return errs
}

// OrNil returns f as an error, nil when it names no record.
func (f Failures) OrNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// permanent marks an error that redelivery will not mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as one that redelivery will not mend: the record goes to quarantine.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether err, or an error it wraps, is marked Permanent.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[permanent](err)
	return ok
}

// PanicError is a handler's panic.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Call calls h; its panic is an error of type *PanicError.
func Call(ctx context.Context, h Handler, records []Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return h(ctx, records)
}
