// Command coldstart measures how long functions take from the start of their
// process until they are ready: what a cold start costs besides the cloud's own
// part. It runs the real packages, with stand-ins for the cloud's APIs that have
// the sample project: on AWS behind the Lambda Runtime API until the first event
// is asked for, on Google Cloud until the port answers.
//
//	go run ./infra/pack/coldstart [-cloud aws|gcp] [-n 40] [function ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"time"
)

// measured is one start of a function.
type measured struct {
	ready, cpu time.Duration
}

// function is a function ready to be started.
type function struct {
	name        string
	zip, binary int // bytes
	start       func(context.Context) (measured, error)
}

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
	cloud := flags.String("cloud", "aws", "aws or gcp")
	times := flags.Int("n", 40, "how many starts of each function")
	root := flags.String("root", ".", "the module's `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	build, ok := map[string]func(ctx context.Context, root, dir string, names []string) (functions []function, end func(), err error){"aws": onAWS, "gcp": onGCP}[*cloud]
	if !ok {
		return fmt.Errorf("no cloud %q: use aws or gcp", *cloud)
	}
	dir, err := os.MkdirTemp("", "hito-coldstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	functions, end, err := build(ctx, *root, dir, flags.Args())
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("| function (%s, %s) | exec → ready, median | least | 95 %% | CPU until it ends | zip | binary |\n|---|---|---|---|---|---|---|\n", *cloud, runtime.GOARCH)
	for _, f := range functions {
		var ready, cpu []time.Duration
		for range *times {
			m, err := f.start(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			ready, cpu = append(ready, m.ready), append(cpu, m.cpu)
		}
		slices.Sort(ready)
		slices.Sort(cpu)
		fmt.Printf("| %s | %s | %s | %s | %s | %.2f MB | %.1f MB |\n", f.name, ms(ready[len(ready)/2]), ms(ready[0]), ms(ready[len(ready)*95/100]),
			ms(cpu[len(cpu)/2]), float64(f.zip)/1e6, float64(f.binary)/1e6)
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
