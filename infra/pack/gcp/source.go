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
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hitolayer/hito/infra/pack/archive"
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

// contexts are what a package may be built for: Cloud Run's processor, or that of
// a machine that tests. Whether Google's builder has a C compiler is not ours.
var contexts = [][]string{
	{"GOARCH=amd64", "CGO_ENABLED=0"},
	{"GOARCH=amd64", "CGO_ENABLED=1"},
	{"GOARCH=arm64", "CGO_ENABLED=0"},
}

// source is what a zip holds.
type source struct {
	files   []archive.File // in the order of their names
	modules map[string]*module
}

// module is what go list says of a module.
type module struct {
	Path, Version, Sum, Dir, GoVersion string
	Main                               bool
	packages                           []string
}

// fields are those of pkg.
const fields = "ImportPath,Dir,Standard,Module,GoFiles,CgoFiles,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles,EmbedFiles"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Dir string
	Standard        bool
	Module          *module

	GoFiles, CgoFiles, CFiles, CXXFiles, MFiles, HFiles, FFiles, SFiles, SwigFiles, SwigCXXFiles, SysoFiles, EmbedFiles []string
}

// files are those that the package is built from.
func (p pkg) files() []string {
	return slices.Concat(p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.HFiles, p.FFiles, p.SFiles, p.SwigFiles, p.SwigCXXFiles, p.SysoFiles, p.EmbedFiles)
}

// source finds out what a function is built from.
func (b Build) source(ctx context.Context, name string) (source, error) {
	pkgs, err := b.list(ctx, name)
	if err != nil {
		return source{}, err
	}
	z := source{modules: map[string]*module{}}
	from := map[string]string{} // the files' names here by those in the zip
	var own *module
	for _, p := range pkgs {
		m, known := z.modules[p.Module.Path]
		if !known {
			m = p.Module
			z.modules[m.Path] = m
		}
		to := path.Join("vendor", p.ImportPath)
		if m.Main {
			own, to = m, strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, m.Path), "/")
		}
		if !slices.Contains(m.packages, p.ImportPath) {
			m.packages = append(m.packages, p.ImportPath)
		}
		for _, f := range p.files() {
			from[path.Join(to, f)] = filepath.Join(p.Dir, f)
		}
		if err := terms(from, p, to); err != nil {
			return source{}, err
		}
	}
	if own == nil {
		return source{}, fmt.Errorf("%s has no function %s", b.Root, name)
	}
	delete(z.modules, own.Path)
	mod, err := b.mod(ctx, z.modules)
	if err != nil {
		return source{}, err
	}
	sums, err := b.sums(z.modules)
	if err != nil {
		return source{}, err
	}
	z.files = []archive.File{
		{Name: "function.go", Data: fmt.Appendf(nil, root, server, registry, own.Path+"/functions/"+name+"/gcp")},
		{Name: "go.mod", Data: mod},
		{Name: "go.sum", Data: sums},
		{Name: "vendor/modules.txt", Data: vendored(z.modules)},
	}
	for to, from := range from {
		data, err := os.ReadFile(from)
		if err != nil {
			return source{}, err
		}
		z.files = append(z.files, archive.File{Name: to, Data: data})
	}
	for i := range z.files {
		z.files[i].Mode = 0o644 // the buildpack wants a go.mod that it may write
	}
	slices.SortFunc(z.files, func(x, y archive.File) int { return cmp.Compare(x.Name, y.Name) })
	return z, nil
}

// list returns the packages that a function links, but for the standard library's,
// in each context.
func (b Build) list(ctx context.Context, name string) ([]pkg, error) {
	var pkgs []pkg
	for _, env := range contexts {
		out, err := run(ctx, b.Root, append(env, "GOFLAGS=-mod=readonly"), "list", "-deps", "-json="+fields, "./functions/"+name+"/gcp", registry, server)
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(bytes.NewReader(out)); ; {
			var p pkg
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("go list: %w", err)
			}
			if !p.Standard {
				pkgs = append(pkgs, p)
			}
		}
	}
	return pkgs, nil
}

// terms adds the texts that a package is given to others under: those of its
// folder and of the folders above it, up to its module's.
func terms(from map[string]string, p pkg, to string) error {
	for dir := p.Dir; ; dir, to = filepath.Dir(dir), path.Dir(to) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && isTerms(e) {
				from[path.Join(to, e.Name())] = filepath.Join(dir, e.Name())
			}
		}
		if dir == p.Module.Dir || len(dir) < len(p.Module.Dir) {
			return nil
		}
	}
}

// isTerms tells by its name whether a file is such a text.
func isTerms(e fs.DirEntry) bool {
	name := strings.ToUpper(e.Name())
	return !strings.HasSuffix(name, ".GO") && slices.ContainsFunc(
		[]string{"AUTHORS", "COPYING", "COPYRIGHT", "LEGAL", "LICENCE", "LICENSE", "NOTICE", "PATENTS", "UNLICENSE"},
		func(start string) bool { return strings.HasPrefix(name, start) })
}

// mod returns the module's go.mod without the modules that are not vendored: that
// and vendor/modules.txt must tell the same.
func (b Build) mod(ctx context.Context, modules map[string]*module) ([]byte, error) {
	out, err := run(ctx, b.Root, nil, "mod", "edit", "-json")
	if err != nil {
		return nil, err
	}
	var mod struct {
		Require []struct{ Path string }
		Replace []json.RawMessage
		Tool    []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, fmt.Errorf("go mod edit: %w", err)
	}
	if len(mod.Replace) > 0 {
		return nil, errors.New("go.mod replaces modules, which cannot be packed")
	}
	edit := []string{"mod", "edit", "-print"}
	for _, r := range mod.Require {
		if modules[r.Path] == nil {
			edit = append(edit, "-droprequire="+r.Path)
		}
	}
	for _, t := range mod.Tool {
		edit = append(edit, "-droptool="+t.Path)
	}
	return run(ctx, b.Root, nil, edit...)
}

// sums returns the lines of the module's go.sum that are about vendored modules.
func (b Build) sums(modules map[string]*module) ([]byte, error) {
	all, err := os.ReadFile(filepath.Join(b.Root, "go.sum"))
	if err != nil {
		return nil, err
	}
	var lines []byte
	for line := range bytes.Lines(all) {
		if f := strings.Fields(string(line)); len(f) == 3 && modules[f[0]] != nil && modules[f[0]].Version == strings.TrimSuffix(f[1], "/go.mod") {
			lines = append(lines, line...)
		}
	}
	return lines, nil
}

// vendored returns vendor/modules.txt as go mod vendor writes it
// (https://go.dev/ref/mod#go-mod-vendor).
func vendored(modules map[string]*module) []byte {
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		m := modules[name]
		fmt.Fprintf(&text, "# %s %s\n## explicit", m.Path, m.Version)
		if m.GoVersion != "" {
			fmt.Fprintf(&text, "; go %s", m.GoVersion)
		}
		text.WriteByte('\n')
		for _, p := range slices.Sorted(slices.Values(m.packages)) {
			fmt.Fprintln(&text, p)
		}
	}
	return text.Bytes()
}
