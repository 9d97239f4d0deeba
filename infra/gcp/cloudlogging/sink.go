// Package cloudlogging is how functions on Google Cloud tell what they measure
// and what happens: by lines on standard output and standard error, which Cloud
// Run carries to Cloud Logging. Nothing is called, and nothing is left to flush
// when the CPU is taken away between requests.
package cloudlogging

import (
	"context"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/hitolayer/hito/shared/telemetry"
)

// Sink writes measurements as structured log lines, one for each Emit:
//
//	{"severity":"INFO","message":"metrics","function":"hito-score","hito":{"events_scored":3,"lag":120}}
//
// Log-based metrics read their numbers from the member hito. A metric takes one
// number from a line, so that several values of one name are one: their sum, or
// of milliseconds the largest. The zero value writes to standard output.
//
// https://cloud.google.com/logging/docs/logs-based-metrics
type Sink struct {
	// Function is the name of the service on Cloud Run, which tells the installs of
	// a project apart; empty is what Emit is told.
	Function string
	// W gets every line in one Write; nil is standard output.
	W io.Writer

	mu   sync.Mutex
	line []byte
}

var _ telemetry.Sink = (*Sink)(nil)

// Emit writes the values that are finite. Without any it writes nothing.
func (s *Sink) Emit(_ context.Context, function string, values ...telemetry.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Function != "" {
		function = s.Function
	}
	b := append(s.line[:0], `{"severity":"INFO","message":"metrics","function":`...)
	b = appendString(b, function)
	b = append(b, `,"hito":{`...)
	from := len(b)
	for i, v := range values {
		same := func(other telemetry.Value) bool { return other.Name == v.Name && finite(other.V) }
		if !finite(v.V) || slices.ContainsFunc(values[:i], same) {
			continue
		}
		for _, other := range values[i+1:] {
			switch {
			case !same(other):
			case v.Unit == telemetry.Milliseconds:
				v.V = max(v.V, other.V)
			default:
				v.V += other.V
			}
		}
		if len(b) > from {
			b = append(b, ',')
		}
		b = appendString(b, v.Name)
		b = append(b, ':')
		b = strconv.AppendFloat(b, v.V, 'f', -1, 64)
	}
	written := len(b) > from
	b = append(b, "}}\n"...)
	s.line = b
	if written {
		var w io.Writer = os.Stdout
		if s.W != nil {
			w = s.W
		}
		_, _ = w.Write(b) // there is nobody to tell
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// appendString appends a name as a JSON string. Names are the code's own: what
// would need an escape becomes '_'.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			c = '_'
		}
		b = append(b, c)
	}
	return append(b, '"')
}
