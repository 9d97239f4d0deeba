// Package aws packs functions for AWS Lambda: a zip with one static binary each.
package aws

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hitolayer/hito/infra/pack/archive"
	"github.com/hitolayer/hito/infra/pack/artifact"
	"github.com/hitolayer/hito/infra/pack/sbom"
)

const (
	// MaxZip is the most that a zip may have, in bytes: what a cold start loads.
	MaxZip = 15_000_000
	// bootstrap is what the runtimes provided.* run.
	bootstrap = "bootstrap"
	// tags leave out what only Lambda's runtime go1.x needed.
	tags = "lambda.norpc"
	// ownLicence is hito's.
	ownLicence = "Apache-2.0"
)

// Build says what to pack, and where to.
type Build struct {
	// Root is the module's folder, and Out where the packages go. Both are needed.
	Root, Out string
	// Arch is arm64 or amd64, as Go names them: arm64 when empty.
	Arch string
	// Functions are the functions' names; all that there are when empty.
	Functions []string
}

// Run writes, for each function, <function>.zip and its bill of materials
// <function>.cdx.json, and the checksums of all of them, SHA256SUMS. The bytes
// depend on the module's files and on Go's version only. artifact.ErrTooLarge is
// in the chain of the error when a zip has more than MaxZip.
func (b Build) Run(ctx context.Context) ([]artifact.Package, error) {
	functions := b.Functions
	if len(functions) == 0 {
		var err error
		if functions, err = Functions(b.Root); err != nil {
			return nil, err
		}
	}
	return artifact.Write(b.Out, functions, MaxZip, func(name string) (artifact.Artifact, error) { return b.pack(ctx, name) })
}

// Functions returns the names of the functions that a module has for AWS, sorted.
func Functions(root string) ([]string, error) { return artifact.Functions(root, "aws/main.go") }

func (b Build) pack(ctx context.Context, name string) (artifact.Artifact, error) {
	binary, err := b.compile(ctx, name)
	if err != nil {
		return artifact.Artifact{}, err
	}
	bill, err := sbom.Of(binary, "hito-"+name, ownLicence, b.licences(ctx, name))
	if err != nil {
		return artifact.Artifact{}, err
	}
	var zip bytes.Buffer
	err = archive.Write(&zip, []archive.File{{Name: bootstrap, Mode: 0o755, Data: binary}})
	return artifact.Artifact{Zip: zip.Bytes(), Bill: bill, Binary: len(binary)}, err
}

// mainOf is where a function's main is.
func mainOf(function string) string { return "./functions/" + function + "/aws" }

// compile returns a function's binary. The flags leave out what differs from
// one checkout to the next: folders, version control, the build's id.
// lambda.norpc leaves out what only the runtime go1.x needed.
func (b Build) compile(ctx context.Context, name string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "hito-pack-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, bootstrap)
	cmd := b.command(ctx, "build", "-tags", tags, "-trimpath", "-ldflags=-s -w -buildid=", "-buildvcs=false", "-o", out, mainOf(name))
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, text)
	}
	return os.ReadFile(out)
}

// command is a go command in Root whose result does not depend on the user's settings.
func (b Build) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.Root
	arch := b.Arch
	if arch == "" {
		arch = "arm64"
	}
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOARM64=v8.0", "GOAMD64=v1",
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off")
	return cmd
}
