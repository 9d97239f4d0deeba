package rules

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
)

// fences returns the fenced blocks of a language, and the lines they begin on.
func fences(t *testing.T, text, language string) (blocks []string, lines []int) {
	t.Helper()
	inside := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case !inside && line == "```"+language:
			blocks, lines, inside = append(blocks, ""), append(lines, i+1), true
		case inside && line == "```":
			inside = false
		case inside:
			blocks[len(blocks)-1] += line + "\n"
		}
	}
	return blocks, lines
}

func TestDocsExamplesAreGood(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, lines := fences(t, string(text), "yaml")
	if len(blocks) < 7 {
		t.Fatalf("%d examples found", len(blocks))
	}
	for i, block := range blocks {
		if _, err := Parse("example", []byte(block)); err != nil {
			t.Errorf("the example on line %d of docs/rules.md has problems:\n%v", lines[i], err)
		}
	}
}

func TestDocsNameEveryVariable(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var missing func(path string, o *object)
	missing = func(path string, o *object) {
		for name, f := range o.fields {
			if !strings.Contains(string(text), "."+name) {
				t.Errorf("docs/rules.md does not name %s.%s", path, name)
			}
			if f.object != nil {
				missing(path+"."+name, f.object)
			}
		}
	}
	for _, vars := range []variables{eventVariables, personVariables(nil, nil)} {
		for name, f := range vars {
			if !strings.Contains(string(text), "`"+name) {
				t.Errorf("docs/rules.md does not name %s", name)
			}
			if f.object != nil {
				missing(name, f.object)
			}
		}
	}
	for name := range kinds {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/rules.md does not name the kind %s", name)
		}
	}
}

func TestDocsWorkedExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## A worked example\n")
	if !ok {
		t.Fatal("there is no worked example")
	}
	file, _ := fences(t, section, "yaml")
	blocks, _ := fences(t, section, "json")
	var sent []struct {
		Day        int
		Event      string
		Properties json.RawMessage
	}
	var want struct {
		Metrics  map[string]any
		Scores   map[string]float64
		Segments []string
	}
	if err := json.Unmarshal([]byte(blocks[0]), &sent); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(blocks[1]), &want); err != nil {
		t.Fatal(err)
	}
	r := parse(t, file[0])
	var events []*event.Event
	for i, s := range sent {
		events = append(events, track(s.Event, time.Duration(s.Day)*day+time.Duration(i)*time.Second, string(s.Properties)))
	}
	got := r.Evaluate(fold(r, events...), epoch.Add(5*day+time.Hour))
	if !maps.Equal(got.Metrics, want.Metrics) {
		t.Errorf("metrics are %v, docs say %v", got.Metrics, want.Metrics)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	if !maps.EqualFunc(got.Scores, want.Scores, near) {
		t.Errorf("scores are %v, docs say %v", got.Scores, want.Scores)
	}
	if !slices.Equal(got.Segments, want.Segments) {
		t.Errorf("segments are %v, docs say %v", got.Segments, want.Segments)
	}
}
