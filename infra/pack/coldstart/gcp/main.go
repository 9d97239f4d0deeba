// Command gcp measures the starts of functions on Google Cloud.
package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"

	"github.com/hitolayer/hito/infra/emulators/gcpfunctions"
	"github.com/hitolayer/hito/infra/emulators/googleapis"
	"github.com/hitolayer/hito/infra/pack/coldstart"
	"github.com/hitolayer/hito/infra/pack/gcp"
	"github.com/hitolayer/hito/shared/project/sample"
)

const (
	bucket = "projects"
	// secret is where the sample project's keys are.
	secret = "projects/p/secrets/keys"
)

func main() { coldstart.Main("gcp", pack) }

// pack packs functions for Google Cloud into a folder, and compiles them as
// Google does.
func pack(ctx context.Context, root, dir string, names []string) ([]coldstart.Function, func(), error) {
	packages, err := gcp.Build{Root: root, Out: dir, Functions: names}.Run(ctx)
	if err != nil {
		return nil, nil, err
	}
	var functions []coldstart.Function
	stand := newStand()
	for _, p := range packages {
		binary := filepath.Join(dir, p.Function)
		if err := gcp.Compile(ctx, filepath.Join(dir, p.Function+".zip"), binary); err != nil {
			stand.close()
			return nil, nil, err
		}
		functions = append(functions, coldstart.Function{Name: p.Function, Zip: p.Zip, Binary: p.Binary, Start: func(ctx context.Context) (coldstart.Measured, error) {
			s, err := start(ctx, stand.function(p.Function, binary))
			if err != nil {
				return coldstart.Measured{}, err
			}
			return coldstart.Measured{Ready: s.StartTimes[0], CPU: s.CPU}, nil
		}})
	}
	return functions, stand.close, nil
}

// stand stands in for what functions call as they start: the sample project in a
// bucket, and its keys in a secret. Bigtable and Pub/Sub are not called.
type stand struct {
	storage      googleapis.Storage
	secrets      googleapis.Secrets
	buckets, api *httptest.Server
}

func newStand() *stand {
	s := &stand{}
	s.storage.Put(bucket, "projects/keys.yaml", sample.Keys)
	s.storage.Put(bucket, "projects/"+sample.Name+".yaml", sample.File)
	s.secrets.Add(secret, sample.Keys)
	s.buckets, s.api = httptest.NewServer(&s.storage), httptest.NewServer(&s.secrets)
	return s
}

func (s *stand) close() {
	s.buckets.Close()
	s.api.Close()
}

// function returns a function that runs the binary, with all variables there are.
func (s *stand) function(name, binary string) *gcpfunctions.Function {
	return &gcpfunctions.Function{
		Name: name, Target: name, Binary: binary,
		Env: map[string]string{
			"HITO_TABLE": "projects/p/instances/i/tables/t", "HITO_PROJECTS_BUCKET": bucket, "HITO_RAW_STREAM": "projects/p/topics/raw",
			"HITO_ENRICHED_STREAM": "projects/p/topics/enriched", "HITO_ACTIONS_STREAM": "projects/p/topics/actions", "HITO_SECRET": secret,
			"HITO_PUSH_AUDIENCE": name, "HITO_PUSH_ACCOUNT": "push@p.iam.gserviceaccount.com",
			"HITO_PEER_STREAM": "arn:aws:kinesis:eu-west-1:123456789012:stream/peer", "HITO_PEER_IDENTITY": "arn:aws:iam::123456789012:role/peer", "HITO_PEER_REGION": "eu-west-1",
		},
		Endpoints: map[string]string{
			"STORAGE_EMULATOR_HOST": s.buckets.URL, "SECRETMANAGER_EMULATOR_HOST": s.api.URL,
			"PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "BIGTABLE_EMULATOR_HOST": "127.0.0.1:1",
		},
	}
}

// start starts a function once, until its port answers, and ends it.
func start(ctx context.Context, f *gcpfunctions.Function) (gcpfunctions.Stats, error) {
	err := f.Start(ctx)
	f.Close()
	if err != nil {
		return gcpfunctions.Stats{}, fmt.Errorf("%w\n%s", err, f.Log.String())
	}
	return f.Stats(), nil
}
