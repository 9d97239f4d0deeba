package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// leaves are the smallest expressions of each type; "json" is of any.
type leaves map[string][]string

var personLeaves = leaves{
	"number": {"0", "1", "2.5", "-3", "1e15", "metrics.views", "metrics.smallest", "scores.twice", "scores.nothing",
		"events.total", "events.by_name['Product Viewed']", "events.by_name['x']", "sessions.count", "geo.asn"},
	"text": {"'JP'", "''", "'pro'", "device.browser", "device.brand", "geo.country", "user_id", "first_touch.referrer.medium", "last_touch.campaign.source"},
	"time": {"now", "first_seen", "last_seen", "sessions.last_start"},
	"span": {"duration('36h')", "duration('-1s')", "days(2)", "hours(1e9)", "minutes(metrics.smallest)"},
	"json": {"traits.plan", "traits.age", "traits.vip", "traits.missing", "traits.name", "traits.tags", "traits.address", "traits.address.city"},
	"bool": {"true", "false", "bot", "traits.vip", "traits.plan", "traits.missing", "has(traits.plan)", "has(traits.missing)", "has(traits.address.city)",
		"has(metrics.smallest)", "has(metrics.coupon)", "has(scores.nothing)", "has(device.brand)", "has(geo.country)"},
}

var eventLeaves = leaves{
	"number": {"0", "1", "-2.5", "geo.asn", "(properties.price * properties.quantity)", "(properties.o.a - 1)", "(properties.text / 2)", "(1 - properties.missing)",
		"(2 * (has(properties.quantity) ? properties.quantity : 1))"},
	"text": {"'x'", "''", "event.name", "event.type", "page.path", "referrer.medium", "campaign.id", "geo.country"},
	"time": {"event.time", "event.time", "event.time"},
	"span": {"duration('36h')", "days(2)", "hours(properties.o.a - 1)"},
	"json": {"properties.price", "properties.quantity", "properties.text", "properties.missing", "properties.nothing", "properties.o", "properties.o.a",
		"properties.o.missing", "properties.missing.a", "properties.text.a", "properties.list", "properties.list.a", "properties.gift", "traits.plan", "context.page.path"},
	"bool": {"true", "bot", "properties.gift", "properties.text", "properties.missing", "has(properties.price)", "has(properties.missing)", "has(properties.nothing)",
		"has(properties.nothing.a)", "has(properties.o.a)", "has(properties.missing.a)", "has(properties.text.a)", "has(properties.list.a)", "has(properties.o.a.b)",
		"has(campaign.id)", "has(context.page.path)", "page.path.startsWith('/a')", "event.name.contains(page.path)", "event.name.endsWith('')"},
}

// draw draws an expression of a type.
func (l leaves) draw(t *rapid.T, typ string, depth int) string {
	one := func(list ...string) string { return rapid.SampledFrom(list).Draw(t, typ) }
	sub := func(typ string) string { return l.draw(t, typ, depth-1) }
	leaf := depth <= 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0
	switch typ {
	case "number":
		if leaf {
			return one(l[typ]...)
		}
		switch op := one("+", "-", "*", "/", "%", "?:", "neg", "min", "max", "sqrt"); op {
		case "?:":
			return fmt.Sprintf("(%s ? %s : %s)", sub("bool"), sub("number"), sub("number"))
		case "neg":
			return "-(" + sub("number") + ")"
		case "sqrt":
			return "sqrt(" + sub("number") + ")"
		case "min", "max":
			return fmt.Sprintf("%s(%s, %s)", op, sub("number"), sub("number"))
		default:
			return fmt.Sprintf("(%s %s %s)", sub("number"), op, sub("number"))
		}
	case "span":
		if leaf {
			return one(l[typ]...)
		}
		return fmt.Sprintf("(%s - %s)", sub("time"), sub("time"))
	case "text", "time", "json":
		return one(l[typ]...)
	}
	if leaf {
		return one(l[typ]...)
	}
	compare := one("==", "!=", "<", "<=", ">", ">=")
	switch kind := one("&&", "||", "!", "?:", "in", "json in", "number", "number", "text", "time", "span", "json"); kind {
	case "&&", "||":
		return fmt.Sprintf("(%s %s %s)", sub("bool"), kind, sub("bool"))
	case "!":
		return "!(" + sub("bool") + ")"
	case "?:":
		return fmt.Sprintf("(%s ? %s : %s)", sub("bool"), sub("bool"), sub("bool"))
	case "in":
		if rapid.Bool().Draw(t, "numbers") {
			return fmt.Sprintf("%s in [1, 2, 241]", sub("number"))
		}
		return sub("text") + " in ['JP', '', 'search']"
	case "json in":
		return sub("json") + " in ['pro', 42, true, '7']"
	case "json":
		return fmt.Sprintf("%s %s %s", sub("json"), compare, one("'pro'", "42", "-1.5", "'Zoë \"Z\"'", "''", "true", "false"))
	default:
		return fmt.Sprintf("%s %s %s", sub(kind), compare, sub(kind))
	}
}

