package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"github.com/hitolayer/hito/shared/decimal"
	"github.com/hitolayer/hito/shared/profile"
)

// kinds are the kinds of metric in a file's words.
var kinds = map[string]profile.Kind{
	"count": profile.Count, "sum": profile.Sum, "min": profile.Min, "max": profile.Max,
	"first": profile.First, "last": profile.Last, "distinct": profile.Distinct, "decayed": profile.Decayed,
}

// metric adds a metric to the rules; ok is false when its definition has problems
// that leave its kind open.
func (p *parser) metric(e entry) (kind profile.Kind, ok bool) {
	what := "metric " + e.name
	if e.value.Kind != yaml.MappingNode {
		p.d.Reportf(e.value, "%s needs a \"kind\" and what it counts, such as {kind: count, event: Product Viewed}", what)
		return 0, false
	}
	m := p.fields(e.value, what, "kind", "event", "where", "value", "window", "bucket", "half_life")
	if m["kind"] == nil {
		p.d.Reportf(e.at, "%s has no kind; there are %s", what, keysOf(kinds))
		return 0, false
	}
	word, _ := p.d.Text(m["kind"], "kind")
	kind, ok = kinds[word]
	if !ok {
		if word != "" {
			p.d.Reportf(m["kind"], "there is no kind %q; there are %s", word, keysOf(kinds))
		}
		return 0, false
	}
	def := &profile.Metric{Kind: kind}
	s := &source{metric: def}
	id := definition{kind: word}
	if m["event"] != nil {
		id.events = p.d.Texts(m["event"], "event")
		slices.Sort(id.events)
		id.events = slices.Compact(id.events)
		if len(id.events) == 0 {
			p.d.Reportf(m["event"], "event is empty: name one, or leave it out to take every event")
		}
	}
	if m["where"] != nil {
		if s.where = p.compile(p.event, what, m["where"], types.BoolType); s.where != nil {
			id.where = s.where.canonical
		}
	}
	p.metricValue(s, what, e.at, m["value"], &id)
	p.span(def, what, e.at, m, &id)
	p.add(s, id)
	p.rules.metrics = append(p.rules.metrics, &metric{e.name, *s.metric})
	return kind, true
}

// metricValue reads what an event contributes.
func (p *parser) metricValue(s *source, what string, at, n *yaml.Node, id *definition) {
	kind := s.metric.Kind
	s.constant = profile.Number(decimal.FromInt(1))
	switch {
	case kind == profile.Count:
		if n != nil {
			p.d.Reportf(n, "a count has no value: use sum to add values up, distinct to count different ones")
		}
	case n == nil && kind == profile.Decayed: // each event is worth 1
	case n == nil:
		p.d.Reportf(at, "%s has no value: what to take from each event, such as properties.revenue", what)
	default:
		want := []*types.Type{types.DoubleType}
		if !kind.Numeric() {
			want = append(want, types.StringType, types.BoolType)
		}
		// Compiled even when it is a path, for its problems.
		if s.value = p.compile(p.event, what, n, want...); s.value == nil {
			return
		}
		id.value = s.value.canonical
		if s.path = jsonPath(id.value); s.path != nil {
			p.rules.exprs = p.rules.exprs[:len(p.rules.exprs)-1]
		}
	}
}

// jsonPath returns the keys of a path into an event's JSON, nil when the
// expression is anything else.
func jsonPath(expr string) []string {
	keys := strings.Split(expr, ".")
	if len(keys) < 2 || !slices.Contains([]string{"properties", "traits", "context"}, keys[0]) {
		return nil
	}
	for _, key := range keys {
		for i, c := range []byte(key) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
				return nil
			}
		}
	}
	return keys
}

// span reads window, bucket and half_life.
func (p *parser) span(def *profile.Metric, what string, at *yaml.Node, m map[string]*yaml.Node, id *definition) {
	window, bucket, halfLife := p.duration(m["window"], "window"), p.duration(m["bucket"], "bucket"), p.duration(m["half_life"], "half_life")
	switch {
	case def.Kind == profile.Decayed:
		if m["window"] != nil || m["bucket"] != nil {
			p.d.Reportf(at, "%s: a decayed sum has a half_life, no window and no bucket", what)
		}
		if m["half_life"] == nil {
			p.d.Reportf(at, "%s has no half_life: the time in which a value loses half its weight, such as 7d", what)
		}
		decay(def, halfLife)
	case m["half_life"] != nil:
		p.d.Reportf(m["half_life"], "half_life is for decayed sums: use kind: decayed")
	case m["window"] == nil && m["bucket"] != nil:
		p.d.Reportf(m["bucket"], "a bucket is part of a window, and there is no window")
	case window > 0:
		if m["bucket"] == nil {
			bucket = bucketFor(window)
		}
		if bucket > 0 && (window%bucket != 0 && m["bucket"] != nil || window/bucket > maxBuckets) {
			p.d.Reportf(m["bucket"], "a window must be 1 to %d whole buckets", maxBuckets)
		}
		def.Window, def.Bucket = window, bucket
	}
	id.window, id.bucket, id.halfLife = def.Window, def.Bucket, def.HalfLife
}

