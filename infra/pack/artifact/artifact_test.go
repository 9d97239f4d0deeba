package artifact

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFunctions(t *testing.T) {
	root := t.TempDir()
	if got, err := Functions(root, "x/main.go"); err == nil {
		t.Errorf("an empty folder has the functions %v", got)
	}
	for _, dir := range []string{"two/x", "one/x", "other/y"} {
		dir = filepath.Join(root, "functions", dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "main.go"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Functions(root, "x/main.go"); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWrite(t *testing.T) {
	out := filepath.Join(t.TempDir(), "a", "b")
	made := map[string]Artifact{"one": {Zip: []byte("abc"), Bill: []byte("{}"), Binary: 7}, "two": {Zip: []byte("abcd")}}
	pack := func(name string) (Artifact, error) {
		a, ok := made[name]
		if !ok {
			return a, errors.New("no such function")
		}
		return a, nil
	}
	packages, err := Write(out, []string{"two", "one"}, 3, pack)
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "two.zip has 4 bytes, and may have 3") || strings.Contains(err.Error(), "one") {
		t.Errorf("a zip of 4 bytes where 3 are allowed: %v", err)
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2's example
	if want := (Package{Function: "one", Binary: 7, Zip: 3, SHA256: abc}); len(packages) != 2 || packages[0] != want || packages[1].Function != "two" {
		t.Errorf("packages %+v; want %+v first", packages, want)
	}
	sums, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
	if err != nil || strings.Count(string(sums), "\n") != 4 || !strings.Contains(string(sums), abc+"  one.zip\n") || !strings.Contains(string(sums), "  two.cdx.json\n") {
		t.Errorf("%v, checksums\n%s", err, sums)
	}
	if bill, err := os.ReadFile(filepath.Join(out, "one.cdx.json")); err != nil || string(bill) != "{}" {
		t.Errorf("bill %q, %v", bill, err)
	}
	if _, err := Write(out, []string{"one", "three"}, 3, pack); err == nil || !strings.Contains(err.Error(), "pack three: no such function") {
		t.Errorf("a function that is none: %v", err)
	}
}
