// Command coldstart measures how long the functions on AWS take from the start
// of their process until they wait for the first event: what a cold start costs
// besides Lambda's own part. It runs the real binaries behind the Lambda Runtime
// API, with a stand-in for S3 and Secrets Manager that has the sample project.
//
//	go run ./infra/pack/coldstart [-n 40] [function ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/emulators/awslambda"
	"github.com/hitolayer/hito/infra/pack/aws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "coldstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("coldstart", flag.ExitOnError)
	times := flags.Int("n", 40, "how many starts of each function")
	root := flags.String("root", ".", "the module's `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hito-coldstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	packages, err := aws.Build{Root: *root, Out: dir, Arch: runtime.GOARCH, Functions: flags.Args()}.Run(ctx)
	if err != nil {
		return err
	}
	stand := newStand()
	defer stand.close()
	fmt.Printf("| function (%s) | exec → ready, median | least | 95 %% | CPU until the first answer | zip |\n|---|---|---|---|---|---|\n", runtime.GOARCH)
	for _, p := range packages {
		bootstrap, err := unpack(filepath.Join(dir, p.Function+".zip"), filepath.Join(dir, p.Function))
		if err != nil {
			return err
		}
		var ready, cpu []time.Duration
		for range *times {
			s, err := start(ctx, p.Function, bootstrap, stand.url)
			if err != nil {
				return err
			}
			ready, cpu = append(ready, s.InitTimes[0]), append(cpu, s.CPU)
		}
		slices.Sort(ready)
		slices.Sort(cpu)
		fmt.Printf("| %s | %s | %s | %s | %s | %.2f MB |\n", p.Function,
			ms(ready[len(ready)/2]), ms(ready[0]), ms(ready[len(ready)*95/100]), ms(cpu[len(cpu)/2]), float64(p.Zip)/1e6)
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// function returns a function that runs the bootstrap, with all variables there
// are, in an AWS that is at url.
func function(name, bootstrap, url string) *awslambda.Function {
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

// start starts a function once, has it answer once, and ends it.
func start(ctx context.Context, name, bootstrap, url string) (awslambda.Stats, error) {
	f := function(name, bootstrap, url)
	_, err := f.Invoke(ctx, []byte(events[name]))
	f.Close()
	if err != nil {
		return awslambda.Stats{}, fmt.Errorf("%s: %w\n%s", name, err, f.Log.String())
	}
	return f.Stats(), nil
}
