package config

import (
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDocumented keeps the pages and the declarations together: every variable
// has its line, with its default, and no other HITO_ name is told of.
func TestDocumented(t *testing.T) {
	operations, functions := page(t, "operations.md"), page(t, "functions.md")
	declared := map[string]bool{}
	for _, v := range Variables() {
		declared[v.Name] = true
		if row := "| `" + v.Name + "` | " + code(v.Default) + " | " + v.Help + " |"; !strings.Contains(operations, row) {
			t.Errorf("docs/operations.md lacks the line\n%s", row)
		}
	}
	for _, v := range FunctionVariables() {
		declared[v.Name] = true
		def := code(v.Default)
		switch {
		case v.Required:
			def = "required"
		case len(v.RequiredBy) > 0:
			def = "required by " + strings.Join(v.RequiredBy, ", ")
		}
		if row := "| `" + v.Name + "` | " + def + " | " + strings.Join(v.Functions, ", ") + " | " + v.Help + " |"; !strings.Contains(functions, row) {
			t.Errorf("docs/functions.md lacks the line\n%s", row)
		}
	}
	for name, doc := range map[string]string{"operations.md": operations, "functions.md": functions} {
		for word := range strings.FieldsFuncSeq(doc, func(r rune) bool {
			return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
		}) {
			if strings.HasPrefix(word, "HITO_") && !declared[word] {
				t.Errorf("docs/%s tells of %s, which is not declared", name, word)
			}
		}
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func TestVariablesAreComplete(t *testing.T) {
	for name, vars := range map[string][]Variable{"the operator's": Variables(), "the functions'": FunctionVariables()} {
		seen := map[string]bool{}
		for _, v := range vars {
			if !strings.HasPrefix(v.Name, "HITO_") || v.Help == "" || seen[v.Name] || v.Required && v.Default != "" {
				t.Errorf("%s variable %+v needs its own HITO_ name and a help text, and is required or has a default", name, v)
			}
			seen[v.Name] = true
		}
		if len(seen) < 10 {
			t.Errorf("%d of %s variables declared", len(seen), name)
		}
	}
	for _, v := range FunctionVariables() {
		if len(v.Functions) == 0 {
			t.Errorf("no function takes %s", v.Name)
		}
		for _, name := range v.RequiredBy {
			if !slices.Contains(v.Functions, name) || v.Default != "" {
				t.Errorf("%s requires %s, and cannot take it, or has it by default", name, v.Name)
			}
		}
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
