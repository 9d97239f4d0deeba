// Package gcp is beacon on Google Cloud, behind a URL.
package gcp

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/hitolayer/hito/functions/beacon"
	"github.com/hitolayer/hito/infra/gcp/function"
	"github.com/hitolayer/hito/infra/peer/aws"
	"github.com/hitolayer/hito/shared/stream/failover"
)

func init() { function.Register("beacon", wire) }

func wire(b *function.Base) (http.Handler, error) {
	raw, before := b.Raw(), b.Projects.Fresh
	if b.PeerStream != "" {
		other, err := aws.NewPublisher(b.Lookup, b.PeerIdentity, b.PeerRegion, b.PeerStream)
		if err != nil {
			return nil, err
		}
		other.Together, other.Patience = true, 3*time.Second // as AWS's own beacon does
		raw = &failover.Publisher{Own: raw, Other: other, Telemetry: b.Telemetry, Log: b.Log}
		before = func(ctx context.Context) { b.Projects.Fresh(ctx); other.Fresh(ctx) }
	}
	return b.HTTP(&beacon.Handler{Projects: b.Projects, Raw: raw, Quarantine: b.Quarantine(), Telemetry: b.Telemetry, Origin: function.Origin, Now: time.Now, NewID: rand.Text, Log: b.Log, TrustedProxies: b.TrustedProxies}, before), nil
}
