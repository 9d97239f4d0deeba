// Score on AWS Lambda, behind the enriched stream and a schedule every minute.
package main

import (
	"context"
	"time"

	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/infra/aws/function"
	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/infra/aws/sqs"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/rules"
)

func main() { function.Start("score", wire) }

func wire(b *function.Base) (lambda.Function, error) {
	set := &rules.Set{OnTrip: b.Projects.Tripped}
	b.Projects.OnFile, b.LastGood.ReadOnly = set.Load, false
	actions := &sqs.Publisher{Client: sqs.NewClient(b.AWS), Queue: b.ActionsStream}
	h := &score.Handler{Store: b.Store(false), Rules: score.In(set), Actions: actions, Copies: true, Origin: function.Origin, Enriched: b.Enriched(), Ledger: ledger.Book{}, Telemetry: b.Telemetry, Now: time.Now}
	sweeper := *h
	sweeper.Ledger = b.Ledger() // outside of a Stream's batch
	return &lambda.Scheduled{Function: b.Stream(h.Handle), Before: b.Projects.Fresh, Do: func(ctx context.Context, at time.Time) error {
		return sweeper.Sweep(ctx, b.Store(false).Pages(ctx, score.SweptAt(at), score.Sweeps, 500))
	}}, nil
}
