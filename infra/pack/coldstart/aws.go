package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/emulators/awslambda"
	"github.com/hitolayer/hito/infra/pack/aws"
)

// onAWS packs functions for AWS into a folder.
func onAWS(ctx context.Context, root, dir string, names []string) ([]function, func(), error) {
	packages, err := aws.Build{Root: root, Out: dir, Arch: runtime.GOARCH, Functions: names}.Run(ctx)
	if err != nil {
		return nil, nil, err
	}
	var functions []function
	stand := newStand()
	for _, p := range packages {
		bootstrap, err := unpack(filepath.Join(dir, p.Function+".zip"), filepath.Join(dir, p.Function))
		if err != nil {
			stand.close()
			return nil, nil, err
		}
		functions = append(functions, function{p.Function, p.Zip, p.Binary, func(ctx context.Context) (measured, error) {
			s, err := startAWS(ctx, p.Function, bootstrap, stand.url)
			if err != nil {
				return measured{}, err
			}
			return measured{s.InitTimes[0], s.CPU}, nil
		}})
	}
	return functions, stand.close, nil
}

// awsFunction returns a function that runs the bootstrap, with all variables
// there are, in an AWS that is at url.
func awsFunction(name, bootstrap, url string) *awslambda.Function {
	return &awslambda.Function{
		Name: name, Bootstrap: bootstrap, MemoryMB: 512,
		Env: map[string]string{
			"HITO_TABLE": "hito", "HITO_PROJECTS_BUCKET": bucket, "HITO_RAW_STREAM": "raw", "HITO_ENRICHED_STREAM": "enriched",
			"HITO_ACTIONS_STREAM": url + "/actions", "HITO_SECRET": secret,
		},
		Endpoints:   map[string]string{"AWS_ENDPOINT_URL": url},
		Credentials: sdk.Credentials{AccessKeyID: "test", SecretAccessKey: "test", SessionToken: "test"},
	}
}

// events are events that a function answers at once, and without AWS.
var events = map[string]string{
	"beacon":  `{"version":"2.0","rawPath":"/none","headers":{},"requestContext":{"http":{"method":"GET","path":"/none","sourceIp":"192.0.2.1"}}}`,
	"profile": `{"version":"2.0","rawPath":"/none","headers":{},"requestContext":{"http":{"method":"GET","path":"/none","sourceIp":"192.0.2.1"}}}`,
	"enrich":  `{"Records":[]}`,
	"score":   `{"Records":[]}`,
}

// startAWS starts a function once, has it answer once, and ends it.
func startAWS(ctx context.Context, name, bootstrap, url string) (awslambda.Stats, error) {
	f := awsFunction(name, bootstrap, url)
	_, err := f.Invoke(ctx, []byte(events[name]))
	f.Close()
	if err != nil {
		return awslambda.Stats{}, fmt.Errorf("%w\n%s", err, f.Log.String())
	}
	return f.Stats(), nil
}
