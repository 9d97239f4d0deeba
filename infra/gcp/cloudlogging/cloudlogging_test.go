package cloudlogging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/telemetry"
)

// TestEmit: lines byte by byte. Cloud Logging takes severity and message out, and
// leaves the rest as jsonPayload, where log-based metrics find hito.events_scored.
// https://cloud.google.com/logging/docs/structured-logging#special-payload-fields
func TestEmit(t *testing.T) {
	const begin = `{"severity":"INFO","message":"metrics","function":"score","hito":{`
	for name, c := range map[string]struct {
		values []telemetry.Value
		want   string
	}{
		"units": {
			[]telemetry.Value{{Name: "events_scored", Unit: telemetry.Count, V: 100}, {Name: "lag", Unit: telemetry.Milliseconds, V: 12.5}, {Name: "request_bytes", Unit: telemetry.Bytes, V: 1e9}, {Name: "odd", Unit: "Furlong", V: -1}},
			begin + `"events_scored":100,"lag":12.5,"request_bytes":1000000000,"odd":-1}}` + "\n",
		},
		"what is not finite is dropped": {
			[]telemetry.Value{{Name: "a", V: math.NaN()}, {Name: "b", V: math.Inf(1)}, {Name: "c", Unit: telemetry.Count, V: 0}, {Name: "d", V: math.Inf(-1)}},
			begin + `"c":0}}` + "\n",
		},
		"several values of a name are their sum": {
			[]telemetry.Value{{Name: "a", Unit: telemetry.Count, V: math.NaN()}, {Name: "a", Unit: telemetry.Count, V: 1}, {Name: "b", Unit: telemetry.Bytes, V: 5}, {Name: "a", Unit: telemetry.Count, V: math.Inf(1)}, {Name: "a", Unit: telemetry.Count, V: 2.5}, {Name: "b", Unit: telemetry.Bytes, V: 6}},
			begin + `"a":3.5,"b":11}}` + "\n",
		},
		"of milliseconds the largest": {
			[]telemetry.Value{{Name: "lag", Unit: telemetry.Milliseconds, V: 7}, {Name: "lag", Unit: telemetry.Milliseconds, V: 30}, {Name: "lag", Unit: telemetry.Milliseconds, V: 20}},
			begin + `"lag":30}}` + "\n",
		},
		"nothing":        {nil, ""},
		"nothing finite": {[]telemetry.Value{{Name: "a", V: math.NaN()}, {Name: "a", V: math.Inf(1)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := &Sink{W: &out}
			for range 2 { // the memory is used again
				out.Reset()
				s.Emit(t.Context(), "score", c.values...)
				if out.String() != c.want {
					t.Errorf("got  %swant %s", out.String(), c.want)
				}
			}
		})
	}
}

// TestEmitIsJSON: whatever is measured, a line is JSON with what was measured.
func TestEmitIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Custom(func(t *rapid.T) telemetry.Value {
			return telemetry.Value{
				Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), Unit: telemetry.Count,
				V: rapid.OneOf(rapid.Float64Range(-1e15, 1e15), rapid.SampledFrom([]float64{0, 1e-300, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)})).Draw(t, "v"),
			}
		})
		values := rapid.SliceOf(value).Draw(t, "values")
		var out bytes.Buffer
		(&Sink{W: &out}).Emit(context.Background(), rapid.String().Draw(t, "function"), values...)
		want := map[string]float64{}
		for _, v := range values {
			if !math.IsNaN(v.V) && !math.IsInf(v.V, 0) {
				want[v.Name] += v.V
			}
		}
		if len(want) == 0 {
			if out.Len() != 0 {
				t.Fatalf("wrote %s", &out)
			}
			return
		}
		var line struct{ Hito map[string]float64 }
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || bytes.IndexByte(out.Bytes(), '\n') != out.Len()-1 || !maps.Equal(line.Hito, want) {
			t.Fatalf("%v: %s of %v", err, &out, want)
		}
	})
}

