package aws

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/infra/pack/artifact"
)

const root = "../../.."

// checkout copies what a function is built from to a folder of its own.
func checkout(t *testing.T, folder string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), folder)
	for _, from := range []string{"go.mod", "go.sum", "LICENSE", "functions", "infra", "shared"} {
		if err := filepath.WalkDir(filepath.Join(root, from), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules") {
				return fs.SkipDir
			}
			name, err := filepath.Rel(root, path)
			if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			copied := filepath.Join(to, name)
			if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
				return err
			}
			return os.WriteFile(copied, data, 0o644)
		}); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestReproducible packs one function in two folders, with temporary folders of
// different names: the bytes are the same, and the zip has what Lambda runs.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a function twice")
	}
	var first map[string][]byte
	for _, folder := range []string{"here", "some/where else"} {
		b := Build{Root: checkout(t, folder), Out: filepath.Join(t.TempDir(), "out"), Arch: runtime.GOARCH, Functions: []string{"beacon"}}
		t.Setenv("TMPDIR", t.TempDir())
		t.Setenv("GOFLAGS", "-tags=nothing")
		packages, err := b.Run(t.Context())
		if err != nil || len(packages) != 1 {
			t.Fatalf("%v, %v", packages, err)
		}
		files := map[string][]byte{}
		for _, name := range []string{"beacon.zip", "beacon.cdx.json", "SHA256SUMS"} {
			if files[name], err = os.ReadFile(filepath.Join(b.Out, name)); err != nil {
				t.Fatal(err)
			}
		}
		if first == nil {
			first = files
			whole(t, packages[0], files)
			continue
		}
		for name, data := range files {
			if !bytes.Equal(data, first[name]) {
				t.Errorf("%s from another folder has other bytes", name)
			}
		}
	}
}

// whole checks one function's files.
func whole(t *testing.T, p artifact.Package, files map[string][]byte) {
	data := files["beacon.zip"]
	sum := sha256.Sum256(data)
	if p.Zip != len(data) || p.SHA256 != hex.EncodeToString(sum[:]) || !strings.Contains(string(files["SHA256SUMS"]), p.SHA256+"  beacon.zip\n") {
		t.Errorf("%+v of %d bytes, in\n%s", p, len(data), files["SHA256SUMS"])
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(z.File) != 1 || z.File[0].Name != "bootstrap" || z.File[0].Mode() != 0o755 {
		t.Fatalf("zip %+v, %v", z, err)
	}
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	e, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(e.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the binary is not static")
	}
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(files["beacon.cdx.json"], &bill); err != nil || len(info.Deps) == 0 || len(bill.Components) != len(info.Deps)+1 {
		t.Errorf("%d components for %d modules and the standard library, %v", len(bill.Components), len(info.Deps), err)
	}
}

// TestFunctions: every function that has a main for AWS is packed.
func TestFunctions(t *testing.T) {
	got, err := Functions(root)
	if want := []string{"beacon", "enrich", "profile", "relay", "score"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got, err := Functions(t.TempDir()); err == nil {
		t.Errorf("an empty folder has the functions %v", got)
	}
}

// TestLicences: what any function links may be shipped.
func TestLicences(t *testing.T) {
	functions, err := Functions(root)
	if err != nil {
		t.Fatal(err)
	}
	b := Build{Root: root}
	for _, function := range functions {
		dirs, err := b.dirs(t.Context(), function)
		if err != nil || len(dirs) < 10 {
			t.Fatalf("%s: %d modules, %v", function, len(dirs), err)
		}
		licences := b.licences(t.Context(), function)
		for module := range dirs {
			path, version, _ := strings.Cut(module, "@")
			if _, err := licences(path, version); err != nil && version != "" {
				t.Errorf("%s links %s: %v", function, module, err)
			}
		}
	}
}

func TestRunTellsWhatFailed(t *testing.T) {
	out := t.TempDir()
	_, err := Build{Root: root, Out: out, Functions: []string{"nothing"}}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a function that is none: %v", err)
	}
}
