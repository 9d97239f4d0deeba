// Package sbom makes the bill of materials of a Go binary, in CycloneDX 1.6's
// JSON (https://cyclonedx.org/docs/1.6/json), from what the binary says itself
// of the modules linked into it. It holds no time and no random number: the same
// binary has the same bill.
package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// Module is what a binary does not say of a module.
type Module struct {
	// Licences are the SPDX identifiers of its licences.
	Licences []string
	// Sum is its line's hash in go.sum, for a binary made of vendored modules, which
	// does not have it.
	Sum string
}

// Modules returns what is known of a module.
type Modules func(path, version string) (Module, error)

type bom struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Ref        string     `json:"bom-ref"`
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	Scope      string     `json:"scope,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licences   []license  `json:"licenses,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type license struct {
	Expression string `json:"expression"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// standard is the licence of Go and of its standard library.
const standard = "BSD-3-Clause"

// Of returns the bill of materials of a binary. name is what the binary is called
// in it, ownLicence the SPDX identifier of its own code's licence.
func Of(binary []byte, name, ownLicence string, modules Modules) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, fmt.Errorf("read what %s is made of: %w", name, err)
	}
	sum := sha256.Sum256(binary)
	return of(info, hex.EncodeToString(sum[:]), name, ownLicence, modules)
}

func of(info *debug.BuildInfo, digest, name, ownLicence string, modules Modules) ([]byte, error) {
	b := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{component{
			Ref: name, Type: "application", Name: name,
			Hashes:     []hash{{"SHA-256", digest}},
			Licences:   []license{{ownLicence}},
			Properties: settings(info),
		}},
		Components: []component{goComponent("std", strings.TrimPrefix(info.GoVersion, "go"), "", []string{standard})},
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		m, err := modules(dep.Path, dep.Version)
		if err != nil {
			return nil, fmt.Errorf("%s %s, which %s links: %w", dep.Path, dep.Version, name, err)
		}
		b.Components = append(b.Components, goComponent(dep.Path, dep.Version, cmp.Or(dep.Sum, m.Sum), m.Licences))
	}
	slices.SortFunc(b.Components, func(x, y component) int { return cmp.Compare(x.Ref, y.Ref) })
	all := dependency{Ref: name}
	for _, c := range b.Components {
		all.On = append(all.On, c.Ref)
	}
	b.Dependencies = []dependency{all}
	out, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the bill of %s: %w", name, err)
	}
	return append(out, '\n'), nil
}

// goComponent is a module. Its h1 is a hash of the hashes of its files, none that
// CycloneDX has a name for (https://go.dev/ref/mod#go-sum-files).
func goComponent(path, version, h1 string, ids []string) component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	c := component{
		Ref: purl, Type: "library", Name: path, Version: version, Scope: "required", PURL: purl,
		Licences: []license{{strings.Join(ids, " AND ")}},
	}
	if h1 != "" {
		c.Properties = []property{{"hito:go.sum", h1}}
	}
	return c
}

// settings tells how the binary was built.
func settings(info *debug.BuildInfo) []property {
	list := []property{{"hito:build:go", info.GoVersion}, {"hito:build:package", info.Path}}
	for _, s := range info.Settings {
		list = append(list, property{"hito:build:" + s.Key, s.Value})
	}
	return list
}