// TestEmitTellsInstallsApart: two installs in a project have metrics of their own,
// and a name is never more than a name.
func TestEmitTellsInstallsApart(t *testing.T) {
	for function, want := range map[string]string{"shop-score": "shop-score", "": "score", `odd"},"x":{\` + "\n": "odd_},_x_:{__"} {
		var out bytes.Buffer
		(&Sink{Function: function, W: &out}).Emit(t.Context(), "score", telemetry.Value{Name: "n", Unit: telemetry.Count, V: 1})
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["function"] != want || len(line) != 4 {
			t.Errorf("%q is %v, %v", function, line, err)
		}
	}
}

// TestEmitToStandardOutput: the zero Sink is ready.
func TestEmitToStandardOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stdout := os.Stdout
	os.Stdout = w
	new(Sink).Emit(t.Context(), "score", telemetry.Value{Name: "n", Unit: telemetry.Count, V: 1})
	os.Stdout = stdout
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != `{"severity":"INFO","message":"metrics","function":"score","hito":{"n":1}}`+"\n" {
		t.Errorf("%s, %v", got, err)
	}
}

// lines fails the test when a Write is not one whole line.
type lines struct {
	t     *testing.T
	mu    sync.Mutex
	count int
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if !json.Valid(p) || bytes.IndexByte(p, '\n') != len(p)-1 {
		l.t.Errorf("not one line of JSON: %q", p)
	}
	return len(p), nil
}

// TestEmitWritesWholeLines: requests that are served at a time do not mix their lines.
func TestEmitWritesWholeLines(t *testing.T) {
	w := &lines{t: t}
	s, log := &Sink{W: w}, Logger(w, slog.LevelInfo)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ctx := WithTrace(t.Context(), "shop", traceparent)
			for i := range 100 {
				s.Emit(ctx, "f", telemetry.Value{Name: "n", Unit: telemetry.Count, V: float64(i)})
				log.InfoContext(ctx, "line\nby line", "i", i)
			}
		})
	}
	wg.Wait()
	if w.count != 1600 {
		t.Errorf("%d lines of 1600", w.count)
	}
}

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// line is what a logger writes for one call.
func line(t *testing.T, write func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	write(Logger(&out, slog.LevelDebug))
	var m map[string]any
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return m
}

// TestLogger: the members that Cloud Logging takes out of a line, and that it
// leaves others alone: a severity it does not know would be DEFAULT.
// https://cloud.google.com/logging/docs/structured-logging#special-payload-fields
// https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity
func TestLogger(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "DEBUG", slog.LevelInfo: "INFO", slog.LevelInfo + 1: "INFO", slog.LevelWarn: "WARNING", slog.LevelError: "ERROR", slog.LevelError + 4: "ERROR", slog.LevelDebug - 4: "DEBUG",
	} {
		var out bytes.Buffer
		Logger(&out, slog.LevelDebug-4).Log(t.Context(), level, "told")
		if !strings.Contains(out.String(), `"severity":"`+want+`","message":"told"`) {
			t.Errorf("%s: %s", level, &out)
		}
	}
	ctx := WithTrace(t.Context(), "mycompany", traceparent)
	got := line(t, func(l *slog.Logger) {
		l.With("group", "score").ErrorContext(ctx, "records come again", "error", errors.New("away"), "level", "high", slog.Group("of", "msg", "m", "level", slog.LevelWarn))
	})
	if at, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil || time.Since(at) > time.Hour {
		t.Errorf("of %v, %v", got["time"], err)
	}
	delete(got, "time")
	if want := map[string]any{
		"severity": "ERROR", "message": "records come again", "logging.googleapis.com/trace": "projects/mycompany/traces/" + traceID,
		"group": "score", "error": "away", "level": "high", "of": map[string]any{"msg": "m", "level": "WARN"},
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	var out bytes.Buffer
	Logger(&out, slog.LevelInfo).Debug("not told")
	if out.Len() != 0 {
		t.Errorf("wrote %s", &out)
	}
}

// TestWithTrace: only what is a trace's id gets into a line.
// https://www.w3.org/TR/trace-context/#trace-id
func TestWithTrace(t *testing.T) {
	for header, want := range map[string]string{
		traceparent:                     "projects/p/traces/" + traceID,
		"01-" + traceID + "-b7-01-more": "projects/p/traces/" + traceID, // a later version may have more
		"":                              "",
		traceID:                         "",
		"00-" + traceID:                 "",
		"00-" + traceID[1:] + "-b7-01":  "",
		"00-" + traceID + "0-b7-01":     "",
		"00-" + strings.ToUpper(traceID) + "-b7-01":              "",
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01": "",
		"00-" + `4bf92f3577b34da6a3ce929d0e0e473"` + "-b7-01":    "",
		"00-../../../../../../../../../../../-b7-01":             "",
		traceID + "/11030789277;o=1":                             "", // X-Cloud-Trace-Context
	} {
		got, _ := line(t, func(l *slog.Logger) { l.InfoContext(WithTrace(t.Context(), "p", header), "told") })["logging.googleapis.com/trace"].(string)
		if got != want {
			t.Errorf("%q is the trace %q, want %q", header, got, want)
		}
	}
	if ctx := WithTrace(t.Context(), "", traceparent); ctx != t.Context() {
		t.Error("a trace in no project")
	}
}

// TestTraceInAGroup: Cloud Logging looks for the trace in the line itself.
func TestTraceInAGroup(t *testing.T) {
	ctx := WithTrace(t.Context(), "p", traceparent)
	got := line(t, func(l *slog.Logger) {
		l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").InfoContext(ctx, "told", "c", 3)
	})
	want := map[string]any{"b": 2.0, "h": map[string]any{"c": 3.0}}
	if got["logging.googleapis.com/trace"] != "projects/p/traces/"+traceID || got["a"] != 1.0 || !reflect.DeepEqual(got["g"], want) {
		t.Errorf("%v", got)
	}
}

// TestLoggerIsAHandler: what slog asks of a handler holds, with a trace too.
func TestLoggerIsAHandler(t *testing.T) {
	for _, trace := range []string{"", traceparent} {
		var out bytes.Buffer
		h := Logger(&out, slog.LevelInfo).Handler()
		if trace != "" {
			h = traced{h}
		}
		err := slogtest.TestHandler(h, func() []map[string]any {
			var all []map[string]any
			for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
				m := map[string]any{}
				if err := json.Unmarshal([]byte(line), &m); err != nil {
					t.Fatal(err)
				}
				for ours, slogs := range map[string]string{"severity": slog.LevelKey, "message": slog.MessageKey} {
					if v, ok := m[ours]; ok {
						m[slogs] = v
					}
				}
				if m["logging.googleapis.com/trace"] != nil == (trace == "") {
					t.Errorf("trace %q: %s", trace, line)
				}
				all = append(all, m)
			}
			return all
		})
		if err != nil {
			t.Errorf("trace %q: %v", trace, err)
		}
	}
}

// traced has all that is logged belong to a trace.
type traced struct{ slog.Handler }

func (x traced) Handle(ctx context.Context, r slog.Record) error {
	return x.Handler.Handle(WithTrace(ctx, "p", traceparent), r)
}
func (x traced) WithAttrs(a []slog.Attr) slog.Handler {
	return traced{x.Handler.WithAttrs(slices.Clone(a))}
}
func (x traced) WithGroup(name string) slog.Handler { return traced{x.Handler.WithGroup(name)} }
