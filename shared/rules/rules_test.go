package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
)

// epoch is when the tests' events begin: midnight UTC, so that buckets are easy to see.
var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func parse(t testing.TB, file string) *Rules {
	t.Helper()
	r, err := Parse("test.yaml", []byte(file))
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, file)
	}
	return r
}

// track is a track event of one user, after the given time since epoch.
func track(name string, after time.Duration, properties string) *event.Event {
	return &event.Event{
		MessageId: fmt.Sprintf("%s@%v", name, after), Type: event.Type_TYPE_TRACK, UserId: "u1", Name: name,
		Timestamp: epoch.Add(after).UnixMilli(), Properties: []byte(properties),
	}
}

// fold returns the person the events make.
func fold(r *Rules, events ...*event.Event) *profile.Person {
	f := profile.NewFragment(profile.Key{Project: "p", Visitor: "u:u1"})
	folder := profile.Folder{Metrics: r}
	folder.Fold(f, &event.Record{ReceivedAt: epoch.Add(1000 * day).UnixMilli(), Events: events})
	return profile.NewPerson(f, nil)
}

func TestMetrics(t *testing.T) {
	events := []*event.Event{
		track("Order Completed", 0, `{"revenue":0.1,"currency":"EUR","items":[{"q":1}],"cart":{"value":5}}`),
		track("Order Completed", time.Hour, `{"revenue":"0.2","currency":"JPY","gift":true}`),
		track("Order Completed", 2*day, `{"revenue":12345678901234.123456789,"currency":"EUR","id":7}`),
		track("Order Completed", 2*day+time.Hour, `{"revenue":"much","id":"7","cart":"none"}`),
		track("Order Completed", 2*day+2*time.Hour, `not json`),
		track("Other", 3*day, `{"revenue":1000000}`),
		{MessageId: "p", Type: event.Type_TYPE_PAGE, Name: "Home", UserId: "u1", Timestamp: epoch.Add(3 * day).UnixMilli(),
			Context: []byte(`{"library":{"name":"x"}}`), Enriched: &event.Enriched{Page: &event.Page{Path: "/cart"}}},
	}
	now := epoch.Add(3*day + time.Hour)
	for _, tc := range []struct {
		def  string
		want any
	}{
		{"kind: count", 7.0},
		{"kind: count, event: Order Completed", 5.0},
		{"kind: count, event: [Order Completed, page]", 6.0},
		{"kind: count, event: nothing", 0.0},
		{"kind: count, event: page, where: page.path == '/cart'", 1.0},
		{"kind: count, where: event.name == 'Home'", 1.0},
		{"kind: count, where: properties.revenue > 0.15", 2.0}, // a text is no number in an expression
		{"kind: count, where: double(properties.revenue) > 0.15", 3.0},
		{"kind: count, where: has(properties.gift) && properties.gift", 1.0},
		{"kind: count, where: '\"currency\" in properties'", 3.0},
		{"kind: count, where: 'properties.items.exists(i, i.q == 1)'", 1.0},
		{"kind: count, where: 'context.library.name == \"x\"'", 1.0},
		{"kind: count, event: Order Completed, window: 1d", 1.0},
		{"kind: count, event: Order Completed, window: 2d", 3.0},
		{"kind: count, event: Order Completed, window: 2d, bucket: 1d", 3.0},
		{"kind: count, event: Order Completed, window: 4d, bucket: 1d", 5.0},
		{"kind: sum, event: Order Completed, value: properties.revenue", 12345678901234.423456789},
		{"kind: sum, event: Order Completed, value: properties.revenue, window: 2d", 12345678901234.123456789},
		{"kind: sum, value: properties.cart.value", 5.0},
		{"kind: sum, value: properties.cart.value * 2 + 1", 11.0},
		{"kind: min, value: properties.revenue", 0.1},
		{"kind: max, event: Order Completed, value: properties.revenue", 12345678901234.123456789},
		{"kind: min, value: properties.nothing", nil},
		{"kind: first, value: properties.currency", "EUR"},
		{"kind: last, event: Order Completed, value: properties.currency", "EUR"},
		{"kind: last, event: Order Completed, value: 'properties.currency == \"EUR\" ? \"euro\" : \"other\"'", "euro"},
		{"kind: first, value: properties.gift", "true"},
		{"kind: last, value: properties.id", "7"},
		{"kind: last, value: page.path", "/cart"},
		{"kind: first, value: properties.nothing", nil},
		{"kind: distinct, value: properties.currency", 2.0},
		{"kind: distinct, value: properties.id", 1.0}, // 7 and "7"
		{"kind: decayed, event: Other, half_life: 1h", 0.5},
		{"kind: decayed, event: Other, value: 4, half_life: 1h", 2.0},
	} {
		r := parse(t, "metrics:\n  m: {"+tc.def+"}")
		got := r.Evaluate(fold(r, events...), now).Metrics["m"]
		if want, ok := tc.want.(float64); ok && strings.Contains(tc.def, "decayed") {
			if g, _ := got.(float64); g < want*0.95 || g > want*1.05 {
				t.Errorf("%s is %v, want %v within 5 %%", tc.def, got, want)
			}
		} else if got != tc.want {
			t.Errorf("%s is %v, want %v", tc.def, got, tc.want)
		}
		for _, e := range r.exprs {
			if p := e.tripped.Load(); p != nil {
				t.Errorf("%s: %v", tc.def, p)
			}
		}
	}
}

