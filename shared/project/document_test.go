package project

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestParseSettings(t *testing.T) {
	s, err := ParseSettings("f.yaml", []byte(`
settings:
  ip: drop
  internal_hosts: [Shop.example., www.shop.example]
  junk_ids: []
metrics: {this is: [not, for, us]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if s.IP != Drop || !slices.Equal(s.InternalHosts, []string{"shop.example", "www.shop.example"}) {
		t.Errorf("settings are %+v", s)
	}
	if s.JunkIDs == nil || len(s.JunkIDs) != 0 {
		t.Errorf("an empty list of junk ids must stay one, not become the built-in list: %#v", s.JunkIDs)
	}
	if s, err = ParseSettings("f.yaml", []byte(EmptyFile)); err != nil || s.IP != Truncate || s.JunkIDs != nil {
		t.Errorf("settings of a file without any are %+v, error %v", s, err)
	}
}

func TestBadSettings(t *testing.T) {
	for doc, want := range map[string]string{
		"settings: {ip: full}":                     `f:1:16: ip is "full"; it can be keep, truncate or drop`,
		"settings: {ip: }":                         `f:1:16: ip is empty`,
		"settings: {IP: keep}":                     `f:1:12: unknown key "IP" in settings, which has internal_hosts, ip, junk_ids`,
		"setings: {ip: keep}":                      `f:1:1: unknown key "setings" in the file, which has metrics, scores, segments, settings`,
		"settings: {}\nsettings: {}":               `f:2:1: "settings" is already on line 1`,
		"settings: {internal_hosts: 'https://x/'}": `f:1:28: internal_hosts has "https://x/": write host names only, such as shop.example (subdomains are included)`,
		"settings: {internal_hosts: [{a: b}]}":     `f:1:29: an entry of internal_hosts must be a text`,
		"settings: [":                              `f:1:1: not YAML: did not find expected node content`,
		"a: b: c":                                  `f: not YAML: mapping values are not allowed in this context: put a text that has ": " in it in quotes, or on a line of its own after "|"`,
		"--- {}\n--- {}":                           `f:2:1: the file must hold one document: remove what follows "---"`,
		"settings: \xff":                           `f: the file is not UTF-8 text`,
		"settings: !!map {}":                       `f:1:11: tags (!) are not supported: remove it, or put a text that begins so in quotes`,
		strings.Repeat(" ", MaxFile+1):             `f: the file has 262145 bytes, at most 262144 are allowed`,
		"? [a]\n: b":                               `f:1:3: a key must be a text`,
		"settings: {junk_ids: [" + strings.Repeat("a,", 1001) + "]}": `f:1:22: junk_ids has 1001 entries, at most 1000 are allowed`,
	} {
		if _, err := ParseSettings("f", []byte(doc)); err == nil || err.Error() != want {
			t.Errorf("%.60s gives\n\t%v, want\n\t%s", doc, err, want)
		}
	}
}

// The character at Position is the character of the text, however YAML writes it.
func TestPositionFindsTheCharacter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z"'\\é>|#&]{1,6}`)
		words := rapid.SliceOfN(word, 1, 8).Draw(t, "words")
		sep := rapid.SampledFrom([]string{" ", "  ", "\n", "\n\n", "\n  "}).Draw(t, "separator")
		text := strings.Join(words, sep)
		style := rapid.SampledFrom([]yaml.Style{0, yaml.LiteralStyle, yaml.FoldedStyle, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle}).Draw(t, "style")
		doc, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Value: "first"}, {Kind: yaml.ScalarNode, Value: "x"},
			{Kind: yaml.ScalarNode, Value: "key"}, {Kind: yaml.ScalarNode, Value: text, Style: style},
			{Kind: yaml.ScalarNode, Value: "last"}, {Kind: yaml.ScalarNode, Value: "y"},
		}})
		if err != nil {
			t.Skip(err)
		}
		d := ReadDocument("f", doc, "")
		if d.Err() != nil || d.Root == nil {
			t.Skip("not read back")
		}
		n := d.Root.Content[3]
		lines := strings.Split(string(doc), "\n")
		for i, r := range []rune(n.Value) {
			if unicode.IsSpace(r) {
				continue
			}
			line, column := d.Position(n, i)
			got := []rune(lines[line-1])[column-1]
			if got != r && !(got == '\\' && n.Style&yaml.DoubleQuotedStyle != 0) {
				t.Fatalf("character %d of %q is %q, at %d:%d is %q of\n%s", i, n.Value, r, line, column, got, doc)
			}
		}
	})
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte("settings: {ip: keep, internal_hosts: [a], junk_ids: [x]}"))
	f.Add([]byte("settings:\n  ip: &a |\n   x\n  internal_hosts: *a"))
	f.Add([]byte("? a\n: \"\\x41\\\n  b\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ParseSettings("f", data); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		IsKeys(data)
		if _, err := ParseKeys("k", data); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}

// An editor that truncates a file and then writes it leaves it empty for a moment.
func TestAnEmptyFileIsRefused(t *testing.T) {
	for _, doc := range []string{"", " \n\t\n", "# nothing\n", "---\n", "null", "\ufeff"} {
		want := `f: the file is empty: write "metrics: {}" if that is what you mean`
		if _, err := ParseSettings("f", []byte(doc)); err == nil || err.Error() != want {
			if doc == " \n\t\n" && err != nil { // no YAML either
				continue
			}
			t.Errorf("%q gives %v, want %s", doc, err, want)
		}
		if _, err := ParseKeys("keys", []byte(doc)); err == nil {
			t.Errorf("%q are good keys", doc)
		}
	}
	for _, doc := range []string{"{}", EmptyFile, "settings:"} {
		if _, err := ParseSettings("f", []byte(doc)); err != nil {
			t.Errorf("%q: %v", doc, err)
		}
	}
	if keys, err := ParseKeys("keys", []byte("{}")); err != nil || len(keys) != 0 {
		t.Errorf("keys %v, %v", keys, err)
	}
}

func TestIsKeys(t *testing.T) {
	for doc, want := range map[string]bool{
		"shop: {write: [w]}": true, "a: {}\nb: {secret: [s], wrong: 1}": true, "": false, "[": false, "- a": false,
		"metrics: {write: {kind: count}}": false, "metrcs: {a: {kind: count}}": false, "settings: {}\nshop: {write: [w]}": false,
	} {
		if got := IsKeys([]byte(doc)); got != want {
			t.Errorf("%q looks like keys: %v", doc, got)
		}
	}
}
