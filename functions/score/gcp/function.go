// Package gcp is score on Google Cloud, behind the enriched topic and a schedule every minute.
package gcp

import (
	"context"
	"net/http"
	"time"

	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/infra/gcp/function"
	"github.com/hitolayer/hito/infra/gcp/functions"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/rules"
)

func init() { function.Register("score", wire) }

func wire(b *function.Base) (http.Handler, error) {
	set := &rules.Set{OnTrip: b.Projects.Tripped}
	b.Projects.OnFile, b.LastGood.ReadOnly = set.Load, false
	h := &score.Handler{Store: b.Store(), Rules: score.In(set), Actions: b.Actions(), Copies: true, Origin: function.Origin, Enriched: b.Enriched(), Ledger: ledger.Book{}, Telemetry: b.Telemetry, Now: time.Now}
	sweeper := *h
	sweeper.Ledger = b.Ledger() // outside of a message
	return b.Push(h.Handle, &functions.Scheduled{Do: func(ctx context.Context, at time.Time) error {
		return sweeper.Sweep(ctx, b.Store().Pages(ctx, score.SweptAt(at), score.Sweeps, 500))
	}}), nil
}
