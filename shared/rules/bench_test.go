package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project/sample"
)

// twentyRules is what a busy shop asks of every person.
func twentyRules(t testing.TB) *Rules {
	var b strings.Builder
	b.WriteString(`
metrics:
  views: {kind: count, event: Product Viewed, window: 7d}
  orders: {kind: count, event: Order Completed}
  revenue: {kind: sum, event: Order Completed, value: properties.revenue, window: 30d}
  pages: {kind: count, event: page}
  adds: {kind: count, event: Product Added}
segments:
`)
	for i := range 4 {
		fmt.Fprintf(&b, "  views_%d: metrics.views > %d\n", i, i)
		fmt.Fprintf(&b, "  spender_%d: metrics.revenue >= %d && metrics.orders > 0\n", i, 50*i)
		fmt.Fprintf(&b, "  lapsing_%d: metrics.orders > 0 && now - last_seen > days(%d)\n", i, 10*i+1)
		fmt.Fprintf(&b, "  cart_%d: metrics.adds > %d && metrics.orders == 0 && !bot\n", i, i)
		fmt.Fprintf(&b, "  mobile_%d: device.kind == \"mobile\" && events.total > %d\n", i, i)
	}
	return parse(t, b.String())
}

func BenchmarkTwentyRules(b *testing.B) {
	r := twentyRules(b)
	p := expressionPerson(r)
	var standings []profile.Standing
	now := epoch.Add(12 * day)
	b.ReportAllocs()
	for b.Loop() {
		standings = r.Standings(p, now, standings[:0])
	}
}

func BenchmarkOneRule(b *testing.B) {
	for _, expr := range []string{
		"metrics.views > 1", "metrics.views > 1 && metrics.orders > 0", "now - last_seen > days(30)",
		"device.kind == 'mobile'", "events.total > 3", "traits.plan == 'pro'", "traits.missing == 'pro'", "bot",
	} {
		b.Run(expr, func(b *testing.B) {
			r := parse(b, `
metrics: {views: {kind: count, event: Product Viewed}, orders: {kind: count}}
segments: {s: "`+expr+`"}`)
			p := expressionPerson(r)
			var standings []profile.Standing
			b.ReportAllocs()
			for b.Loop() {
				standings = r.Standings(p, epoch, standings[:0])
			}
		})
	}
}

func BenchmarkExtract(b *testing.B) {
	r, err := Parse("shop.yaml", sample.File)
	if err != nil {
		b.Fatal(err)
	}
	properties := `{"order_id":"50314b8e9bcf000000000000","revenue":27.5,"currency":"USD","coupon":"hasbros","price":12,"quantity":2,` +
		`"product_id":"507f1f77bcf86cd799439011","category":"Games","name":"Monopoly"}`
	for name, e := range map[string]*event.Event{
		"nothing matches": track("Logged In", 0, properties),
		"a page":          {Type: event.Type_TYPE_PAGE, Timestamp: epoch.UnixMilli(), Enriched: &event.Enriched{Referrer: &event.Referrer{Medium: "search"}}},
		"a path":          track("Product Viewed", 0, properties),
		"an expression":   track("Product Added", 0, properties),
		"an order":        track("Order Completed", 0, properties),
	} {
		b.Run(name, func(b *testing.B) {
			var into []profile.Contribution
			b.ReportAllocs()
			for b.Loop() {
				into = r.Extract(e, into[:0])
			}
		})
	}
}

func BenchmarkCostLimit(b *testing.B) {
	r := parse(b, "metrics:\n  m:\n    kind: count\n    where: |\n      "+explosive)
	e := track("x", 0, "{}")
	for b.Loop() {
		r.Extract(e, nil)
	}
}

func BenchmarkParseSample(b *testing.B) {
	for b.Loop() {
		if _, err := Parse("shop.yaml", sample.File); err != nil {
			b.Fatal(err)
		}
	}
}
