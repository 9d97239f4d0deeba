// Relay on AWS Lambda, behind the enriched stream, to Google Cloud's.
package main

import (
	"context"

	"github.com/hitolayer/hito/functions/relay"
	"github.com/hitolayer/hito/infra/aws/function"
	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/infra/peer/gcp"
)

func main() { function.Start("relay", wire) }

func wire(b *function.Base) (lambda.Function, error) {
	other, err := gcp.NewPublisher(b.Lookup, b.AWS, b.PeerIdentity, b.PeerStream, function.Origin)
	if err != nil {
		return nil, err
	}
	h := &relay.Handler{Origin: function.Origin, Other: other, Limit: relay.PerSecond(b.RelayLimit), Telemetry: b.Telemetry}
	f := b.Tail(h.Handle, h)
	f.Before = func(ctx context.Context) { other.Fresh(ctx) }
	return f, nil
}