// expressionPerson is somebody with a bit of everything.
func expressionPerson(r *Rules) *profile.Person {
	return fold(r,
		&event.Event{MessageId: "1", Type: event.Type_TYPE_IDENTIFY, UserId: "u1", Timestamp: epoch.UnixMilli(),
			Traits: []byte(`{"plan":"pro","age":42,"vip":true,"name":"Zoë \"Z\"","tags":["a","b"],"address":{"city":"Kyoto"}}`),
			Enriched: &event.Enriched{
				Agent: &event.Agent{Browser: "Firefox", Os: "Linux", Kind: "desktop"}, Geo: &event.Geo{Country: "JP", Asn: 64500},
				Referrer: &event.Referrer{Medium: "search", Source: "Google"},
				Campaign: &event.Campaign{Source: "news"}, Page: &event.Page{Path: "/"},
			}},
		track("Product Viewed", time.Minute, `{"product_id":"a"}`),
		track("Product Viewed", 2*day, `{"product_id":"b"}`),
		track("Order Completed", 2*day+time.Minute, `{"revenue":120.5,"coupon":"X"}`),
	)
}

func TestExpressions(t *testing.T) {
	const file = `
metrics:
  views: {kind: count, event: Product Viewed}
  revenue: {kind: sum, event: Order Completed, value: properties.revenue}
  coupon: {kind: last, event: Order Completed, value: properties.coupon}
  smallest: {kind: min, event: nothing, value: properties.x}
scores:
  twice: metrics.revenue * 2
  nothing: metrics.smallest + 1
  table: {points: {Product Viewed: 1.5, identify: 2}}
segments:
  s: |-
    %s
`
	now := epoch.Add(12 * day)
	for expr, want := range map[string]bool{
		// One kind of number.
		`metrics.views == 2`:                                               true,
		`metrics.views >= 2 && metrics.views < 3.5`:                        true,
		`metrics.views % 2 == 0`:                                           true,
		`metrics.views in [1, 2, 3]`:                                       true,
		`metrics.views * 2 + 1 == 5`:                                       true,
		`metrics.revenue / metrics.views > 60`:                             true,
		`int(metrics.revenue) == 120`:                                      true,
		`-1 < metrics.views`:                                               true,
		`(bot ? 1 : 0) == 0`:                                               true,
		`size(traits.tags) == 2 && size("ab") == 2`:                        true,
		`traits.tags[1] == "b" && traits.tags[size(traits.tags)-1] == "b"`: true,
		`[1, 2, 3].exists_one(n, n == metrics.views)`:                      true,
		`[1, 2, 3].map(n, n * 2).filter(n, n > 3).size() == 2`:             true,
		`now.getFullYear() == 2026 && now.getHours("Asia/Tokyo") == 9`:     true,
		`max(metrics.views, 7) == 7 && min(1, 2) == 1`:                     true,
		`ln(exp(2)) > 1.99 && sqrt(16) == 4`:                               true,
		// Metrics and scores.
		`metrics.coupon == "X"`:                         true,
		`has(metrics.coupon) && !has(metrics.smallest)`: true,
		`metrics.smallest > 0`:                          false,
		`metrics.smallest > 0 || metrics.views > 0`:     true,
		`scores.twice == 241 && scores.table == 5`:      true,
		`has(scores.nothing)`:                           false,
		`scores.nothing > 0`:                            false,
		// Traits: what is missing makes the condition false.
		`traits.plan == "pro"`:                          true,
		`traits.plan == "free"`:                         false,
		`traits.missing == "pro"`:                       false,
		`traits.missing != "pro"`:                       false,
		`!(traits.missing == "pro")`:                    false,
		`!has(traits.missing) || traits.missing != "x"`: true,
		`has(traits.plan) && !has(traits.missing)`:      true,
		`traits.plan > 5`:                               false,
		`traits.age > 40 && traits.age == 42`:           true,
		`traits.vip`:                                    true,
		`traits.plan`:                                   false,
		`traits.name == "Zoë \"Z\""`:                    true,
		`lower(traits.name).startsWith("zoë")`:          true,
		`"a" in traits.tags`:                            true,
		`traits.address.city == "Kyoto"`:                true,
		`has(traits.address.street)`:                    false,
		`traits["plan"] == "pro"`:                       true,
		`"plan" in traits && size(traits) == 6`:         true,
		`traits.exists(k, k == "vip")`:                  true,
		`traits == traits`:                              true,
		// What is known of the person.
		`events.total == 4 && events.by_name["Product Viewed"] == 2`:  true,
		`events.by_name["identify"] == 1 && events.by_name["x"] == 0`: true,
		`sessions.count == 2 && sessions.last_events == 2`:            true,
		`now - sessions.last_start > days(9)`:                         true,
		`now - last_seen > duration("720h")`:                          false,
		`now - last_seen > days(9) && now - last_seen < hours(240)`:   true,
		`last_seen - first_seen == days(2) + minutes(1)`:              true,
		`device.browser == "Firefox" && device.kind == "desktop"`:     true,
		`has(device.brand)`:  false,
		`device.brand == ""`: true,
		`geo.country in ["JP", "KR"] && geo.asn == 64500`: true,
		`first_touch.referrer.medium == "search"`:         true,
		`last_touch.campaign.source == "news"`:            true,
		`has(last_touch.campaign.click_id)`:               false,
		`user_id == "u1" && group_id == "" && !bot`:       true,
		`traits.plan.matches("^p.o$")`:                    true,
	} {
		r := parse(t, fmt.Sprintf(file, expr))
		p := expressionPerson(r)
		e := r.Evaluate(p, now)
		if got := slices.Contains(e.Segments, "s"); got != want || e.Disabled != nil {
			t.Errorf("%s is %v, want %v (disabled: %v)", expr, got, want, r.Disabled())
		}
		if st := r.Standings(p, now, nil); len(st) != 1 || st[0].In != want {
			t.Errorf("%s: standings are %v", expr, st)
		}
	}
}

