package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"path/filepath"
	"strings"
	"time"

	"github.com/hitolayer/hito/functions/beacon"
	"github.com/hitolayer/hito/functions/enrich"
	"github.com/hitolayer/hito/functions/hito/console"
	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/infra/local"
	"github.com/hitolayer/hito/infra/prometheus"
	"github.com/hitolayer/hito/shared/config"
	"github.com/hitolayer/hito/shared/enrichment"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/rules"
	"github.com/hitolayer/hito/shared/stream"
)

const origin = "local"

// The longest rests between batches. A visitor's events that come meanwhile are
// folded into the fragment at once, which is most of what scoring costs. They are
// a good part of the latency under load, and a small one of a second.
const (
	enrichWindow = 25 * time.Millisecond
	scoreWindow  = 200 * time.Millisecond
)

// pipeline is every function, wired in one process.
type pipeline struct {
	db       *local.DB
	registry *project.Registry
	rules    rules.Set
	geo      *enrichment.Geo
	metrics  prometheus.Sink
	stats    console.Stats
	hub      console.Hub

	enrich  enrich.Handler
	score   score.Handler
	agents  enrichment.Enricher
	beacon  beacon.Handler
	profile profile.Handler

	rulesChanged chan struct{} // ends the pause between sweeps
}

// openPipeline opens the data directory and begins to work on what it holds.
func openPipeline(ctx context.Context, c config.Server, log *slog.Logger) (*pipeline, error) {
	p := &pipeline{rulesChanged: make(chan struct{}, 1)}
	p.rules.OnTrip = func(project string, problem rules.Problem) {
		log.Error("a rule was stopped; the others go on", "project", project, "problem", problem.String())
	}
	p.registry = &project.Registry{
		Keys:     local.File{Path: filepath.Join(c.Projects, "keys.yaml")},
		File:     func(name string) project.Source { return local.File{Path: filepath.Join(c.Projects, name+".yaml")} },
		OnFile:   p.loadRules,
		LastGood: lastGood(c),
		Log:      log,
	}
	if err := p.registry.Refresh(ctx); err != nil {
		if len(p.registry.Names()) == 0 {
			return nil, fmt.Errorf("no project to serve in %s: %w", c.Projects, err)
		}
		log.Error("what is wrong is not in service", "error", err)
	}
	if len(c.GeoDB) > 0 {
		var err error
		if p.geo, err = enrichment.OpenGeo(c.GeoDB...); err != nil {
			return nil, err
		}
	}
	var err error
	if p.db, err = local.Open(local.Options{
		Dir: filepath.Join(c.Data, "db"), CacheBytes: int64(c.Memory) / 4, Log: log,
		QuarantineFor: c.Retention, QuarantineBytes: int64(c.DiskLimit) / 8,
	}); err != nil {
		return nil, err
	}
	if err := p.wire(c, log); err != nil {
		return nil, errors.Join(err, p.db.Close(ctx))
	}
	return p, nil
}

// lastGood is where the projects' files are kept that were last in service.
func lastGood(c config.Server) local.LastGood {
	return local.LastGood{Dir: filepath.Join(c.Data, "lastgood")}
}

// loadRules compiles a project's rules; put in service, they have everybody
// decided by them.
func (p *pipeline) loadRules(name string, data []byte) (serve func(), err error) {
	put, err := p.rules.Load(name, data)
	if err != nil {
		return nil, err
	}
	return func() {
		put()
		select {
		case p.rulesChanged <- struct{}{}:
		default:
		}
	}, nil
}

