// Package cloudwatch is how functions on Lambda tell CloudWatch what they
// measure and what happens: by lines on standard output, which Lambda carries
// there. Nothing is called, and nothing is left to flush when the CPU is frozen.
package cloudwatch

import (
	"context"
	"io"
	"math"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hitolayer/hito/shared/telemetry"
)

// Sink writes measurements in the embedded metric format, a line for each Emit:
// in the namespace "hito", with the dimension "function", whose value is
// Function. CloudWatch makes metrics of these lines by itself. The zero value
// writes to standard output.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type Sink struct {
	// Function is the name that this function has on Lambda, which tells the
	// installs of an account apart; empty is what Emit is told.
	Function string
	// W gets every line in one Write; nil is standard output.
	W io.Writer
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	mu   sync.Mutex
	line []byte
}

var _ telemetry.Sink = (*Sink)(nil)

// maxMetrics is how many metrics a line may have.
const maxMetrics = 100

// Emit writes the values that are finite, at most 100 names; several values of
// one name are one metric. Without any it writes nothing.
func (s *Sink) Emit(_ context.Context, function string, values ...telemetry.Value) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := append(s.line[:0], `{"_aws":{"Timestamp":`...)
	b = strconv.AppendInt(b, now().UnixMilli(), 10)
	b = append(b, `,"CloudWatchMetrics":[{"Namespace":"hito","Dimensions":[["function"]],"Metrics":[`...)
	metrics := 0
	for i, v := range values {
		if !first(values, i) || metrics == maxMetrics {
			continue
		}
		if metrics > 0 {
			b = append(b, ',')
		}
		metrics++
		b = append(b, `{"Name":`...)
		b = appendString(b, v.Name)
		b = append(b, `,"Unit":"`...)
		b = append(b, unit(v.Unit)...)
		b = append(b, `"}`...)
	}
	if s.Function != "" {
		function = s.Function
	}
	b = append(b, `]}]},"function":`...)
	b = appendString(b, function)
	written := 0
	for i := range values {
		if first(values, i) && written < metrics {
			written++
			b = appendValues(b, values, i)
		}
	}
	b = append(b, "}\n"...)
	s.line = b
	if metrics > 0 {
		var w io.Writer = os.Stdout
		if s.W != nil {
			w = s.W
		}
		_, _ = w.Write(b) // there is nobody to tell
	}
}

// first reports whether a value can be told, and none of its name was before.
func first(values []telemetry.Value, i int) bool {
	for _, v := range values[:i] {
		if v.Name == values[i].Name && finite(v.V) {
			return false
		}
	}
	return finite(values[i].V)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// appendValues appends the member with all values of the name that values[i] has.
func appendValues(b []byte, values []telemetry.Value, i int) []byte {
	name := values[i].Name
	b = append(b, ',')
	b = appendString(b, name)
	b = append(b, ':')
	from := len(b)
	several := false
	for _, v := range values[i:] {
		if v.Name != name || !finite(v.V) {
			continue
		}
		if len(b) > from {
			several = true
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, v.V, 'g', -1, 64)
	}
	if several {
		b = append(b, ']')
		b = append(b, 0)
		copy(b[from+1:], b[from:])
		b[from] = '['
	}
	return b
}

// unit returns the unit in CloudWatch's words, which package telemetry uses.
func unit(u telemetry.Unit) string {
	switch u {
	case telemetry.Count, telemetry.Milliseconds, telemetry.Bytes:
		return string(u)
	}
	return "None"
}

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
