// Command pack builds what is deployed: for every function on AWS a zip, its
// bill of materials and checksums, the same bytes wherever it runs.
//
//	go run ./infra/pack [-arch arm64] [-out dist] [function ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/hitolayer/hito/infra/pack/aws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("pack", flag.ExitOnError)
	arch := flags.String("arch", "arm64", "processor of the functions: arm64 or amd64")
	out := flags.String("out", "dist", "`folder` that gets a folder aws")
	root := flags.String("root", ".", "the module's `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	packages, err := aws.Build{Root: *root, Out: filepath.Join(*out, "aws"), Arch: *arch, Functions: flags.Args()}.Run(ctx)
	table(packages)
	return err
}

// table prints sizes in Markdown, in MB of a million bytes.
func table(packages []aws.Package) {
	if len(packages) == 0 {
		return
	}
	fmt.Printf("| function | zip | of %.0f MB | binary | SHA-256 of the zip |\n|---|---|---|---|---|\n", aws.MaxZip/1e6)
	for _, p := range packages {
		fmt.Printf("| %s | %.2f MB | %.0f %% | %.1f MB | `%s` |\n", p.Function, float64(p.Zip)/1e6, 100*float64(p.Zip)/aws.MaxZip, float64(p.Binary)/1e6, p.SHA256)
	}
}
