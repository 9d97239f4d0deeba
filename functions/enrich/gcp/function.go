// Package gcp is enrich on Google Cloud, behind the raw topic.
package gcp

import (
	"net/http"

	"github.com/hitolayer/hito/functions/enrich"
	"github.com/hitolayer/hito/infra/gcp/function"
	"github.com/hitolayer/hito/shared/enrichment"
	"github.com/hitolayer/hito/shared/ledger"
)

func init() { function.Register("enrich", wire) }

func wire(b *function.Base) (_ http.Handler, err error) {
	agents := new(enrichment.Enricher)
	if len(b.GeoDB) > 0 {
		if agents.Geo, err = enrichment.OpenGeo(b.GeoDB...); err != nil {
			return nil, err
		}
	}
	h := &enrich.Handler{Projects: b.Projects, Enricher: agents, Enriched: b.Enriched(), Origin: function.Origin, Ledger: ledger.Book{}, Telemetry: b.Telemetry}
	return b.Push(h.Handle, nil), nil
}
