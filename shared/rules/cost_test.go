package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// big is an event with much of everything in it.
func big() string {
	list := "0" + strings.Repeat(",1", 9999)
	object := make([]string, 2000)
	for i := range object {
		object[i] = fmt.Sprintf(`"key %d":%d`, i, i)
	}
	return fmt.Sprintf(`{"c":%q,"l":[%s],"m":[%s],"o":{%s},"p":{%[4]s}}`, strings.Repeat("c", 30_000), list, list, strings.Join(object, ","))
}

// sum adds a term up n times, as a tree: a chain would be nested too deeply.
func sum(term string, n int) string {
	if n == 1 {
		return term
	}
	return "(" + sum(term, n/2) + " + " + sum(term, n-n/2) + ")"
}

// What a rule costs where it goes through texts, lists and maps of an event must
// be counted: concatenating a long text 200 times took 49 ms an event.
func TestCostCoversTheSizeOfWhatIsGoneThrough(t *testing.T) {
	for name, expr := range map[string]string{
		"concatenation":       sum("properties.c", 200),
		"a value of it":       "size(" + sum("properties.c", 200) + ")",
		"lower":               sum("lower(properties.c)", 100),
		"lower, each alone":   sum(`size(lower(properties.c))`, 100),
		"contains":            sum(`(properties.c.contains("x") ? 1 : 2)`, 90),
		"matches":             sum(`(properties.c.matches("c*x") ? 1 : 2)`, 90),
		"texts compared":      sum(`(properties.c == properties["c"] ? 1 : 2)`, 80),
		"texts in order":      sum(`(properties.c < properties["c"] ? 1 : 2)`, 80),
		"membership":          sum(`(7.0 in properties.l ? 1 : 2)`, 100),
		"lists compared":      sum(`(properties.l == properties.m ? 1 : 2)`, 90),
		"maps compared":       sum(`(properties.o == properties.p ? 1 : 2)`, 90),
		"maps counted":        sum(`size(properties.o)`, 150),
		"texts measured":      sum(`size(properties.c)`, 150),
		"lists of long texts": `size([1,2,3,4,5,6,7,8,9].map(x, properties.c + "x")) + 1`,
	} {
		file := fmt.Sprintf("metrics:\n  m:\n    kind: last\n    value: |-\n      %s\n  good: {kind: count}\n", expr)
		r := parse(t, file)
		e := track("x", 0, big())
		r.Extract(e, nil) // reading the event is no part of it
		began := time.Now()
		got := r.Extract(e, nil)
		t.Logf("%s is stopped after %v", name, time.Since(began))
		if len(got) != 1 || len(r.Disabled()) != 1 {
			t.Errorf("%s: %d contributions, want the good metric's only; stopped: %v", name, len(got), r.Disabled())
		}
	}
}

// The same goes for conditions, scores and segments.
func TestCostCoversEveryKindOfRule(t *testing.T) {
	long := sum("traits.bio", 200)
	r := parse(t, fmt.Sprintf(`
metrics:
  m:
    kind: count
    where: |-
      (%[1]s) != ""
scores:
  s: |-
    size(%[1]s)
segments:
  g: |-
    (%[1]s) != ""
`, long))
	e := track("x", 0, "{}")
	e.Traits = fmt.Appendf(nil, `{"bio":%q}`, strings.Repeat("b", 1000))
	e.Type = event.Type_TYPE_IDENTIFY
	p := fold(r, e)
	got := r.Evaluate(p, epoch)
	if len(r.Disabled()) != 3 || got.Metrics["m"] != 0.0 || len(got.Scores) != 0 || len(got.Disabled) != 1 {
		t.Errorf("%+v, stopped: %v", got, r.Disabled())
	}
	if st := r.Standings(p, epoch, nil); len(st) != 1 || st[0] != (profile.Standing{Segment: "g", Undecided: true}) {
		t.Errorf("standings are %v", st)
	}
}

// What goes over a long text or list once or twice is no reason to stop a rule.
func TestCostAllowsWhatIsUsual(t *testing.T) {
	for _, expr := range []string{
		`lower(properties.c).contains("x")`, `properties.c.matches("^c+$")`, `size(properties.l) > 3 && properties.l[3] == 1`,
		`properties.c + "x" != "x"`, `properties.l.exists(x, x == 1)`, `"key 7" in properties.o`, `size(properties.o) == 2000`,
	} {
		r := parse(t, "metrics:\n  m:\n    kind: count\n    where: |-\n      "+expr+"\n")
		r.Extract(track("x", 0, big()), nil)
		if stopped := r.Disabled(); stopped != nil {
			t.Errorf("%s is stopped: %v", expr, stopped)
		}
	}
}
