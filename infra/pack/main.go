// Command pack builds what is deployed: for every function of each cloud a zip,
// its bill of materials and checksums, the same bytes wherever it runs. With
// -images it builds container images for Google Cloud instead.
//
//	go run ./infra/pack [-cloud aws] [-arch arm64] [-out dist] [function ...]
//	go run ./infra/pack -images [function ...]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/hitolayer/hito/infra/pack/artifact"
	"github.com/hitolayer/hito/infra/pack/aws"
	"github.com/hitolayer/hito/infra/pack/gcp"
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
	cloud := flags.String("cloud", "", "aws or gcp: both when empty")
	arch := flags.String("arch", "arm64", "processor of the functions on AWS: arm64 or amd64")
	out := flags.String("out", "dist", "`folder` that gets a folder for each cloud")
	images := flags.Bool("images", false, "build images for Google Cloud with ko, and push them to KO_DOCKER_REPO")
	root := flags.String("root", ".", "the module's `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *images {
		built, err := gcp.Build{Root: *root, Functions: flags.Args()}.Images(ctx)
		for _, i := range built {
			fmt.Println(i.Function, i.Reference)
		}
		return err
	}
	switch *cloud {
	case "", "aws", "gcp":
	default:
		return fmt.Errorf("there is no cloud %q: aws or gcp", *cloud)
	}
	var problems []error
	if *cloud != "gcp" {
		packages, err := aws.Build{Root: *root, Out: filepath.Join(*out, "aws"), Arch: *arch, Functions: flags.Args()}.Run(ctx)
		table("AWS", aws.MaxZip, packages)
		problems = append(problems, err)
	}
	if *cloud != "aws" {
		packages, err := gcp.Build{Root: *root, Out: filepath.Join(*out, "gcp"), Functions: flags.Args()}.Run(ctx)
		table("Google Cloud", gcp.MaxZip, packages)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// table prints sizes in Markdown, in MB of a million bytes.
func table(cloud string, most float64, packages []artifact.Package) {
	if len(packages) == 0 {
		return
	}
	fmt.Printf("| function on %s | zip | of %.0f MB | binary | SHA-256 of the zip |\n|---|---|---|---|---|\n", cloud, most/1e6)
	for _, p := range packages {
		fmt.Printf("| %s | %.2f MB | %.0f %% | %.1f MB | `%s` |\n", p.Function, float64(p.Zip)/1e6, 100*float64(p.Zip)/most, float64(p.Binary)/1e6, p.SHA256)
	}
	fmt.Println()
}
