// Profile on AWS Lambda, behind a function URL or an API Gateway.
package main

import (
	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/infra/aws/function"
	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/infra/aws/secretsmanager"
	"github.com/hitolayer/hito/shared/rules"
)

func main() { function.Start("profile", wire) }

func wire(b *function.Base) (lambda.Function, error) {
	set := &rules.Set{OnTrip: b.Projects.Tripped}
	b.Projects.OnFile = set.Load
	b.Projects.Keys = &secretsmanager.Secret{Client: secretsmanager.NewClient(b.AWS), ID: b.Secret}
	b.LastGood.NoKeys = true // those kept are the write keys
	return &lambda.HTTP{Before: b.Projects.Fresh, Log: b.Log, Handler: &profile.Handler{
		Projects: b.Projects, Store: b.Store(true), Rules: set.Get, Raw: b.Raw(), Ledger: b.Ledger(), Quarantine: b.Quarantine(),
		Origin: function.Origin, Telemetry: b.Telemetry, Log: b.Log,
	}}, nil
}
