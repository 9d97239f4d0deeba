// Package aws packs functions for AWS Lambda: a zip with one static binary each.
package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hitolayer/hito/infra/pack/archive"
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

// Package is one packed function.
type Package struct {
	Function string
	// Binary and Zip are sizes in bytes, and SHA256 the zip's in hexadecimal.
	Binary, Zip int
	SHA256      string
}

// ErrTooLarge is in the chain of the error when a zip has more than MaxZip.
var ErrTooLarge = errors.New("larger than the budget")

// Run writes, for each function, <function>.zip and its bill of materials
// <function>.cdx.json, and the checksums of all of them, SHA256SUMS. The bytes
// depend on the module's files and on Go's version only.
func (b Build) Run(ctx context.Context) ([]Package, error) {
	functions := b.Functions
	if len(functions) == 0 {
		var err error
		if functions, err = Functions(b.Root); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(b.Out, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of packages: %w", err)
	}
	var packages []Package
	var sums strings.Builder
	var problems []error
	for _, name := range slices.Sorted(slices.Values(functions)) {
		p, lines, err := b.pack(ctx, name)
		if err != nil {
			return packages, fmt.Errorf("pack %s: %w", name, err)
		}
		if p.Zip > MaxZip {
			problems = append(problems, fmt.Errorf("%s.zip has %d bytes, and may have %d: %w", name, p.Zip, MaxZip, ErrTooLarge))
		}
		packages = append(packages, p)
		sums.WriteString(lines)
	}
	if err := os.WriteFile(filepath.Join(b.Out, "SHA256SUMS"), []byte(sums.String()), 0o644); err != nil {
		problems = append(problems, err)
	}
	return packages, errors.Join(problems...)
}

// Functions returns the names of the functions that a module has for AWS, sorted.
func Functions(root string) ([]string, error) {
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "aws", "main.go"))
	if err != nil || len(mains) == 0 {
		return nil, fmt.Errorf("no functions/*/aws/main.go in %s", root)
	}
	for i, path := range mains {
		mains[i] = filepath.Base(filepath.Dir(filepath.Dir(path)))
	}
	slices.Sort(mains)
	return mains, nil
}

// pack writes one function's files, and returns their lines of SHA256SUMS.
func (b Build) pack(ctx context.Context, name string) (Package, string, error) {
	binary, err := b.compile(ctx, name)
	if err != nil {
		return Package{}, "", err
	}
	bill, err := sbom.Of(binary, "hito-"+name, ownLicence, b.licences(ctx, name))
	if err != nil {
		return Package{}, "", err
	}
	var zip bytes.Buffer
	if err := archive.Write(&zip, []archive.File{{Name: bootstrap, Mode: 0o755, Data: binary}}); err != nil {
		return Package{}, "", err
	}
	var lines strings.Builder
	for _, f := range []struct {
		name string
		data []byte
	}{{name + ".cdx.json", bill}, {name + ".zip", zip.Bytes()}} {
		if err := os.WriteFile(filepath.Join(b.Out, f.name), f.data, 0o644); err != nil {
			return Package{}, "", err
		}
		fmt.Fprintf(&lines, "%s  %s\n", sum(f.data), f.name)
	}
	return Package{Function: name, Binary: len(binary), Zip: zip.Len(), SHA256: sum(zip.Bytes())}, lines.String(), nil
}

// mainOf is where a function's main is.
func mainOf(function string) string { return "./functions/" + function + "/aws" }

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

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
