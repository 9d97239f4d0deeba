package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hitolayer/hito/infra/local"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/rules"
)

// engineCollector shows Prometheus the embedded engine's own measurements, and
// what became of the projects' rules.
type engineCollector struct {
	db       *local.DB
	projects *project.Registry
	rules    *rules.Set
}

var engineMetrics = map[string]*prometheus.Desc{}

func describe(name, help string, labels ...string) string {
	engineMetrics[name] = prometheus.NewDesc(name, help, labels, nil)
	return name
}

var (
	syncs          = describe("hito_engine_syncs_total", "Times a file was synced to disk.")
	syncSeconds    = describe("hito_engine_sync_seconds_total", "Time these syncs took.")
	checkpoints    = describe("hito_engine_checkpoints_total", "Times the fragments changed were written.")
	checkpointSecs = describe("hito_engine_checkpoint_seconds_total", "Time these checkpoints took.")
	fragments      = describe("hito_engine_fragments_written_total", "Fragments written by checkpoints.")
	cacheHits      = describe("hito_engine_cache_hits_total", "Fragments found in memory.")
	cacheMisses    = describe("hito_engine_cache_misses_total", "Fragments read from disk.")
	cacheBytes     = describe("hito_engine_cache_bytes", "Memory of the fragments cached.")
	cacheDirty     = describe("hito_engine_cache_dirty_bytes", "Of these, not yet written.")
	diskBytes      = describe("hito_engine_disk_bytes", "Size of the data directory.")
	stalled        = describe("hito_engine_stalled", "1 while the disk refuses writes.")
	published      = describe("hito_stream_events_total", "Events ever published on a stream.", "stream")
	kept           = describe("hito_stream_bytes", "About how much a stream keeps.", "stream")
	lag            = describe("hito_stream_lag_events", "Events a group has not handled yet.", "stream", "group")
	disabled       = describe("hito_rules_disabled", "Rules stopped since their file was loaded, since they cost too much.", "project")
	parked         = describe("hito_stream_parked_records", "Failed records that wait to be delivered again.", "stream", "group")
)

// Describe implements prometheus.Collector.
func (engineCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range engineMetrics {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c engineCollector) Collect(out chan<- prometheus.Metric) {
	s := c.db.Stats()
	count := func(name string, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(engineMetrics[name], prometheus.CounterValue, v, labels...)
	}
	gauge := func(name string, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(engineMetrics[name], prometheus.GaugeValue, v, labels...)
	}
	count(syncs, float64(s.Syncs))
	count(syncSeconds, s.SyncTime.Seconds())
	count(checkpoints, float64(s.Checkpoints))
	count(checkpointSecs, s.CheckpointTime.Seconds())
	count(fragments, float64(s.FragmentsWritten))
	count(cacheHits, float64(s.CacheHits))
	count(cacheMisses, float64(s.CacheMisses))
	gauge(cacheBytes, float64(s.CacheBytes))
	gauge(cacheDirty, float64(s.CacheDirty))
	gauge(diskBytes, float64(s.DiskBytes))
	full := 0.0
	if s.Stalled != nil {
		full = 1
	}
	gauge(stalled, full)
	for _, name := range c.projects.Names() {
		if r := c.rules.Get(name); r != nil {
			gauge(disabled, float64(len(r.Disabled())), name)
		}
	}
	for _, st := range s.Streams {
		count(published, float64(st.Events), st.Name)
		gauge(kept, float64(st.Bytes), st.Name)
		for _, g := range st.Groups {
			gauge(lag, float64(g.Events), st.Name, g.Name)
			gauge(parked, float64(g.Parked), st.Name, g.Name)
		}
	}
}
