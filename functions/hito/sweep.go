package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/shared/profile"
)

const (
	// sweepEvery is the pause between two sweeps, which new rules end.
	sweepEvery = 15 * time.Second
	sweepPage  = 2000
	// sweepShare bounds what sweeps take: of so many parts of a core's time, one.
	sweepShare = 20
)

// sweep decides everybody's segments anew, again and again, until ctx ends: time
// passes (a cart is abandoned because nothing happens) and rules change.
func (p *pipeline) sweep(ctx context.Context, log *slog.Logger) {
	failing := map[string]bool{} // projects whose last sweep met a panic
	for {
		for _, name := range p.registry.Names() {
			panicked := false
			err := p.sweepProject(ctx, name, func(place profile.Key, cause any) {
				if !panicked && !failing[name] {
					log.Error("deciding a person's segments panicked; the sweep goes on with the others", "place", place.String(), "panic", cause)
				}
				panicked = true
			})
			if err != nil && ctx.Err() == nil {
				log.Error("a sweep was cut short; the next one begins anew", "error", err)
			}
			failing[name] = panicked
		}
		select {
		case <-ctx.Done():
			return
		case <-p.rulesChanged:
		case <-time.After(sweepEvery):
		}
	}
}

// sweepProject sweeps one project, page by page. It tells onPanic of whoever
// cannot be decided, and goes on.
func (p *pipeline) sweepProject(ctx context.Context, name string, onPanic func(profile.Key, any)) error {
	began := time.Now()
	for page, err := range p.db.Store().Pages(ctx, name, sweepPage) {
		if err == nil {
			err = score.Isolate(page, func(some []*profile.Fragment) error {
				return p.db.Atomically(ctx, func(ctx context.Context) error { return p.score.Reevaluate(ctx, some) })
			}, onPanic)
		}
		if err != nil {
			return fmt.Errorf("sweep %s: %w", name, err)
		}
		if !pause(ctx, (sweepShare-1)*time.Since(began)) {
			break
		}
		began = time.Now()
	}
	return ctx.Err()
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
