package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hitolayer/hito/infra/local"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

const (
	// sweepEvery is the pause between two sweeps, which new rules end.
	sweepEvery = 15 * time.Second
	sweepPage  = 200
	// sweepShare bounds what sweeps take: of so many parts of a core's time, one.
	sweepShare = 20
)

// swept is the outcome of one page.
type swept struct {
	next string
	took time.Duration
}

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

// sweepProject sweeps one project, page by page. Each page is a record on a
// stream of its own, so that what is decided, published and booked is written
// together, as for any batch.
func (p *pipeline) sweepProject(ctx context.Context, name string) error {
	for after := ""; ; {
		ticket, done := rand.Text(), make(chan swept, 1)
		p.sweeping.Store(ticket, done)
		err := p.pages.Publish(ctx, []stream.Record{{
			Project: name, Key: "sweep", Time: time.Now().UnixMilli(), Data: []byte(ticket + " " + after),
		}})
		if err != nil {
			p.sweeping.Delete(ticket)
			return fmt.Errorf("sweep %s: %w", name, err)
		}
		select {
		case page := <-done:
			if page.next == "" {
				return nil
			}
			after = page.next
			if !pause(ctx, (sweepShare-1)*page.took) {
				return ctx.Err()
			}
		case <-ctx.Done():
			p.sweeping.Delete(ticket)
			return ctx.Err()
		}
	}
}

func (p *pipeline) subscribeSweep() error {
	return p.pages.Subscribe("sweep", p.sweepPages, local.SubscribeOptions{MaxRecords: 1, Stage: quarantine.Score, Checkpointed: true})
}

// sweepPages decides the persons of the pages that the records name.
func (p *pipeline) sweepPages(ctx context.Context, records []stream.Record) error {
	for _, r := range records {
		ticket, after, _ := strings.Cut(string(r.Data), " ")
		done, ok := p.sweeping.Load(ticket)
		if !ok {
			continue // of the process before this one, which begins anew
		}
		began := time.Now()
		fragments, next, err := p.db.Store().Scan(ctx, r.Project, after, sweepPage)
		if err == nil {
			err = p.score.Reevaluate(ctx, fragments)
		}
		if err != nil {
			return fmt.Errorf("sweep %s after %q: %w", r.Project, after, err)
		}
		p.sweeping.Delete(ticket)
		done.(chan swept) <- swept{next, time.Since(began)}
	}
	return nil
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