func (p *pipeline) wire(c config.Server, log *slog.Logger) error {
	keep := local.StreamOptions{KeepFor: c.Retention, KeepBytes: int64(c.DiskLimit) / 2}
	rawOptions := keep
	rawOptions.BooksAccepted = true
	raw, err := p.db.Stream("raw", rawOptions)
	if err != nil {
		return err
	}
	enriched, err := p.db.Stream("enriched", keep)
	if err != nil {
		return err
	}
	actions, err := p.db.Stream("actions", local.StreamOptions{KeepFor: c.Retention})
	if err != nil {
		return err
	}
	p.stats = console.Stats{Projects: p.registry, Ledger: p.db.Ledger()}
	p.metrics.Register(&engineCollector{db: p.db, projects: p.registry, rules: &p.rules})
	p.agents.Geo = p.geo
	p.enrich = enrich.Handler{Projects: p.registry, Enricher: &p.agents, Enriched: enriched, Origin: origin, Telemetry: &p.metrics, Now: time.Now}
	p.score = score.Handler{
		Store:   p.db.Store(),
		Rules:   score.In(&p.rules),
		Actions: actions, Origin: origin, Ledger: p.db.Ledger(), Telemetry: &p.metrics, Now: time.Now,
	}
	p.beacon = beacon.Handler{
		Projects: p.registry, Raw: raw, Quarantine: p.db.Quarantine(), Telemetry: &p.metrics, Origin: origin,
		Now: time.Now, NewID: rand.Text, Log: log, TrustedProxies: c.TrustedProxies,
	}
	p.profile = profile.Handler{
		Projects: p.registry, Store: p.db.Store(), Rules: p.rules.Get, Raw: raw, Ledger: p.db.Ledger(), Quarantine: p.db.Quarantine(),
		Origin: origin, Telemetry: &p.metrics, Log: log,
	}
	if err := raw.Subscribe("enrich", p.enrich.Handle, local.SubscribeOptions{Stage: quarantine.Enrich, MaxRecords: 2000, Window: enrichWindow}); err != nil {
		return err
	}
	return enriched.Subscribe("score", p.scoreAndShow, local.SubscribeOptions{
		Stage: quarantine.Score, Checkpointed: true, MaxRecords: 2000, Window: scoreWindow,
	})
}

// scoreAndShow scores a batch and shows the console what was scored.
func (p *pipeline) scoreAndShow(ctx context.Context, records []stream.Record) error {
	err := p.score.Handle(ctx, records)
	failures, named := err.(stream.Failures)
	if err != nil && !named {
		return err
	}
	from := 0
	for _, f := range failures {
		p.show(records[from:f.Index])
		from = f.Index + 1
	}
	p.show(records[from:])
	return err
}

func (p *pipeline) show(records []stream.Record) {
	p.hub.Observe(records)
	p.stats.Observe(records)
}

// handler serves all paths. The tail ends with ending, since its readers never leave.
func (p *pipeline) handler(ending context.Context, c config.Server) http.Handler {
	tail := &console.Tail{Projects: p.registry, Hub: &p.hub}
	health := console.Health{Check: func(context.Context) error { return p.db.Err() }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case path == "/v1/tail":
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(ending, cancel)()
			tail.ServeHTTP(w, r.WithContext(ctx))
		case path == "/v1/stats":
			p.stats.ServeHTTP(w, r)
		case path == "/v1/ledger", path == "/v1/quarantine", strings.HasPrefix(path, "/v1/profiles/"):
			p.profile.ServeHTTP(w, r)
		case path == "/health", strings.HasPrefix(path, "/v1/"):
			p.beacon.ServeHTTP(w, r)
		case path == "/healthz":
			health.ServeHTTP(w, r)
		case path == "/metrics":
			p.metrics.ServeHTTP(w, r)
		case c.Pprof && strings.HasPrefix(path, "/debug/pprof/"):
			profiling(w, r, strings.TrimPrefix(path, "/debug/pprof/"))
		default:
			console.Page{}.ServeHTTP(w, r)
		}
	})
}

func profiling(w http.ResponseWriter, r *http.Request, name string) {
	switch name {
	case "profile":
		// A profile takes longer than other answers may.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "cmdline":
		pprof.Cmdline(w, r)
	default:
		pprof.Index(w, r)
	}
}
