// Package gcp is relay on Google Cloud, behind the enriched topic, to AWS's stream.
package gcp

import (
	"net/http"

	"github.com/hitolayer/hito/functions/relay"
	"github.com/hitolayer/hito/infra/gcp/function"
	"github.com/hitolayer/hito/infra/peer/aws"
)

func init() { function.Register("relay", wire) }

func wire(b *function.Base) (http.Handler, error) {
	other := aws.Publisher(b.Lookup, b.PeerIdentity, b.PeerRegion, b.PeerStream)
	h := &relay.Handler{Origin: function.Origin, Other: other, Limit: relay.PerSecond(b.RelayLimit), Telemetry: b.Telemetry}
	return b.Tail(h.Handle, h), nil
}
