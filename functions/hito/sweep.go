package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	// sweepEvery is the pause between two sweeps, which new rules end.
	sweepEvery = 15 * time.Second
	sweepPage  = 200
	// sweepShare bounds what sweeps take: of so many parts of a core's time, one.
	sweepShare = 20
)

// sweep decides everybody's segments anew, again and again, until ctx ends: time
// passes (a cart is abandoned because nothing happens) and rules change.
func (p *pipeline) sweep(ctx context.Context, log *slog.Logger) {
	for {
		for _, name := range p.registry.Names() {
			if err := p.sweepProject(ctx, name); err != nil && ctx.Err() == nil {
				log.Error("a sweep was cut short; the next one begins anew", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-p.rulesChanged:
		case <-time.After(sweepEvery):
		}
	}
}

// sweepProject sweeps one project, page by page.
func (p *pipeline) sweepProject(ctx context.Context, name string) error {
	for after := ""; ; {
		began := time.Now()
		fragments, next, err := p.db.Store().Scan(ctx, name, after, sweepPage)
		if err == nil {
			err = p.db.Atomically(ctx, func(ctx context.Context) error { return p.score.Reevaluate(ctx, fragments) })
		}
		if err != nil {
			return fmt.Errorf("sweep %s after %q: %w", name, after, err)
		}
		if next == "" || !pause(ctx, (sweepShare-1)*time.Since(began)) {
			return ctx.Err()
		}
		after = next
	}
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
