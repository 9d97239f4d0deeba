package rules

import (
	"math"
	"reflect"
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

const scoresType = "hito.Scores"

// countsType is events.by_name: a count for every name, 0 when there was none.
var countsType = types.NewOpaqueType("hito.EventCounts")

// person is a profile as scores and segments see it: every value is computed
// when an expression first asks for it, and then kept for the evaluation.
type person struct {
	*profile.Person
	rules *Rules
	now   time.Time
	// metrics and scores are by position in rules, nil when not computed yet.
	metrics, scores []ref.Val
	sessions        []profile.Session
	counted         bool
}

// absent stands in person.metrics and scores for "computed, and there is none".
var absent ref.Val = types.NewErrFromString("no such value")

func (p *person) reset(r *Rules, of *profile.Person, now time.Time) {
	p.Person, p.rules, p.now = of, r, now
	p.sessions, p.counted = nil, false
	clear(p.metrics)
	clear(p.scores)
}

func (p *person) metric(i int) ref.Val {
	if p.metrics[i] == nil {
		p.metrics[i] = p.readMetric(&p.rules.metrics[i].Metric)
	}
	return p.metrics[i]
}

func (p *person) readMetric(m *profile.Metric) ref.Val {
	if m.Kind == profile.First || m.Kind == profile.Last {
		switch v, ok := p.Metric(m, p.now); {
		case !ok:
			return absent
		case v.IsNumber:
			return types.Double(v.Number.Float())
		default:
			return types.String(v.Text)
		}
	}
	f, ok := p.MetricFloat(m, p.now)
	if !ok {
		return absent
	}
	return types.Double(f)
}

func (p *person) score(i int) ref.Val {
	if p.scores[i] == nil {
		p.scores[i] = absent
		if f, ok := p.rules.scores[i].value(p); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
			p.scores[i] = types.Double(f)
		}
	}
	return p.scores[i]
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
func (p *person) ResolveName(name string) (any, bool) {
	switch name {
	case "metrics", "scores", "events", "sessions", "first_touch", "last_touch":
		return p, true
	case "traits":
		return &lazyMap{lookup: personTraits{p.Person}}, true
	case "now":
		return types.Timestamp{Time: p.now}, true
	case "first_seen":
		return types.Timestamp{Time: p.FirstSeen().UTC()}, true
	case "last_seen":
		return types.Timestamp{Time: p.LastSeen().UTC()}, true
	case "device":
		return p.Agent(), true
	case "geo":
		return p.Geo(), true
	case "bot":
		return types.Bool(p.Bot()), true
	case "user_id":
		return types.String(p.UserID()), true
	case "group_id":
		return types.String(p.Group()), true
	}
	return nil, false
}

// personVariables are what scores and segments see, given the metrics and
// scores of a file.
func personVariables(metrics, scores map[string]field) variables {
	touch := func(name string, get func(*profile.Person) (*event.Referrer, *event.Campaign)) variable {
		return objectVar(newObject(name, "field of a touch", map[string]field{
			"referrer": nested(referrerObject, func(p *person) any { r, _ := get(p.Person); return r }),
			"campaign": nested(campaignObject, func(p *person) any { _, c := get(p.Person); return c }),
		}))
	}
	return variables{
		"metrics": objectVar(newObject("Metrics", "metric", metrics)),
		"scores":  objectVar(newObject("Scores", "score", scores)),
		"traits":  {typ: jsonMapType},
		"events": objectVar(newObject("Events", "field of events", map[string]field{
			"total":   always(types.DoubleType, func(p *person) any { return types.Double(p.Events()) }),
			"by_name": always(countsType, func(p *person) any { return counts{p.Person} }),
		})),
		"sessions": objectVar(newObject("Sessions", "field of sessions", map[string]field{
			"count": always(types.DoubleType, func(p *person) any { n, _ := p.session(); return types.Double(n) }),
			"last_start": always(types.TimestampType, func(p *person) any {
				_, s := p.session()
				return types.Timestamp{Time: s.Start.UTC()}
			}),
			"last_events": always(types.DoubleType, func(p *person) any { _, s := p.session(); return types.Double(s.Events) }),
		})),
		"device":      objectVar(deviceObject),
		"geo":         objectVar(geoObject),
		"bot":         {typ: types.BoolType},
		"user_id":     {typ: types.StringType},
		"group_id":    {typ: types.StringType},
		"first_touch": touch("FirstTouch", (*profile.Person).FirstTouch),
		"last_touch":  touch("LastTouch", (*profile.Person).LastTouch),
		"first_seen":  {typ: types.TimestampType},
		"last_seen":   {typ: types.TimestampType},
		"now":         {typ: types.TimestampType},
	}
}

// computed is a metric's or score's field: get returns absent when there is no value.
func computed(typ *types.Type, get func(*person) ref.Val) field {
	return field{FieldType: &types.FieldType{
		Type:  typ,
		IsSet: func(target any) bool { return get(target.(*person)) != absent },
		GetFrom: func(target any) (any, error) {
			if v := get(target.(*person)); v != absent {
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
	for _, c := range b {
		if c == '\\' {
			return false
		}
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