func TestScores(t *testing.T) {
	r := parse(t, `
metrics:
  views: {kind: count, event: Product Viewed}
  smallest: {kind: min, event: nothing, value: properties.x}
scores:
  last: scores.first + 1
  first: {expression: metrics.views * 10, description: ten per view}
  points: {half_life: 2d, points: {Product Viewed: 8}}
  model: {logistic: {intercept: -2, coefficients: {metrics.views: 0.5, scores.first: 0.05, metrics.smallest: 9}}}
  infinite: 1 / 0
  absent: metrics.smallest
`)
	e := r.Evaluate(expressionPerson(r), epoch.Add(2*day))
	if got := slices.Sorted(maps.Keys(e.Scores)); !slices.Equal(got, []string{"first", "last", "model", "points"}) {
		t.Errorf("scores are %v", e.Scores)
	}
	if e.Scores["first"] != 20 || e.Scores["last"] != 21 || e.Scores["model"] != 0.5 {
		t.Errorf("scores are %v", e.Scores)
	}
	if p := e.Scores["points"]; p < 11.4 || p > 12.6 { // 8 now and 8 two days ago
		t.Errorf("points are %v, want 12 within 5 %%", p)
	}
}

func TestEqualDefinitionsCountOnce(t *testing.T) {
	r := parse(t, `
metrics:
  a: {kind: count, event: [x, y], where: "properties.n > 1"}
  b: {kind: count, event: [y, x, x], where: "properties.n>1 // the same"}
  c: {kind: count, event: [x, y]}
`)
	if n := len(r.all); n != 2 {
		t.Fatalf("%d metrics, want 2", n)
	}
	e := r.Evaluate(fold(r, track("x", 0, `{"n":2}`)), epoch)
	if want := map[string]any{"a": 1.0, "b": 1.0, "c": 1.0}; !maps.Equal(e.Metrics, want) {
		t.Errorf("metrics are %v, want %v", e.Metrics, want)
	}
}

func TestIdentityIsTheDefinition(t *testing.T) {
	ids := map[uint64]string{}
	for _, def := range []string{
		"kind: count", "kind: count, event: a", "kind: count, event: [a, b]", "kind: count, where: bot",
		"kind: count, where: '!bot'", "kind: count, window: 1d", "kind: count, window: 1d, bucket: 12h",
		"kind: sum, value: properties.a", "kind: max, value: properties.a", "kind: sum, value: properties.b",
		"kind: decayed, half_life: 1d", "kind: decayed, half_life: 2d",
	} {
		id := parse(t, "metrics:\n  m: {"+def+"}").all[0].ID
		if other, taken := ids[id]; taken {
			t.Errorf("%s and %s are the same metric", def, other)
		}
		ids[id] = def
	}
	a, b := parse(t, "metrics: {m: {kind: count, event: a, window: 30d}}"), parse(t, "metrics: {other_name: {window: 30d, event: [a], kind: count, description: x}}")
	if a.all[0].ID != b.all[0].ID {
		t.Error("renaming a metric loses its history")
	}
	// Pinned: a change here makes every deployed metric start anew.
	const pinned = 0xe15765920691715e
	if id := a.all[0].ID; id != uint64(pinned) {
		t.Errorf("id is %#x, was %#x", id, uint64(pinned))
	}
}

func TestZeroRules(t *testing.T) {
	r := new(Rules)
	if got := r.Extract(track("x", 0, "{}"), nil); got != nil {
		t.Errorf("extracted %v", got)
	}
	p := fold(r, track("x", 0, "{}"))
	if e := r.Evaluate(p, epoch); len(e.Metrics)+len(e.Scores)+len(e.Segments) != 0 {
		t.Errorf("evaluation is %+v", e)
	}
	for _, empty := range []string{"{}", project.EmptyFile, "settings:\nmetrics:\nscores:\nsegments:\n"} {
		parse(t, empty)
	}
}
