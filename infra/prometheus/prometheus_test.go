package prometheus

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/hitolayer/hito/shared/telemetry"
)

func scrape(t *testing.T, s *Sink) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestScrapeShowsEachUnit(t *testing.T) {
	s := new(Sink)
	s.Emit(t.Context(), "score",
		telemetry.Value{Name: "events_scored", Unit: telemetry.Count, V: 3},
		telemetry.Value{Name: "latency", Unit: telemetry.Milliseconds, V: 250},
		telemetry.Value{Name: "batch", Unit: telemetry.Bytes, V: 1000},
		telemetry.Value{Name: "request_bytes", Unit: telemetry.Bytes, V: 10})
	s.Emit(t.Context(), "score", telemetry.Value{Name: "events_scored", Unit: telemetry.Count, V: 4})
	s.Emit(t.Context(), "enrich", telemetry.Value{Name: "events_scored", Unit: telemetry.Count, V: 1})
	got := scrape(t, s)
	for _, want := range []string{
		`hito_events_scored_total{function="score"} 7`,
		`hito_events_scored_total{function="enrich"} 1`,
		"# TYPE hito_events_scored_total counter",
		"# TYPE hito_latency_seconds histogram",
		`hito_latency_seconds_sum{function="score"} 0.25`,
		`hito_latency_seconds_count{function="score"} 1`,
		`hito_batch_bytes_sum{function="score"} 1000`,
		`hito_request_bytes_sum{function="score"} 10`,
		"process_cpu_seconds_total ",
		"process_resident_memory_bytes ",
		"go_goroutines ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("scrape lacks %q", want)
		}
	}
}

func TestOneNameInEveryUnit(t *testing.T) {
	s := new(Sink)
	for _, unit := range []telemetry.Unit{telemetry.Count, telemetry.Milliseconds, telemetry.Bytes} {
		for _, function := range []string{"a", "b"} {
			s.Emit(t.Context(), function, telemetry.Value{Name: "x", Unit: unit, V: 1})
		}
	}
	got := scrape(t, s)
	for _, want := range []string{`hito_x_total{function="a"} 1`, `hito_x_seconds_sum{function="b"} 0.001`, `hito_x_bytes_sum{function="b"} 1`} {
		if !strings.Contains(got, want) {
			t.Errorf("scrape lacks %q", want)
		}
	}
}

func TestRefusesWhatPrometheusCannotTake(t *testing.T) {
	s := new(Sink)
	for _, v := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		s.Emit(t.Context(), "score", telemetry.Value{Name: "odd", Unit: telemetry.Count, V: v})
		s.Emit(t.Context(), "score", telemetry.Value{Name: "odd", Unit: telemetry.Milliseconds, V: v})
	}
	s.Emit(t.Context(), "score", telemetry.Value{Name: "a name!\n", Unit: telemetry.Count, V: 2})
	got := scrape(t, s)
	if want := "hito_telemetry_refused_total 8"; !strings.Contains(got, want) {
		t.Errorf("scrape lacks %q", want)
	}
	if strings.Contains(got, "hito_odd") {
		t.Error("a refused value made a series")
	}
	if want := `hito_a_name___total{function="score"} 2`; !strings.Contains(got, want) {
		t.Errorf("scrape lacks %q", want)
	}
}

func TestRegisteredCollectorsAreScraped(t *testing.T) {
	s := new(Sink)
	s.Register(client.NewGaugeFunc(client.GaugeOpts{Name: "hito_engine_lag", Help: "x"}, func() float64 { return 7 }))
	if got := scrape(t, s); !strings.Contains(got, "hito_engine_lag 7") {
		t.Error("scrape lacks the registered collector")
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	w := httptest.NewRecorder()
	new(Sink).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestManyEmittersAtOnce(t *testing.T) {
	s := new(Sink)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				s.Emit(t.Context(), "score", telemetry.Value{Name: string(rune('a' + i%5)), Unit: telemetry.Count, V: 1})
			}
		})
	}
	wg.Wait()
	got := scrape(t, s)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if want := "hito_" + name + `_total{function="score"} 160`; !strings.Contains(got, want) {
			t.Errorf("scrape lacks %q", want)
		}
	}
}

func BenchmarkEmit(b *testing.B) {
	s := new(Sink)
	values := []telemetry.Value{
		{Name: "events_scored", Unit: telemetry.Count, V: 10},
		{Name: "latency", Unit: telemetry.Milliseconds, V: 12},
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Emit(b.Context(), "score", values...)
	}
}