func TestNativeAgreesWithCEL(t *testing.T) {
	const file = `
metrics:
  views: {kind: count, event: Product Viewed}
  revenue: {kind: sum, event: Order Completed, value: properties.revenue}
  coupon: {kind: last, event: Order Completed, value: properties.coupon}
  smallest: {kind: min, event: nothing, value: properties.x}
scores:
  twice: metrics.revenue * 2
  nothing: metrics.smallest + 1
  drawn: |-
    %s
segments:
  drawn: |-
    %s
`
	rapid.Check(t, func(t *rapid.T) {
		number, cond := personLeaves.draw(t, "number", 3), personLeaves.draw(t, "bool", 3)
		r, err := Parse("f", fmt.Appendf(nil, file, number, cond))
		if err != nil {
			t.Fatal(err)
		}
		at := epoch.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "hours")) * time.Hour)
		for _, of := range []*profile.Person{expressionPerson(r), fold(r, track("x", 0, "{}"))} {
			p := r.person(of, at)
			for _, x := range r.exprs {
				if !strings.HasPrefix(x.rule, "metric") {
					agree(t, x, p)
				}
			}
			r.put(p)
		}
	})
}

func TestNativeAgreesWithCELOnEvents(t *testing.T) {
	const file = `
metrics:
  where:
    kind: count
    where: |-
      %s
  value:
    kind: sum
    value: |-
      %s
`
	full := track("a/b", 0, `{"price":2.5,"quantity":3,"text":"7","nothing":null,"o":{"a":1.5},"list":[1],"gift":true}`)
	full.Traits, full.Context = []byte(`{"plan":"pro"}`), []byte(`{"page":{"path":"/x"}}`)
	full.Enriched = &event.Enriched{Page: &event.Page{Path: "/a"}, Geo: &event.Geo{Country: "x", Asn: 1}}
	rapid.Check(t, func(t *rapid.T) {
		cond, number := eventLeaves.draw(t, "bool", 3), eventLeaves.draw(t, "number", 3)
		r, err := Parse("f", fmt.Appendf(nil, file, cond, number))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []*event.Event{full, track("x", 0, "")} {
			for _, x := range r.exprs {
				v := &view{event: e}
				agree(t, x, v)
			}
		}
	})
}

// agree fails unless the expression's closure, if it has one, gives what CEL does.
func agree(t *rapid.T, x *expression, subject cel.Activation) {
	want, err := x.eval(subject)
	if err != nil {
		t.Fatal(err)
	}
	if x.cond != nil {
		v, ok := x.cond(subject)
		if b, isBool := want.(types.Bool); ok != isBool || ok && v != bool(b) {
			t.Fatalf("%s is %v (%v) as a closure, %v in CEL", x.at.Expr, v, ok, want)
		}
	}
	if x.num != nil {
		v, ok := x.num(subject)
		d, isDouble := want.(types.Double)
		if ok != isDouble || ok && v != float64(d) && (v == v || float64(d) == float64(d)) {
			t.Fatalf("%s is %v (%v) as a closure, %v in CEL", x.at.Expr, v, ok, want)
		}
	}
}

// What the hot path is made of must not fall back to CEL unnoticed.
func TestCommonExpressionsAreClosures(t *testing.T) {
	r := parse(t, `
metrics:
  a: {kind: count, where: referrer.medium != "internal"}
  b: {kind: count, where: properties.category == "Shoes" && properties.price >= 10}
  c: {kind: sum, value: "properties.price * (has(properties.quantity) ? properties.quantity : 1)"}
  d: {kind: count, where: page.path.startsWith("/pricing") || has(campaign.click_id)}
scores:
  e: "metrics.a > 0 ? 0 : max(0, metrics.b - metrics.c)"
segments:
  f: metrics.a >= 2 && now - last_seen > days(30)
  g: traits.plan in ["pro", "team"] || traits.age > 18 || traits.vip
  h: device.kind == "mobile" && geo.country in ["JP"] && !bot
  i: events.by_name["page"] > 3 && sessions.count == 1
  j: scores.e / metrics.a > 0.5
  k: '!has(traits.plan) || traits.plan != "pro"'
`)
	for _, x := range r.exprs {
		if x.cond == nil && x.num == nil {
			t.Errorf("%s runs in CEL", x.at.Expr)
		}
	}
}
