package config

import (
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDocumented keeps docs/operations.md and the declaration together: every
// variable has its line, with its default, and no other HITO_ name is told of.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, v := range Variables() {
		declared[v.Name] = true
		def := ""
		if v.Default != "" {
			def = "`" + v.Default + "`"
		}
		if row := "| `" + v.Name + "` | " + def + " | " + v.Help + " |"; !strings.Contains(string(doc), row) {
			t.Errorf("docs/operations.md lacks the line\n%s", row)
		}
	}
	for word := range strings.FieldsFuncSeq(string(doc), func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		if strings.HasPrefix(word, "HITO_") && !declared[word] {
			t.Errorf("docs/operations.md tells of %s, which is not declared", word)
		}
	}
}

func TestVariablesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range Variables() {
		if !strings.HasPrefix(v.Name, "HITO_") || v.Help == "" || seen[v.Name] {
			t.Errorf("variable %+v needs its own HITO_ name and a help text", v)
		}
		seen[v.Name] = true
	}
	if len(seen) < 10 {
		t.Errorf("%d variables declared", len(seen))
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "17": 17, "17B": 17, "2KB": 2000, "2 KiB": 2048, "3GiB": 3 << 30, "1TB": 1e12} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q reads as %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GiB", "1XB", "9999999999GiB", "0x10"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q reads as %d, want an error", text, b)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := Bytes(rapid.Int64Min(0).Draw(t, "bytes"))
		var got Bytes
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%d prints as %s, which reads as %d, %v", want, want, got, err)
		}
	})
}
