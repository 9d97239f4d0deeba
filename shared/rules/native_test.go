package rules

import (
	"fmt"
	"testing"
	"time"

	"cel.dev/cel-go/common/types"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/profile"
)

// drawExpr draws an expression of a type ("bool", "number", "text", "time" or
// "span") over the variables of TestNativeAgreesWithCEL.
func drawExpr(t *rapid.T, typ string, depth int) string {
	one := func(list ...string) string { return rapid.SampledFrom(list).Draw(t, typ) }
	sub := func(typ string) string { return drawExpr(t, typ, depth-1) }
	leaf := depth <= 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0
	switch typ {
	case "number":
		if leaf {
			return one("0", "1", "2.5", "-3", "1e15", "metrics.views", "metrics.smallest", "scores.twice", "scores.nothing",
				"events.total", "events.by_name['Product Viewed']", "events.by_name['x']", "sessions.count", "geo.asn")
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
	case "text":
		return one("'JP'", "''", "'pro'", "device.browser", "device.brand", "geo.country", "user_id", "first_touch.referrer.medium", "last_touch.campaign.source")
	case "time":
		return one("now", "first_seen", "last_seen", "sessions.last_start")
	case "span":
		if leaf {
			return one("duration('36h')", "duration('-1s')", "days(2)", "hours(1e9)", "minutes(metrics.smallest)")
		}
		return fmt.Sprintf("(%s - %s)", sub("time"), sub("time"))
	case "trait":
		return one("traits.plan", "traits.age", "traits.vip", "traits.missing", "traits.name", "traits.tags", "traits.address")
	}
	if leaf {
		return one("true", "false", "bot", "traits.vip", "traits.plan", "traits.missing", "has(traits.plan)", "has(traits.missing)",
			"has(metrics.smallest)", "has(metrics.coupon)", "has(scores.nothing)", "has(device.brand)", "has(geo.country)")
	}
	compare := one("==", "!=", "<", "<=", ">", ">=")
	switch kind := one("&&", "||", "!", "?:", "in", "number", "number", "text", "time", "span", "trait"); kind {
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
	case "trait":
		return fmt.Sprintf("%s %s %s", sub("trait"), compare, one("'pro'", "42", "-1.5", "'Zoë \"Z\"'", "''"))
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
	direct, total := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		number, cond := drawExpr(t, "number", 3), drawExpr(t, "bool", 3)
		r, err := Parse("f", fmt.Appendf(nil, file, number, cond))
		if err != nil {
			t.Fatal(err)
		}
		at := epoch.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "hours")) * time.Hour)
		for _, of := range []*profile.Person{expressionPerson(r), fold(r, track("x", 0, "{}"))} {
			p := r.person(of, at)
			for _, x := range r.exprs {
				want, err := x.eval(p)
				if err != nil {
					t.Fatal(err)
				}
				if x.cond != nil {
					v, ok := x.cond(p)
					if b, isBool := want.(types.Bool); ok != isBool || ok && v != bool(b) {
						t.Fatalf("%s is %v (%v) as a closure, %v in CEL", x.at.Expr, v, ok, want)
					}
				}
				if x.num != nil {
					v, ok := x.num(p)
					d, isNumber := want.(types.Double)
					if ok != isNumber || ok && v != float64(d) && (v == v || float64(d) == float64(d)) {
						t.Fatalf("%s is %v (%v) as a closure, %v in CEL", x.at.Expr, v, ok, want)
					}
				}
				total++
				if x.cond != nil || x.num != nil {
					direct++
				}
			}
			r.put(p)
		}
	})
	if direct*2 < total {
		t.Errorf("only %d of %d expressions were closures", direct, total)
	}
}
