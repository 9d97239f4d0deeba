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
	other, err := aws.NewPublisher(b.Lookup, b.PeerIdentity, b.PeerRegion, b.PeerStream)
	if err != nil {
		return nil, err
	}
	h := &relay.Handler{Origin: function.Origin, Other: other, Limit: relay.PerSecond(b.RelayLimit), Telemetry: b.Telemetry}
	f := b.Tail(h.Handle, h)
	f.Before = other.Fresh
	return f, nil
}
