// Beacon on AWS Lambda, behind a function URL or an API Gateway.
package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/hitolayer/hito/functions/beacon"
	"github.com/hitolayer/hito/infra/aws/function"
	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/infra/peer/gcp"
	"github.com/hitolayer/hito/shared/stream/failover"
)

func main() { function.Start("beacon", wire) }

func wire(b *function.Base) (lambda.Function, error) {
	raw, before := b.Raw(), b.Projects.Fresh
	if b.PeerStream != "" {
		other, err := gcp.NewPublisher(b.Lookup, b.AWS, b.PeerIdentity, b.PeerStream, function.Origin)
		if err != nil {
			return nil, err
		}
		other.Patience = 3 * time.Second // a client waits
		raw = &failover.Publisher{Own: raw, Other: other, Telemetry: b.Telemetry, Log: b.Log}
		before = func(ctx context.Context) { b.Projects.Fresh(ctx); other.Fresh(ctx) }
	}
	return &lambda.HTTP{Before: before, Log: b.Log, Handler: &beacon.Handler{Projects: b.Projects, Raw: raw, Quarantine: b.Quarantine(), Telemetry: b.Telemetry, Origin: function.Origin, Now: time.Now, NewID: rand.Text, Log: b.Log, TrustedProxies: b.TrustedProxies}}, nil
}
