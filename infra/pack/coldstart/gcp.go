package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"

	"github.com/hitolayer/hito/infra/emulators/gcpfunctions"
	"github.com/hitolayer/hito/infra/emulators/googleapis"
	"github.com/hitolayer/hito/infra/pack/gcp"
	"github.com/hitolayer/hito/shared/project/sample"
)

// gcpSecret is where the sample project's keys are.
const gcpSecret = "projects/p/secrets/keys"

// onGCP packs functions for Google Cloud into a folder, and compiles them as
// Google does.
func onGCP(ctx context.Context, root, dir string, names []string) ([]function, func(), error) {
	packages, err := gcp.Build{Root: root, Out: dir, Functions: names}.Run(ctx)
	if err != nil {
		return nil, nil, err
	}
	var functions []function
	stand := newGoogle()
	for _, p := range packages {
		binary := filepath.Join(dir, p.Function)
		if err := gcp.Compile(ctx, filepath.Join(dir, p.Function+".zip"), binary); err != nil {
			stand.close()
			return nil, nil, err
		}
		functions = append(functions, function{p.Function, p.Zip, p.Binary, func(ctx context.Context) (measured, error) {
			s, err := startGCP(ctx, stand.function(p.Function, binary))
			if err != nil {
				return measured{}, err
			}
			return measured{s.StartTimes[0], s.CPU}, nil
		}})
	}
	return functions, stand.close, nil
}

// google stands in for what functions call as they start: the sample project in a
// bucket, and its keys in a secret. Bigtable and Pub/Sub are not called.
type google struct {
	storage      googleapis.Storage
	secrets      googleapis.Secrets
	buckets, api *httptest.Server
}

func newGoogle() *google {
	g := &google{}
	g.storage.Put(bucket, "projects/keys.yaml", sample.Keys)
	g.storage.Put(bucket, "projects/"+sample.Name+".yaml", sample.File)
	g.secrets.Add(gcpSecret, sample.Keys)
	g.buckets, g.api = httptest.NewServer(&g.storage), httptest.NewServer(&g.secrets)
	return g
}

func (g *google) close() {
	g.buckets.Close()
	g.api.Close()
}

// function returns a function that runs the binary, with all variables there are.
func (g *google) function(name, binary string) *gcpfunctions.Function {
	return &gcpfunctions.Function{
		Name: name, Target: name, Binary: binary,
		Env: map[string]string{
			"HITO_TABLE": "projects/p/instances/i/tables/t", "HITO_PROJECTS_BUCKET": bucket, "HITO_RAW_STREAM": "projects/p/topics/raw",
			"HITO_ENRICHED_STREAM": "projects/p/topics/enriched", "HITO_ACTIONS_STREAM": "projects/p/topics/actions", "HITO_SECRET": gcpSecret,
			"HITO_PUSH_AUDIENCE": name, "HITO_PUSH_ACCOUNT": "push@p.iam.gserviceaccount.com",
		},
		Endpoints: map[string]string{
			"STORAGE_EMULATOR_HOST": g.buckets.URL, "SECRETMANAGER_EMULATOR_HOST": g.api.URL,
			"PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "BIGTABLE_EMULATOR_HOST": "127.0.0.1:1",
		},
	}
}

// startGCP starts a function once, until its port answers, and ends it.
func startGCP(ctx context.Context, f *gcpfunctions.Function) (gcpfunctions.Stats, error) {
	err := f.Start(ctx)
	f.Close()
	if err != nil {
		return gcpfunctions.Stats{}, fmt.Errorf("%w\n%s", err, f.Log.String())
	}
	return f.Stats(), nil
}
