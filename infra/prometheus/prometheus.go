// Package prometheus is the telemetry sink of a process that Prometheus
// scrapes: what functions measure, and what the process itself uses.
package prometheus

import (
	"context"
	"maps"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hitolayer/hito/shared/telemetry"
)

// Sink keeps measurements for Prometheus, labelled with their function:
//
//   - a Count named "events_scored" is the counter hito_events_scored_total;
//   - Milliseconds named "latency" are the histogram hito_latency_seconds;
//   - Bytes named "request" or "request_bytes" are the histogram hito_request_bytes.
//
// Beside them stand the process's CPU, memory, descriptors and Go runtime.
// Its zero value works. It must not be copied.
type Sink struct {
	start    sync.Once
	registry *client.Registry
	refused  client.Counter

	// series is replaced, never changed, so that Emit takes no lock. There are
	// as many as there are names in the code.
	series atomic.Pointer[map[series]func(float64)]
	mu     sync.Mutex // guards vectors, and the replacing of series
	vecs   map[string]client.Collector
}

var _ telemetry.Sink = (*Sink)(nil)

type series struct {
	function, name string
	unit           telemetry.Unit
}

// Half a millisecond to a minute, 64 bytes to 16 MiB.
var (
	secondsBuckets = client.ExponentialBucketsRange(0.0005, 60, 18)
	bytesBuckets   = client.ExponentialBuckets(64, 4, 10)
)

func (s *Sink) init() {
	s.registry = client.NewRegistry()
	s.refused = client.NewCounter(client.CounterOpts{
		Name: "hito_telemetry_refused_total",
		Help: "Measurements not kept: not finite, or a count below 0.",
	})
	s.registry.MustRegister(s.refused,
		collectors.NewGoCollector(),
		collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.vecs = map[string]client.Collector{}
	s.series.Store(&map[series]func(float64){})
}

// Emit adds the values to their series. A value that Prometheus cannot take
// (not finite, or a count below 0) is counted in hito_telemetry_refused_total.
func (s *Sink) Emit(_ context.Context, function string, values ...telemetry.Value) {
	s.start.Do(s.init)
	known := *s.series.Load()
	for _, v := range values {
		if math.IsNaN(v.V) || math.IsInf(v.V, 0) || v.V < 0 {
			s.refused.Inc()
			continue
		}
		key := series{function, v.Name, v.Unit}
		observe, ok := known[key]
		if !ok {
			observe = s.add(key)
			known = *s.series.Load()
		}
		observe(v.V)
	}
}

// add makes the series of a function and name seen for the first time.
func (s *Sink) add(key series) func(float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := *s.series.Load()
	if observe, ok := known[key]; ok {
		return observe
	}
	var observe func(float64)
	name := metricName(key.name)
	switch key.unit {
	case telemetry.Milliseconds:
		h := s.histogram(name+"_seconds", secondsBuckets).WithLabelValues(key.function)
		observe = func(v float64) { h.Observe(v / 1000) }
	case telemetry.Bytes:
		observe = s.histogram(strings.TrimSuffix(name, "_bytes")+"_bytes", bytesBuckets).WithLabelValues(key.function).Observe
	default:
		observe = s.counter(name + "_total").WithLabelValues(key.function).Add
	}
	grown := maps.Clone(known)
	grown[key] = observe
	s.series.Store(&grown)
	return observe
}

func (s *Sink) counter(name string) *client.CounterVec {
	vec, ok := s.vecs[name].(*client.CounterVec)
	if !ok {
		vec = client.NewCounterVec(client.CounterOpts{Name: name, Help: help(name)}, []string{"function"})
		s.registry.MustRegister(vec)
		s.vecs[name] = vec
	}
	return vec
}

func (s *Sink) histogram(name string, buckets []float64) *client.HistogramVec {
	vec, ok := s.vecs[name].(*client.HistogramVec)
	if !ok {
		vec = client.NewHistogramVec(client.HistogramOpts{Name: name, Help: help(name), Buckets: buckets}, []string{"function"})
		s.registry.MustRegister(vec)
		s.vecs[name] = vec
	}
	return vec
}

// metricName is the name with whatever Prometheus does not allow replaced.
func metricName(name string) string {
	return "hito_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, name)
}

func help(name string) string {
	return strings.ReplaceAll(strings.TrimPrefix(name, "hito_"), "_", " ") + ", by function."
}

// ServeHTTP answers a scrape in Prometheus' formats.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.start.Do(s.init)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, `{"success":false,"error":{"code":"method_not_allowed","message":"use GET"}}`, http.StatusMethodNotAllowed)
		return
	}
	promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}).ServeHTTP(w, r)
}

// Register adds measurements that are taken when Prometheus asks. It panics
// when they are there already.
func (s *Sink) Register(c client.Collector) {
	s.start.Do(s.init)
	s.registry.MustRegister(c)
}
