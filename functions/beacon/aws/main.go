// Beacon on AWS Lambda, behind a function URL or an API Gateway.
package main

import (
	"crypto/rand"
	"time"

	"github.com/hitolayer/hito/functions/beacon"
	"github.com/hitolayer/hito/infra/aws/function"
	"github.com/hitolayer/hito/infra/aws/lambda"
)

func main() { function.Start("beacon", wire) }

func wire(b *function.Base) (lambda.Function, error) {
	return &lambda.HTTP{Before: b.Projects.Fresh, Log: b.Log, Handler: &beacon.Handler{
		Projects: b.Projects, Raw: b.Raw(), Quarantine: b.Quarantine(), Telemetry: b.Telemetry, Origin: function.Origin,
		Now: time.Now, NewID: rand.Text, Log: b.Log, TrustedProxies: b.TrustedProxies,
	}}, nil
}
