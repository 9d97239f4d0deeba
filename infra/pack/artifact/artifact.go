// Package artifact writes what is deployed of functions: of each a zip and its
// bill of materials, and the checksums of all of them.
package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Artifact is what is made of one function.
type Artifact struct {
	// Zip is what is deployed, and Bill the bill of materials.
	Zip, Bill []byte
	// Binary is the size of the binary that runs, in bytes.
	Binary int
}

// Package is one function's artifact once written.
type Package struct {
	Function string
	// Binary and Zip are sizes in bytes, and SHA256 the zip's in hexadecimal.
	Binary, Zip int
	SHA256      string
}

// ErrTooLarge is in the chain of the error when a zip has more than the budget.
var ErrTooLarge = errors.New("larger than the budget")

// Functions returns the names of the functions that a module has a file for,
// functions/<name>/<file>, sorted.
func Functions(root, file string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(root, "functions", "*", file))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no functions/*/%s in %s", file, root)
	}
	for i, path := range names {
		rest, _ := filepath.Rel(filepath.Join(root, "functions"), path)
		names[i], _, _ = strings.Cut(filepath.ToSlash(rest), "/")
	}
	slices.Sort(names)
	return names, nil
}

// Write writes into the folder out, for each function, what pack makes of it:
// <function>.zip and <function>.cdx.json, and SHA256SUMS of them all. A zip of
// more than budget bytes is written, and is an error.
func Write(out string, functions []string, budget int, pack func(function string) (Artifact, error)) ([]Package, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of packages: %w", err)
	}
	var packages []Package
	var sums strings.Builder
	var problems []error
	for _, name := range slices.Sorted(slices.Values(functions)) {
		a, err := pack(name)
		if err != nil {
			return packages, fmt.Errorf("pack %s: %w", name, err)
		}
		if len(a.Zip) > budget {
			problems = append(problems, fmt.Errorf("%s.zip has %d bytes, and may have %d: %w", name, len(a.Zip), budget, ErrTooLarge))
		}
		for _, f := range []struct {
			name string
			data []byte
		}{{name + ".cdx.json", a.Bill}, {name + ".zip", a.Zip}} {
			if err := os.WriteFile(filepath.Join(out, f.name), f.data, 0o644); err != nil {
				return packages, fmt.Errorf("write %s: %w", f.name, err)
			}
			fmt.Fprintf(&sums, "%s  %s\n", sum(f.data), f.name)
		}
		packages = append(packages, Package{Function: name, Binary: a.Binary, Zip: len(a.Zip), SHA256: sum(a.Zip)})
	}
	if err := os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644); err != nil {
		problems = append(problems, err)
	}
	return packages, errors.Join(problems...)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
