package rules

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/valyala/fastjson"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

const scoresName = "Scores"

// countsType is events.by_name: a count for every name, 0 when there was none.
var countsType = types.NewOpaqueType("hito.EventCounts")

// person is a profile as scores and segments see it: every value is computed
// when an expression first asks for it, and then kept for the evaluation.
type person struct {
	*profile.Person
	rules *Rules
	now   time.Time
	// metrics and scores are by position in rules.
	metrics, scores []memo
	sessions        []profile.Session
	counted         bool
}

// memo is a number once it is known whether there is one.
type memo struct {
	known, ok bool
	v         float64
}

func (p *person) reset(r *Rules, of *profile.Person, now time.Time) {
	p.Person, p.rules, p.now = of, r, now
	p.sessions, p.counted = nil, false
	clear(p.metrics)
	clear(p.scores)
}

func (p *person) metric(i int) (float64, bool) {
	m := &p.metrics[i]
	if !m.known {
		m.v, m.ok = p.MetricFloat(&p.rules.metrics[i].Metric, p.now)
		m.known = true
	}
	return m.v, m.ok
}

// latest returns a first or last value, nil when there is none.
func (p *person) latest(i int) ref.Val {
	switch v, ok := p.Metric(&p.rules.metrics[i].Metric, p.now); {
	case !ok:
		return nil
	case v.IsNumber:
		return types.Double(v.Number.Float())
	default:
		return types.String(v.Text)
	}
}

func (p *person) score(i int) (float64, bool) {
	m := &p.scores[i]
	if !m.known {
		m.v, m.ok = p.rules.scores[i].value(p)
		m.ok = m.ok && !math.IsNaN(m.v) && !math.IsInf(m.v, 0)
		m.known = true
	}
	return m.v, m.ok
}

func (p *person) session() (count int, last profile.Session) {
	if !p.counted {
		p.sessions, p.counted = p.Sessions(), true
	}
	if n := len(p.sessions); n > 0 {
		last = p.sessions[n-1]
	}
	return len(p.sessions), last
}

// Parent is nil: there is no scope around a person.
func (p *person) Parent() cel.Activation { return nil }

// ResolveName returns a variable's value.
func (p *person) ResolveName(name string) (any, bool) { return p.rules.vars.resolve(p, name) }

// personVariables are what scores and segments see, given the metrics and
// scores of a file.
func personVariables(metrics, scores map[string]field) variables {
	self := func(name, noun string, fields map[string]field) field {
		return nested(newObject(name, noun, fields), func(p *person) any { return p })
	}
	touch := func(name string, get func(*profile.Person) (*event.Referrer, *event.Campaign)) field {
		return self(name, "field of a touch", map[string]field{
			"referrer": nested(referrerObject, func(p *person) any { r, _ := get(p.Person); return r }),
			"campaign": nested(campaignObject, func(p *person) any { _, c := get(p.Person); return c }),
		})
	}
	return variables{
		"metrics": self("Metrics", "metric", metrics),
		"scores":  self(scoresName, "score", scores),
		"traits":  always(jsonMapType, func(p *person) any { return &lazyMap{lookup: personTraits{p.Person}} }),
		"events": self("Events", "field of events", map[string]field{
			"total":   number(func(p *person) float64 { return float64(p.Events()) }),
			"by_name": always(countsType, func(p *person) any { return counts{p.Person} }),
		}),
		"sessions": self("Sessions", "field of sessions", map[string]field{
			"count":       number(func(p *person) float64 { n, _ := p.session(); return float64(n) }),
			"last_start":  instant(func(p *person) time.Time { _, s := p.session(); return s.Start.UTC() }),
			"last_events": number(func(p *person) float64 { _, s := p.session(); return float64(s.Events) }),
		}),
		"device":      nested(deviceObject, func(p *person) any { return p.Agent() }),
		"geo":         nested(geoObject, func(p *person) any { return p.Geo() }),
		"bot":         truth(func(p *person) bool { return p.Bot() }),
		"user_id":     text(func(p *person) string { return p.UserID() }),
		"group_id":    text(func(p *person) string { return p.Group() }),
		"first_touch": touch("FirstTouch", (*profile.Person).FirstTouch),
		"last_touch":  touch("LastTouch", (*profile.Person).LastTouch),
		"first_seen":  instant(func(p *person) time.Time { return p.FirstSeen().UTC() }),
		"last_seen":   instant(func(p *person) time.Time { return p.LastSeen().UTC() }),
		"now":         instant(func(p *person) time.Time { return p.now }),
	}
}

// latestField is a first or last metric's field.
func latestField(i int) field {
	return field{FieldType: &types.FieldType{
		Type:  types.DynType,
		IsSet: func(target any) bool { return target.(*person).latest(i) != nil },
		GetFrom: func(target any) (any, error) {
			if v := target.(*person).latest(i); v != nil {
				return v, nil
			}
			return nil, errAbsent
		},
	}}
}

// personTraits looks into a person's traits.
type personTraits struct{ *profile.Person }

func (t personTraits) find(key string) ref.Val {
	b, ok := t.Trait(key)
	if !ok {
		return nil
	}
	return traitValue(b)
}

func (t personTraits) all() map[ref.Val]ref.Val {
	m := map[ref.Val]ref.Val{}
	for key, b := range t.Traits() {
		m[types.String(key)] = traitValue(b)
	}
	return m
}

// traitValue reads JSON; scalars without a parser, since most traits are.
func traitValue(b []byte) ref.Val {
	switch {
	case len(b) == 0:
		return types.NullValue
	case b[0] == '"' && plainString(b):
		return types.String(b[1 : len(b)-1])
	case b[0] == 't':
		return types.True
	case b[0] == 'f':
		return types.False
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		f, _ := strconv.ParseFloat(string(b), 64)
		return types.Double(f)
	}
	v, err := fastjson.ParseBytes(b)
	if err != nil {
		return types.NullValue
	}
	return fromJSON(v)
}

// plainString reports whether a JSON string's text is what stands between its quotes.
func plainString(b []byte) bool {
	if slices.Contains(b, '\\') {
		return false
	}
	return len(b) >= 2
}

// counts is events.by_name.
type counts struct{ *profile.Person }

func (c counts) Get(name ref.Val) ref.Val {
	s, ok := name.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(name)
	}
	return types.Double(c.EventsNamed(string(s)))
}

var _ traits.Indexer = counts{}

func (c counts) ConvertToNative(reflect.Type) (any, error) { return nil, errAbsent }
func (c counts) ConvertToType(ref.Type) ref.Val            { return types.NoSuchOverloadErr() }
func (c counts) Equal(ref.Val) ref.Val                     { return types.False }
func (c counts) Type() ref.Type                            { return countsType }
func (c counts) Value() any                                { return c }
