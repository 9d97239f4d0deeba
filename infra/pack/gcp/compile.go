package gcp

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// program is what the buildpack makes of a function that registers itself, and
// one thing more: it serves on every address, and with LOCAL_ONLY=true this on
// 127.0.0.1 only
// (https://github.com/GoogleCloudPlatform/buildpacks/blob/main/cmd/go/functions_framework/lib/template_declarative.go).
const program = `package main

import (
	"log"
	"os"

	_ %q

	%q
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	host := ""
	if os.Getenv("LOCAL_ONLY") == "true" {
		host = "127.0.0.1"
	}
	if err := funcframework.StartHostPort(host, port); err != nil {
		log.Fatalf("Function failed to start: %%v\n", err)
	}
}
`

// Compile makes of a zip the binary that Google's Go buildpack makes of it, for
// this machine's processor and Linux, or says why the buildpack would refuse it.
// It needs no network. The binary serves the function that FUNCTION_TARGET names
// on PORT, with LOCAL_ONLY=true on 127.0.0.1 only.
func Compile(ctx context.Context, zipPath, outPath string) error {
	return compile(ctx, zipPath, outPath, runtime.GOARCH)
}

func compile(ctx context.Context, zipPath, outPath, arch string) error {
	outPath, err := filepath.Abs(outPath)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hito-compile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	z, err := zip.OpenReader(zipPath)
	if err != nil {
		return fmt.Errorf("read %s: %w", zipPath, err)
	}
	defer z.Close()
	if err := os.CopyFS(dir, z); err != nil {
		return fmt.Errorf("unpack %s: %w", zipPath, err)
	}
	if err := accepted(dir); err != nil {
		return fmt.Errorf("the buildpack refuses %s: %w", zipPath, err)
	}
	env := []string{"GOARCH=" + arch, "CGO_ENABLED=0", "GOFLAGS=-mod=vendor", "GOPROXY=off", "GOTOOLCHAIN=local"}
	out, err := run(ctx, dir, env, "list", "-m")
	if err != nil {
		return err
	}
	module := strings.TrimSpace(string(out))
	if first, _, _ := strings.Cut(module, "/"); !strings.Contains(first, ".") {
		return fmt.Errorf("the buildpack refuses %s: the first element of the module's path, %s, has no dot", zipPath, module)
	}
	// Since Go 1.23 the buildpack puts its program beside vendor, not in it.
	app := filepath.Join(dir, "functions.local", "app")
	if err := os.MkdirAll(app, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(app, "main.go"), fmt.Appendf(nil, program, module, server), 0o644); err != nil {
		return err
	}
	_, err = run(ctx, dir, env, "build", "-trimpath", "-buildvcs=false", "-o", outPath, app)
	return err
}

// accepted tells why the buildpack would not build what a zip has, if so.
func accepted(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	names, imports := map[string]bool{}, map[string]bool{}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		names[f.Name.Name] = true
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			imports[name] = true
		}
	}
	switch {
	case len(names) != 1 || names["main"]:
		return fmt.Errorf("its root has %d packages, where one is wanted that is no main", len(names))
	case !imports[registry]:
		return errors.New("the package at its root does not import " + registry)
	}
	for _, name := range []string{"go.mod", filepath.Join("vendor", "modules.txt"), filepath.Join("vendor", server)} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return errors.New("it has no " + filepath.ToSlash(name))
		}
	}
	return nil
}
