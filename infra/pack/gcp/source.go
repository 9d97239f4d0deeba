package gcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hitolayer/hito/infra/pack/archive"
	"github.com/hitolayer/hito/infra/pack/licence"
	"github.com/hitolayer/hito/infra/pack/sbom"
)

const (
	framework = "github.com/GoogleCloudPlatform/functions-framework-go"
	// registry is what a function registers itself with, and server what serves it.
	registry = framework + "/functions"
	server   = framework + "/funcframework"
)

// root is the package at the zip's root. The buildpack wants one there, which
// imports the registry itself: else it takes its name for a function's
// (https://github.com/GoogleCloudPlatform/buildpacks/blob/main/cmd/go/functions_framework/lib/lib.go).
const root = `// Package function is what Google's Go buildpack builds.
package function

import (
	_ %q
	_ %q
	_ %q
)
`

// modules are those that a zip has packages of, by path@version.
type modules map[string]sbom.Module

// source writes into an empty folder what a function's zip holds: its own packages,
// for every system and version of Go, since Google's builder may have another
// than this machine, and the modules that these need, vendored.
func (b Build) source(ctx context.Context, name, dir string) (modules, error) {
	module, err := b.own(ctx, name, dir)
	if err != nil {
		return nil, err
	}
	for _, file := range []string{"go.mod", "go.sum", "LICENSE"} {
		if err := copyFile(filepath.Join(b.Root, file), filepath.Join(dir, file)); err != nil {
			return nil, err
		}
	}
	program := fmt.Appendf(nil, root, server, registry, module+"/functions/"+name+"/gcp")
	if err := os.WriteFile(filepath.Join(dir, "function.go"), program, 0o644); err != nil {
		return nil, err
	}
	if _, err := run(ctx, dir, []string{"GOFLAGS=-mod=readonly"}, "mod", "vendor"); err != nil {
		return nil, err
	}
	return prune(ctx, dir)
}

// own copies the module's own packages that a function links, and returns the
// module's path.
func (b Build) own(ctx context.Context, name, dir string) (string, error) {
	const fields = "ImportPath,Dir,Module,GoFiles,SFiles,HFiles,EmbedFiles,IgnoredGoFiles,IgnoredOtherFiles"
	out, err := run(ctx, b.Root, []string{"GOARCH=" + arch, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly"}, "list", "-deps", "-json="+fields, "./functions/"+name+"/gcp")
	if err != nil {
		return "", err
	}
	var module string
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir string
			Module          *struct {
				Path string
				Main bool
			}
			GoFiles, SFiles, HFiles, EmbedFiles, IgnoredGoFiles, IgnoredOtherFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return module, nil
		} else if err != nil {
			return "", fmt.Errorf("go list: %w", err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		module = p.Module.Path
		to := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(p.ImportPath, module)))
		for _, file := range slices.Concat(p.GoFiles, p.SFiles, p.HFiles, p.EmbedFiles, p.IgnoredGoFiles, p.IgnoredOtherFiles) {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			if err := copyFile(filepath.Join(p.Dir, file), filepath.Join(to, file)); err != nil {
				return "", err
			}
		}
	}
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// prune takes modules of which no package is vendored out of go.mod, go.sum and
// vendor/modules.txt, so that a zip changes only when what is in it does. All
// three must tell the same (https://go.dev/ref/mod#vendoring). A licence that does
// not allow the others to be shipped is an error.
func prune(ctx context.Context, dir string) (modules, error) {
	path := filepath.Join(dir, "vendor", "modules.txt")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	kept := modules{}
	var list bytes.Buffer
	edit := []string{"mod", "edit"}
	// A module is "# path version", then a line "## …", then its packages.
	for block := range strings.SplitSeq("\n"+string(text), "\n# ") {
		if block == "" {
			continue
		}
		lines := strings.Split(strings.TrimSpace(block), "\n")
		f := strings.Fields(lines[0])
		if len(f) != 2 {
			return nil, fmt.Errorf("go.mod replaces %s, which cannot be packed", f[0])
		}
		if strings.HasPrefix(lines[len(lines)-1], "## ") {
			edit = append(edit, "-droprequire="+f[0])
			continue
		}
		ids, err := licence.Shippable(filepath.Join(dir, "vendor", f[0]))
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", f[0], f[1], err)
		}
		kept[f[0]+"@"+f[1]] = sbom.Module{Licences: ids}
		fmt.Fprintf(&list, "# %s\n", strings.Join(lines, "\n"))
	}
	if err := os.WriteFile(path, list.Bytes(), 0o644); err != nil {
		return nil, err
	}
	if _, err := run(ctx, dir, nil, edit...); err != nil {
		return nil, err
	}
	return kept, sums(filepath.Join(dir, "go.sum"), kept)
}

// sums leaves in go.sum the lines about modules, and reads their hashes.
func sums(path string, kept modules) error {
	all, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var lines []byte
	for line := range bytes.Lines(all) {
		f := strings.Fields(string(line))
		if len(f) != 3 {
			continue
		}
		version, ofMod := strings.CutSuffix(f[1], "/go.mod")
		m, ok := kept[f[0]+"@"+version]
		if !ok {
			continue
		}
		if !ofMod {
			m.Sum = f[2]
			kept[f[0]+"@"+version] = m
		}
		lines = append(lines, line...)
	}
	return os.WriteFile(path, lines, 0o644)
}

// zipped returns a zip of a folder's files, in the order of their names.
func zipped(dir string) ([]byte, error) {
	var files []archive.File
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		// The buildpack wants a go.mod that it may write.
		files = append(files, archive.File{Name: filepath.ToSlash(name), Mode: 0o644, Data: data})
		return err
	}); err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(x, y archive.File) int { return cmp.Compare(x.Name, y.Name) })
	var zip bytes.Buffer
	err := archive.Write(&zip, files)
	return zip.Bytes(), err
}
