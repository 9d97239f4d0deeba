// Package telemetry is one interface for what functions measure of
// themselves. Each platform encodes it in its own way: Prometheus in one
// process, structured log lines in the clouds.
package telemetry

import "context"

// Unit is a value's unit, in CloudWatch's words.
type Unit string

// The units in use.
const (
	Count        Unit = "Count"
	Milliseconds Unit = "Milliseconds"
	Bytes        Unit = "Bytes"
)

// Value is one measurement.
type Value struct {
	// Name in snake case without unit, such as "events_scored".
	Name string
	Unit Unit
	V    float64
}

// Sink takes the measurements of one batch or request.
type Sink interface {
	Emit(ctx context.Context, function string, values ...Value)
}

// Discard is a Sink that keeps nothing.
type Discard struct{}

// Emit does nothing.
func (Discard) Emit(context.Context, string, ...Value) {}
