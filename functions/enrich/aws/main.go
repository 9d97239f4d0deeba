// Enrich on AWS Lambda, behind the raw stream.
package main

import (
	"github.com/hitolayer/hito/functions/enrich"
	"github.com/hitolayer/hito/infra/aws/function"
	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/shared/enrichment"
	"github.com/hitolayer/hito/shared/ledger"
)

func main() { function.Start("enrich", wire) }

func wire(b *function.Base) (lambda.Function, error) {
	agents := new(enrichment.Enricher)
	if len(b.GeoDB) > 0 {
		var err error
		if agents.Geo, err = enrichment.OpenGeo(b.GeoDB...); err != nil {
			return nil, err
		}
	}
	h := &enrich.Handler{Projects: b.Projects, Enricher: agents, Enriched: b.Enriched(), Origin: function.Origin, Ledger: ledger.Book{}, Telemetry: b.Telemetry}
	return b.Stream(h.Handle), nil
}
