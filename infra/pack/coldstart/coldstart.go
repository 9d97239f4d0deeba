// Package coldstart measures how long functions take from the start of their
// process until they are ready: what a cold start costs besides the cloud's own
// part. Its commands run the real packages, with stand-ins for the cloud's APIs
// that have the sample project: on AWS behind the Lambda Runtime API until the
// first event is asked for, on Google Cloud until the port answers.
//
//	go run ./infra/pack/coldstart/aws [-n 40] [function ...]
//	go run ./infra/pack/coldstart/gcp [-n 40] [function ...]
package coldstart

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

// Measured is one start of a function.
type Measured struct {
	// Ready is from exec until it is ready; CPU until it ends.
	Ready, CPU time.Duration
}

// Function is a function ready to be started.
type Function struct {
	Name        string
	Zip, Binary int // bytes
	Start       func(context.Context) (Measured, error)
}

// Main packs functions with pack, into a folder that is removed at the end, and
// prints a table of what their starts took. names are those that were asked for;
// none are all. end is called when they are done with.
func Main(cloud string, pack func(ctx context.Context, root, dir string, names []string) (functions []Function, end func(), err error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	times := flag.Int("n", 40, "how many starts of each function")
	root := flag.String("root", ".", "the module's `folder`")
	flag.Parse()
	if err := run(ctx, cloud, *root, *times, flag.Args(), pack); err != nil {
		fmt.Fprintln(os.Stderr, "coldstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cloud, root string, times int, names []string, pack func(context.Context, string, string, []string) ([]Function, func(), error)) error {
	dir, err := os.MkdirTemp("", "hito-coldstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	functions, end, err := pack(ctx, root, dir, names)
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("| function (%s, %s) | exec → ready, median | least | 95 %% | CPU until it ends | zip | binary |\n|---|---|---|---|---|---|---|\n", cloud, runtime.GOARCH)
	for _, f := range functions {
		var ready, cpu []time.Duration
		for range times {
			m, err := f.Start(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			ready, cpu = append(ready, m.Ready), append(cpu, m.CPU)
		}
		slices.Sort(ready)
		slices.Sort(cpu)
		fmt.Printf("| %s | %s | %s | %s | %s | %.2f MB | %.1f MB |\n", f.Name, ms(ready[len(ready)/2]), ms(ready[0]), ms(ready[len(ready)*95/100]),
			ms(cpu[len(cpu)/2]), float64(f.Zip)/1e6, float64(f.Binary)/1e6)
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
