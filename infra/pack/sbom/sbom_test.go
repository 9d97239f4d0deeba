package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"runtime/debug"
	"slices"
	"testing"
)

// TestOf makes the bill of this test's own binary, of which no module is known
// but Go's.
func TestOf(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Of(binary, "hito-test", "Apache-2.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Of(binary, "hito-test", "Apache-2.0", nil); err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same binary has two bills, %v", err)
	}
	b := parse(t, first)
	if c := b.Metadata.Component; b.Format != "CycloneDX" || c.Name != "hito-test" || len(c.Hashes) != 1 || len(c.Hashes[0].Content) != 64 {
		t.Errorf("bill %+v", b.Metadata)
	}
	if len(b.Components) != 1 || b.Components[0].Name != "std" || b.Components[0].Version == "" {
		t.Errorf("components %+v", b.Components)
	}
	if _, err := Of([]byte("no binary"), "x", "MIT", nil); err == nil {
		t.Error("a bill of no binary")
	}
}

func parse(t *testing.T, data []byte) (b bom) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return b
}

func TestModules(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Path: "example.com/main", Deps: []*debug.Module{
		{Path: "example.com/z", Version: "v1.0.0", Sum: "h1:z"},
		{Path: "example.com/old", Version: "v0.1.0", Sum: "h1:old", Replace: &debug.Module{Path: "example.com/new", Version: "v2.0.0+incompatible", Sum: "h1:new"}},
		{Path: "example.com/vendored", Version: "v1.1.0"},
	}, Settings: []debug.BuildSetting{{Key: "GOARCH", Value: "arm64"}}}
	data, err := of(info, "ab", "hito-test", "Apache-2.0", func(path, version string) (Module, error) {
		return Module{Licences: []string{"Apache-2.0", "MIT"}, Sum: map[string]string{"example.com/vendored": "h1:v", "example.com/z": "h1:other"}[path]}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b := parse(t, data)
	var refs []string
	for _, c := range b.Components {
		refs = append(refs, c.Ref)
		if c.Name != "std" && (c.Licences[0].Expression != "Apache-2.0 AND MIT" || c.Properties[0].Value != map[string]string{"example.com/z": "h1:z", "example.com/new": "h1:new", "example.com/vendored": "h1:v"}[c.Name]) {
			t.Errorf("component %+v", c)
		}
	}
	want := []string{"pkg:golang/example.com/new@v2.0.0%2Bincompatible", "pkg:golang/example.com/vendored@v1.1.0", "pkg:golang/example.com/z@v1.0.0", "pkg:golang/std@1.26.8"}
	if !slices.Equal(refs, want) || len(b.Dependencies) != 1 || !slices.Equal(b.Dependencies[0].On, want) {
		t.Errorf("components %v, dependencies %+v; want %v", refs, b.Dependencies, want)
	}
	if p := b.Metadata.Component.Properties; !slices.Contains(p, property{"hito:build:GOARCH", "arm64"}) || !slices.Contains(p, property{"hito:build:go", "go1.26.8"}) {
		t.Errorf("built by %+v", p)
	}
	unknown := errors.New("no licence")
	if _, err := of(info, "ab", "x", "MIT", func(string, string) (Module, error) { return Module{}, unknown }); !errors.Is(err, unknown) {
		t.Errorf("a module without licence: %v", err)
	}
}
