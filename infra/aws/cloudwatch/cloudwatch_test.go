package cloudwatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/hitolayer/hito/shared/telemetry"
)

func at() time.Time { return time.UnixMilli(1_700_000_000_123) }

func TestEmit(t *testing.T) {
	for name, c := range map[string]struct {
		values []telemetry.Value
		want   string
	}{
		"units": {
			[]telemetry.Value{{Name: "events_scored", Unit: telemetry.Count, V: 100}, {Name: "latency", Unit: telemetry.Milliseconds, V: 12.5}, {Name: "request_bytes", Unit: telemetry.Bytes, V: 1e9}, {Name: "odd", Unit: "Furlong", V: -1}},
			`{"_aws":{"Timestamp":1700000000123,"CloudWatchMetrics":[{"Namespace":"hito","Dimensions":[["function"]],"Metrics":[{"Name":"events_scored","Unit":"Count"},{"Name":"latency","Unit":"Milliseconds"},{"Name":"request_bytes","Unit":"Bytes"},{"Name":"odd","Unit":"None"}]}]},"function":"score","events_scored":100,"latency":12.5,"request_bytes":1e+09,"odd":-1}` + "\n",
		},
		"what is not finite is dropped": {
			[]telemetry.Value{{Name: "a", V: math.NaN()}, {Name: "b", V: math.Inf(1)}, {Name: "c", Unit: telemetry.Count, V: 0}, {Name: "d", V: math.Inf(-1)}},
			`{"_aws":{"Timestamp":1700000000123,"CloudWatchMetrics":[{"Namespace":"hito","Dimensions":[["function"]],"Metrics":[{"Name":"c","Unit":"Count"}]}]},"function":"score","c":0}` + "\n",
		},
		"several values of a name": {
			[]telemetry.Value{{Name: "a", Unit: telemetry.Count, V: 1}, {Name: "b", Unit: telemetry.Count, V: 5}, {Name: "a", Unit: telemetry.Count, V: math.NaN()}, {Name: "a", Unit: telemetry.Count, V: 2.5}},
			`{"_aws":{"Timestamp":1700000000123,"CloudWatchMetrics":[{"Namespace":"hito","Dimensions":[["function"]],"Metrics":[{"Name":"a","Unit":"Count"},{"Name":"b","Unit":"Count"}]}]},"function":"score","a":[1,2.5],"b":5}` + "\n",
		},
		"nothing": {nil, ""},
		"nothing finite": {
			[]telemetry.Value{{Name: "a", V: math.NaN()}}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := &Sink{W: &out, Now: at}
			s.Emit(t.Context(), "score", c.values...)
			if out.String() != c.want {
				t.Errorf("got  %swant %s", out.String(), c.want)
			}
			if c.want != "" && !json.Valid(out.Bytes()) {
				t.Error("not JSON")
			}
		})
	}
}

// TestEmitTellsInstallsApart: two installs in an account have metrics of their own.
func TestEmitTellsInstallsApart(t *testing.T) {
	var out bytes.Buffer
	(&Sink{Function: "shop-score", W: &out, Now: at}).Emit(t.Context(), "score", telemetry.Value{Name: "n", Unit: telemetry.Count, V: 1})
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["function"] != "shop-score" {
		t.Errorf("the dimension is %v, want shop-score", line["function"])
	}
}

func TestEmitBoundsMetrics(t *testing.T) {
	values := make([]telemetry.Value, 150)
	for i := range values {
		values[i] = telemetry.Value{Name: "m" + strconv.Itoa(i), Unit: telemetry.Count, V: float64(i)}
	}
	var out bytes.Buffer
	(&Sink{W: &out, Now: at}).Emit(t.Context(), `odd"\`+"\n", values...)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if len(line) != maxMetrics+2 || line["m99"] != 99.0 || line["function"] != "odd___" {
		t.Errorf("%d members, m99 %v, function %v", len(line), line["m99"], line["function"])
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

func TestEmitWritesWholeLines(t *testing.T) {
	w := &lines{t: t}
	s := &Sink{W: w}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				s.Emit(context.Background(), "f", telemetry.Value{Name: "n", Unit: telemetry.Count, V: float64(i)})
			}
		})
	}
	wg.Wait()
	if w.count != 800 {
		t.Errorf("%d lines of 800", w.count)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestEmitOutlivesItsWriter(t *testing.T) {
	(&Sink{W: broken{}}).Emit(t.Context(), "f", telemetry.Value{Name: "n", V: 1})
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log := Logger(&out, slog.LevelInfo)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "req-1"})
	log.DebugContext(ctx, "not told")
	log.With("group", "score").ErrorContext(ctx, "records come again", "time", "shadow", "error", errors.New("away"))
	log.Info("outside")
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != 2 {
		t.Fatalf("%d lines: %s", len(got), out.String())
	}
	var first, second map[string]any
	if err := errors.Join(json.Unmarshal([]byte(got[0]), &first), json.Unmarshal([]byte(got[1]), &second)); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"level": "ERROR", "message": "records come again", "requestId": "req-1", "group": "score", "error": "away"} {
		if first[key] != want {
			t.Errorf("%s is %v, want %v", key, first[key], want)
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, first["timestamp"].(string)); err != nil {
		t.Error(err)
	}
	if _, ok := second["requestId"]; ok {
		t.Error("a request id outside of a request")
	}
}

func TestLoggerIsAHandler(t *testing.T) {
	var out bytes.Buffer
	undo := strings.NewReplacer(`{"timestamp":`, `{"time":`, `,"message":`, `,"msg":`)
	err := slogtest.TestHandler(Logger(&out, slog.LevelInfo).Handler(), func() []map[string]any {
		var all []map[string]any
		for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
			m := map[string]any{}
			if err := json.Unmarshal([]byte(undo.Replace(line)), &m); err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

func BenchmarkEmit(b *testing.B) {
	s := &Sink{W: io.Discard}
	values := []telemetry.Value{{Name: "requests", Unit: telemetry.Count, V: 1}, {Name: "request_bytes", Unit: telemetry.Bytes, V: 661}, {Name: "events_received", Unit: telemetry.Count, V: 10}}
	b.ReportAllocs()
	for b.Loop() {
		s.Emit(b.Context(), "beacon", values...)
	}
}
