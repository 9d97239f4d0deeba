// Package gcp packs functions for Google Cloud: zips of source, which Google's Go
// buildpack builds where they are deployed, and images, which ko builds here.
package gcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hitolayer/hito/infra/pack/artifact"
	"github.com/hitolayer/hito/infra/pack/sbom"
)

const (
	// MaxZip is the most that a zip may have, in bytes. No cold start loads it, but
	// each deployment sends it and keeps it, and a dependency that pays too
	// little for its weight shows here first. Google takes up to 100 MB
	// (https://cloud.google.com/functions/quotas).
	MaxZip = 15_000_000
	// arch is the only processor of Cloud Run
	// (https://cloud.google.com/run/docs/container-contract).
	arch = "amd64"
	// ownLicence is hito's.
	ownLicence = "Apache-2.0"
)

// Build says what to pack, and where to.
type Build struct {
	// Root is the module's folder, and Out where the packages go. Both are needed.
	Root, Out string
	// Functions are the functions' names; all that there are when empty.
	Functions []string
}

// Run writes, for each function, <function>.zip with its source, and the checksums
// of all files, SHA256SUMS. It compiles each zip as Google does, to know that it
// can be, and writes the binary's bill of materials, <function>.cdx.json. The
// bytes of a zip depend on the module's files only, those of a bill on Go's
// version too. artifact.ErrTooLarge is in the chain of the error when a zip has
// more than MaxZip.
func (b Build) Run(ctx context.Context) ([]artifact.Package, error) {
	functions, err := b.functions()
	if err != nil {
		return nil, err
	}
	return artifact.Write(b.Out, functions, MaxZip, func(name string) (artifact.Artifact, error) { return b.pack(ctx, name) })
}

// Functions returns the names of the functions that a module has for Google
// Cloud, sorted.
func Functions(root string) ([]string, error) { return artifact.Functions(root, "gcp/function.go") }

func (b Build) functions() ([]string, error) {
	if len(b.Functions) > 0 {
		return b.Functions, nil
	}
	return Functions(b.Root)
}

func (b Build) pack(ctx context.Context, name string) (artifact.Artifact, error) {
	dir, err := os.MkdirTemp("", "hito-pack-")
	if err != nil {
		return artifact.Artifact{}, err
	}
	defer os.RemoveAll(dir)
	tree, source, program := filepath.Join(dir, "tree"), filepath.Join(dir, "source.zip"), filepath.Join(dir, "main")
	kept, err := b.source(ctx, name, tree)
	if err != nil {
		return artifact.Artifact{}, err
	}
	zip, err := zipped(tree)
	if err != nil {
		return artifact.Artifact{}, err
	}
	if err := os.WriteFile(source, zip, 0o600); err != nil {
		return artifact.Artifact{}, err
	}
	if err := compile(ctx, source, program, arch); err != nil {
		return artifact.Artifact{}, err
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return artifact.Artifact{}, err
	}
	bill, err := sbom.Of(binary, "hito-"+name, ownLicence, func(path, version string) (sbom.Module, error) {
		m, ok := kept[path+"@"+version]
		if !ok {
			return m, errors.New("it is not in the zip")
		}
		return m, nil
	})
	return artifact.Artifact{Zip: zip, Bill: bill, Binary: len(binary)}, err
}

// environment is this process's, so that what go builds does not depend on the
// user's settings.
func environment(more ...string) []string {
	return append(append(os.Environ(), "GOOS=linux", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off"), more...)
}

// run runs go in a folder, and returns what it prints.
func run(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = environment(env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.Bytes())
	}
	return out, nil
}
