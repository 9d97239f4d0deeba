package enrichment

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDerive(t *testing.T) {
	for expr, want := range map[string]string{
		`Googlebot`:             "[[googlebot]]",
		`(Foo|Bar)/\d+ (?i)BAZ`: "[[bar/ foo/] [ baz]]",
		`[Bb]ot`:                "[[bot]]",
		`colou?r`:               "[[color colour]]",
		`foo.*bar`:              "[[foo] [bar]]",
		`WIRE|Web-.+|WhatWeb`:   "[[web- whatweb wire]]",
		`(?:abc|d).*xyz`:        "[[xyz]]",
		`(?:abc.*|d.*)`:         "[]",
		`ab`:                    "[]",
		`x*y?`:                  "[]",
		`(?:abc){2}`:            "[[abc]]",
		`(?:abc)+`:              "[[abc]]",
		`(?:abc){0,2}`:          "[]",
		`^\babc$`:               "[[abc]]",
		`[0-9]abc[^x]`:          "[[abc]]",
		`été`:                   "[]",
		`(?i)kiss`:              "[[kiss]]",
		`pre(?:a.b|c.d)post`:    "[[prea prec] [post]]",
	} {
		re, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(derive(re).close().clauses); got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
	}
}

// An expression that matches is always a candidate.
func TestPrefilterNamesEveryMatch(t *testing.T) {
	piece := rapid.SampledFrom([]string{"abc", "Abc", "[Bb]", "[a-z]", "\\d", ".", "xyz", "k", "S", "foo", "-", "é"})
	quantifier := rapid.SampledFrom([]string{"", "", "", "*", "+", "?", "{0,2}", "{1,3}", "{2}", "*?"})
	var expr func(depth int) *rapid.Generator[string]
	expr = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			var s strings.Builder
			for range rapid.IntRange(1, 4).Draw(t, "pieces") {
				if depth > 0 && rapid.IntRange(0, 2).Draw(t, "group") == 0 {
					s.WriteString("(?:" + expr(depth-1).Draw(t, "a") + "|" + expr(depth-1).Draw(t, "b") + ")" + quantifier.Draw(t, "q"))
				} else {
					s.WriteString("(?:" + piece.Draw(t, "piece") + ")" + quantifier.Draw(t, "q"))
				}
			}
			return s.String()
		})
	}
	word := rapid.SampledFrom([]string{"abc", "Abc", "ABC", "b", "B", "q", "7", "xyz", "k", "\u212a", "S", "ſ", "foo", "FOO", "-", "é", " "})
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom([]string{"", "(?i)"}).Draw(t, "flags") + expr(2).Draw(t, "expr")
		f, err := newPrefilter([]string{e})
		if err != nil {
			t.Skip(err)
		}
		re := regexp.MustCompile(e)
		for range 20 {
			var text strings.Builder
			for range rapid.IntRange(0, 8).Draw(t, "words") {
				text.WriteString(word.Draw(t, "word"))
			}
			met := make([]uint16, 1)
			f.match(fold(text.String()), met)
			if re.MatchString(text.String()) && met[0] != f.want[0] {
				t.Fatalf("%s matches %q and is no candidate", e, text.String())
			}
		}
	})
}