// decay makes the metric a sum that halves every half-life. Eight buckets per
// half-life keep it within 5 % of the truth.
func decay(m *profile.Metric, halfLife time.Duration) {
	m.HalfLife, m.Bucket = halfLife, (halfLife/8 + time.Minute - 1).Truncate(time.Minute)
}

// duration reads a span of time, 0 when there is none.
func (p *parser) duration(n *yaml.Node, key string) time.Duration {
	if n == nil {
		return 0
	}
	text, ok := p.d.Text(n, key)
	if !ok {
		return 0
	}
	d, ok := parseSpan(text)
	if !ok {
		p.d.Reportf(n, "%s is %q: write a number and m, h, d or w, such as 30m, 24h, 30d or 2w, up to 800d", key, text)
	}
	return d
}

// number reads a decimal number.
func (p *parser) number(n *yaml.Node, what string) (float64, bool) {
	text, ok := p.d.Text(n, what)
	if !ok {
		return 0, false
	}
	d, err := decimal.Parse(text)
	if err != nil {
		p.d.Reportf(n, "%s is %q, which is not a number", what, text)
		return 0, false
	}
	return d.Float(), true
}

// points reads a table of events and what each is worth, which is kept as one
// decayed metric, or as a sum when there is no half-life.
func (p *parser) points(e entry, table, halfLife *yaml.Node) func(*person) (float64, bool) {
	what := "the points of " + e.name
	def := &profile.Metric{Kind: profile.Sum}
	id := definition{kind: "points"}
	if halfLife != nil {
		def.Kind = profile.Decayed
		decay(def, p.duration(halfLife, "half_life"))
		id.bucket, id.halfLife = def.Bucket, def.HalfLife
	}
	worth := map[string]decimal.D{}
	p.d.Fields(table, what, func(event string, at, value *yaml.Node) {
		text, ok := p.d.Text(value, "the points of "+event)
		if !ok {
			return
		}
		d, err := decimal.Parse(text)
		if err != nil {
			p.d.Reportf(value, "the points of %s are %q, which is not a number", event, text)
			return
		}
		worth[event] = d
		id.events = append(id.events, event+"\x00"+d.String())
	})
	if n := len(worth); n == 0 || n > MaxPoints {
		p.d.Reportf(e.at, "%s must name 1 to %d events", what, MaxPoints)
	}
	slices.Sort(id.events)
	def.ID = id.hash()
	if made := p.ids[def.ID]; made != nil {
		def = made
	} else {
		p.ids[def.ID] = def
		p.rules.all = append(p.rules.all, def)
		for event, d := range worth {
			p.rules.byName[event] = append(p.rules.byName[event], &source{metric: def, constant: profile.Number(d)})
		}
	}
	return func(p *person) (float64, bool) { return p.MetricFloat(def, p.now) }
}

// definition is everything that gives a metric its meaning. Its hash is the
// metric's identity, so its form must never change.
type definition struct {
	kind                     string
	events                   []string // sorted
	where, value             string
	window, bucket, halfLife time.Duration
}

func (d definition) hash() uint64 {
	var b strings.Builder
	for _, part := range []string{"hito/1", d.kind, d.where, d.value, ms(d.window), ms(d.bucket), ms(d.halfLife)} {
		b.WriteString(part + "\x01")
	}
	for _, event := range d.events {
		b.WriteString(event + "\x01")
	}
	return xxhash.Sum64String(b.String())
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// add gives the source's metric its identity and lets its events find it. Two
// metrics of one definition share one state, to which an event contributes once.
func (p *parser) add(s *source, id definition) {
	s.metric.ID = id.hash()
	if made := p.ids[s.metric.ID]; made != nil {
		return
	}
	p.ids[s.metric.ID] = s.metric
	p.rules.all = append(p.rules.all, s.metric)
	if len(id.events) == 0 {
		p.rules.everyEvent = append(p.rules.everyEvent, s)
	}
	for _, event := range id.events {
		p.rules.byName[event] = append(p.rules.byName[event], s)
	}
}
