package rules

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// extractFile has every way of taking something from an event.
const extractFile = `
metrics:
  all: {kind: count}
  path: {kind: sum, value: properties.a}
  deep: {kind: max, value: properties.o.a.b}
  trait: {kind: last, value: traits.a}
  context: {kind: distinct, value: context.a}
  expression: {kind: sum, value: properties.a * 2 + 1}
  text: {kind: first, value: 'string(properties.a) + event.name'}
  any: {kind: last, value: properties.o}
  list: {kind: count, where: 'properties.l.exists(x, x == 1)'}
  list_size: {kind: sum, value: size(properties.l)}
  object: {kind: count, where: 'properties.o == {"a": 1} || size(properties.o) > 1'}
  keys: {kind: count, where: 'properties.exists(k, k.startsWith("a"))'}
  has: {kind: count, where: has(properties.o.a) && !has(traits.a)}
  member: {kind: count, where: '"a" in properties && properties.a in [1, "b"]'}
  type: {kind: count, where: event.type == "track" && event.time < timestamp("2030-01-01T00:00:00Z")}
  named: {kind: decayed, event: [a, page], value: properties.a, half_life: 1d}
scores:
  points: {points: {a: 1, page: 0.5}}
`

// What an event contributes depends on nothing but the event: not on what came
// before, not on who else is extracting.
func TestExtractIsDeterministic(t *testing.T) {
	value := rapid.OneOf(rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?(e[0-9]{1,3})?`),
		rapid.SampledFrom([]string{`"b"`, `"12.5"`, `true`, `null`, `{}`, `[]`, `[1,{"a":1}]`, `{"a":1}`, `{"a":{"b":2}}`, `{"\u0061":1,"a":2}`, `"\ud800"`}))
	object := rapid.Custom(func(t *rapid.T) string {
		var s strings.Builder
		s.WriteString("{")
		for i, key := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "o", "l", "b", `\u0061`}), 0, 5).Draw(t, "keys") {
			if i > 0 {
				s.WriteString(",")
			}
			s.WriteString(`"` + key + `":` + value.Draw(t, "value"))
		}
		return s.String() + "}"
	})
	used := parse(t, extractFile)
	rapid.Check(t, func(t *rapid.T) {
		e := &event.Event{
			MessageId: "m", UserId: "u", Type: event.Type(rapid.IntRange(0, 7).Draw(t, "type")),
			Name:       rapid.SampledFrom([]string{"a", "b", "page", ""}).Draw(t, "name"),
			Timestamp:  rapid.Int64().Draw(t, "time"),
			Properties: []byte(object.Draw(t, "properties")), Traits: []byte(object.Draw(t, "traits")), Context: []byte(object.Draw(t, "context")),
		}
		before := e.CloneVT()
		got := used.Extract(e, nil)
		if again := used.Extract(e, nil); !reflect.DeepEqual(got, again) {
			t.Fatalf("%v, and again %v", got, again)
		}
		fresh, err := Parse("f", []byte(extractFile))
		if err != nil {
			t.Fatal(err)
		}
		same := slices.EqualFunc(got, fresh.Extract(e, nil), func(a, b profile.Contribution) bool { return *a.Metric == *b.Metric && a.Value == b.Value })
		if !same {
			t.Fatalf("%v, and with fresh rules something else", got)
		}
		if !proto.Equal(e, before) {
			t.Fatal("the event was changed")
		}
	})
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{`{"a":1,"o":{"a":{"b":"2"}},"l":[1,2]}`, `{"a":"x","a":1e999}`, `[]`, `{`, `{"a":nan}`, `{"a":-0}`, `{"\u0061":"\ud800"}`, "{\"a\":\"\xff\"}"} {
		f.Add("a", []byte(s), []byte(s), int64(1), 1)
	}
	r := parse(f, extractFile)
	f.Fuzz(func(t *testing.T, name string, properties, traits []byte, at int64, typ int) {
		e := &event.Event{MessageId: "m", UserId: "u", Type: event.Type(typ % 8), Name: name, Timestamp: at, Properties: properties, Traits: traits, Context: traits}
		got := slices.Clone(r.Extract(e, nil))
		if again := r.Extract(e, nil); !reflect.DeepEqual(got, again) {
			t.Fatalf("%v, and again %v", got, again)
		}
		for _, c := range got {
			if c.Metric.Kind.Numeric() && !c.Value.IsNumber {
				t.Errorf("%v is no number", c.Value)
			}
		}
		r.Evaluate(fold(r, e), epoch)
	})
}

// A repeated key's value must not depend on what was looked at before.
func TestRepeatedKeys(t *testing.T) {
	first := parse(t, `metrics: {m: {kind: sum, value: properties.a}}`)
	second := parse(t, `metrics: {other: {kind: count, where: "size(properties) > 0"}, m: {kind: sum, value: properties.a}}`)
	e := track("x", 0, `{"\u0061":1,"a":2}`)
	a, b := first.Extract(e, nil), second.Extract(e, nil)
	if a[0].Value != b[1].Value {
		t.Errorf("the sum is of %v, and after another metric's look of %v", a[0].Value, b[1].Value)
	}
}
