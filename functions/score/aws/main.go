// Score on AWS Lambda, behind the enriched stream.
package main

import (
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/infra/aws/function"
	"github.com/hitolayer/hito/infra/aws/lambda"
	"github.com/hitolayer/hito/infra/aws/sqs"
	"github.com/hitolayer/hito/shared/rules"
)

func main() { function.Start("score", wire) }

func wire(b *function.Base) (lambda.Function, error) {
	set := &rules.Set{OnTrip: b.Tripped}
	b.Projects.OnFile, b.LastGood.ReadOnly = set.Load, false
	h := &score.Handler{Store: b.Store(false), Ledger: lambda.Book{}, Telemetry: b.Telemetry, Now: time.Now}
	h.Actions = &sqs.Publisher{Client: awssqs.NewFromConfig(b.AWS), Queue: b.ActionsStream}
	h.Rules = func(project string) score.Rules {
		if r := set.Get(project); r != nil {
			return r
		}
		return nil
	}
	return b.Stream(h.Handle), nil
}
