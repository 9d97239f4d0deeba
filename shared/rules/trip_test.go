package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// explosive takes a million steps.
const explosive = `[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, ` +
	`[0,1,2,3,4,5,6,7,8,9].all(d, [0,1,2,3,4,5,6,7,8,9].all(e, [0,1,2,3,4,5,6,7,8,9].all(f, a+b+c+d+e+f >= 0))))))`

func TestExplodingRulesAreStoppedAndOthersGoOn(t *testing.T) {
	r := parse(t, `
metrics:
  bad_metric:
    kind: count
    where: |
      `+explosive+`
  good_metric: {kind: count}
scores:
  bad_score: |
    `+explosive+` ? 1 : 2
  good_score: metrics.good_metric + 1
segments:
  bad: |
    `+explosive+`
  good: metrics.good_metric == 2
  uses_bad_score: scores.bad_score > 0 || metrics.good_metric == 2
`)
	var told []string
	r.OnTrip = func(p Problem) { told = append(told, p.String()) }
	p := fold(r, track("x", 0, "{}"), track("y", 0, "{}"))
	for range 3 {
		e := r.Evaluate(p, epoch)
		if e.Metrics["good_metric"] != 2.0 || e.Metrics["bad_metric"] != 0.0 || e.Scores["good_score"] != 3 {
			t.Errorf("metrics are %v, scores %v", e.Metrics, e.Scores)
		}
		if !slices.Equal(e.Segments, []string{"good", "uses_bad_score"}) || !slices.Equal(e.Disabled, []string{"bad"}) {
			t.Errorf("segments are %v, disabled %v", e.Segments, e.Disabled)
		}
		want := []profile.Standing{{Segment: "bad", Undecided: true}, {Segment: "good", In: true}, {Segment: "uses_bad_score", In: true}}
		if got := r.Standings(p, epoch, nil); !slices.Equal(got, want) {
			t.Errorf("standings are %v, want %v", got, want)
		}
	}
	if len(told) != 3 {
		t.Fatalf("told %d times, want once for each of 3 rules:\n%s", len(told), strings.Join(told, "\n"))
	}
	for _, want := range []string{
		"metric bad_metric does not count some events: evaluating it costs more than the limit of 10000",
		"score bad_score is disabled: evaluating it costs more than the limit of 10000",
		"segment bad is disabled: evaluating it costs more than the limit of 10000",
	} {
		if !slices.ContainsFunc(told, func(s string) bool {
			return strings.HasPrefix(s, "test.yaml:") && strings.HasSuffix(s, want)
		}) {
			t.Errorf("%q was not told in\n%s", want, strings.Join(told, "\n"))
		}
	}
	if got := len(r.Disabled()); got != 3 {
		t.Errorf("Disabled lists %d problems, want 3", got)
	}
}

// A metric that costs too much for one event must not be disabled for the next:
// then its value would depend on the order in which events arrive.
func TestCostlyEventDoesNotStopItsMetric(t *testing.T) {
	r := parse(t, `
metrics:
  m: {kind: count, where: "properties.a.all(x, properties.a.all(y, x + y >= 0))"}
`)
	costly := track("costly", 0, `{"a":[0`+strings.Repeat(",1", 200)+`]}`)
	cheap := track("cheap", 0, `{"a":[1,2]}`)
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		var n int
		for _, i := range order {
			n += len(r.Extract([]*event.Event{costly, cheap}[i], nil))
		}
		if n != 1 {
			t.Errorf("%d contributions, want 1", n)
		}
	}
	if len(r.Disabled()) != 1 {
		t.Errorf("problems are %v, want 1", r.Disabled())
	}
}

func TestRegexpsAreBounded(t *testing.T) {
	file := func(pattern string) []byte {
		return fmt.Appendf(nil, "segments:\n  s: 'traits.x.matches(\"%s\")'\n", pattern)
	}
	if _, err := Parse("f", file("(((a{10}){10}){10}){10}")); err == nil {
		t.Error("a pattern of 10,000 steps was accepted")
	}
	if _, err := Parse("f", file("^a+$")); err != nil {
		t.Error(err)
	}
}
