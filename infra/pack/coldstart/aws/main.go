// Command aws measures the starts of functions on AWS.
package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/emulators/awslambda"
	"github.com/hitolayer/hito/infra/pack/aws"
	"github.com/hitolayer/hito/infra/pack/coldstart"
)

func main() { coldstart.Main("aws", pack) }

// pack packs functions for AWS into a folder.
func pack(ctx context.Context, root, dir string, names []string) ([]coldstart.Function, func(), error) {
	packages, err := aws.Build{Root: root, Out: dir, Arch: runtime.GOARCH, Functions: names}.Run(ctx)
	if err != nil {
		return nil, nil, err
	}
	var functions []coldstart.Function
	stand := newStand()
	for _, p := range packages {
		bootstrap, err := unpack(filepath.Join(dir, p.Function+".zip"), filepath.Join(dir, p.Function))
		if err != nil {
			stand.close()
			return nil, nil, err
		}
		functions = append(functions, coldstart.Function{Name: p.Function, Zip: p.Zip, Binary: p.Binary, Start: func(ctx context.Context) (coldstart.Measured, error) {
			s, err := start(ctx, p.Function, bootstrap, stand.url)
			if err != nil {
				return coldstart.Measured{}, err
			}
			return coldstart.Measured{Ready: s.InitTimes[0], CPU: s.CPU}, nil
		}})
	}
	return functions, stand.close, nil
}

// function returns a function that runs the bootstrap, with all variables
// there are, in an AWS that is at url.
func function(name, bootstrap, url string) *awslambda.Function {
	return &awslambda.Function{
		Name: name, Bootstrap: bootstrap, MemoryMB: 512,
		Env: map[string]string{
			"HITO_TABLE": "hito", "HITO_PROJECTS_BUCKET": bucket, "HITO_RAW_STREAM": "raw", "HITO_ENRICHED_STREAM": "enriched",
			"HITO_ACTIONS_STREAM": url + "/actions", "HITO_SECRET": secret,
			"HITO_PEER_STREAM": "projects/p/topics/peer", "HITO_PEER_IDENTITY": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/aws#peer@p.iam.gserviceaccount.com",
		},
		// Nothing of the other cloud is called as a function starts.
		Endpoints:   map[string]string{"AWS_ENDPOINT_URL": url, "PUBSUB_EMULATOR_HOST": "127.0.0.1:1"},
		Credentials: sdk.Credentials{AccessKeyID: "test", SecretAccessKey: "test", SessionToken: "test"},
	}
}

// events are events that a function answers at once, and without AWS.
var events = map[string]string{
	"beacon":  `{"version":"2.0","rawPath":"/none","headers":{},"requestContext":{"http":{"method":"GET","path":"/none","sourceIp":"192.0.2.1"}}}`,
	"profile": `{"version":"2.0","rawPath":"/none","headers":{},"requestContext":{"http":{"method":"GET","path":"/none","sourceIp":"192.0.2.1"}}}`,
	"enrich":  `{"Records":[]}`,
	"score":   `{"Records":[]}`,
	"relay":   `{"Records":[]}`,
}

// start starts a function once, has it answer once, and ends it.
func start(ctx context.Context, name, bootstrap, url string) (awslambda.Stats, error) {
	f := function(name, bootstrap, url)
	_, err := f.Invoke(ctx, []byte(events[name]))
	f.Close()
	if err != nil {
		return awslambda.Stats{}, fmt.Errorf("%w\n%s", err, f.Log.String())
	}
	return f.Stats(), nil
}
