package rules

import (
	"bytes"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/valyala/fastjson"

	"github.com/hitolayer/hito/shared/decimal"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// source is what one definition takes from the events it selects. A metric of
// a points table has one source per event.
type source struct {
	metric *profile.Metric
	where  *compiled
	// One of path, value and constant says what an event contributes; a count
	// contributes the constant.
	path     []string
	value    *compiled
	constant profile.Value
}

// Extract appends what the event contributes to the metrics. It is a pure
// function of the event and the rules: an event whose where or value costs too
// much contributes nothing, always, and the metric is reported once.
func (r *Rules) Extract(e *event.Event, into []profile.Contribution) []profile.Contribution {
	named := r.byName[e.CountedName()]
	if len(named) == 0 && len(r.everyEvent) == 0 {
		return into
	}
	v, _ := r.views.Get().(*view)
	if v == nil {
		v = new(view)
	}
	v.event = e
	for _, s := range named {
		into = r.contribute(s, v, into)
	}
	for _, s := range r.everyEvent {
		into = r.contribute(s, v, into)
	}
	v.reset()
	r.views.Put(v)
	return into
}

func (r *Rules) contribute(s *source, v *view, into []profile.Contribution) []profile.Contribution {
	if s.where != nil {
		in, err := s.where.holds(v)
		if err != nil {
			r.report(s.where.trip(err, tooCostly))
		}
		if !in {
			return into
		}
	}
	value, ok := s.constant, true
	switch {
	case s.path != nil:
		value, ok = v.jsonValue(v.find(s.path), s.metric.Kind)
	case s.value != nil && s.value.num != nil:
		n, has, _ := s.value.number(v)
		if !has {
			return into
		}
		value, ok = floatValue(n, s.metric.Kind)
	case s.value != nil:
		got, err := s.value.eval(v)
		if err != nil {
			r.report(s.value.trip(err, tooCostly))
		}
		value, ok = celValue(got, s.metric.Kind)
	}
	if !ok {
		return into
	}
	return append(into, profile.Contribution{Metric: s.metric, Value: value})
}

const tooCostly = "does not count some events"

// jsonValue reads a JSON scalar, numbers exactly as written.
func (v *view) jsonValue(at *fastjson.Value, kind profile.Kind) (profile.Value, bool) {
	if at == nil {
		return profile.Value{}, false
	}
	switch at.Type() {
	case fastjson.TypeNumber:
		v.scratch = at.MarshalTo(v.scratch[:0])
		return numberValue(string(v.scratch), kind)
	case fastjson.TypeString:
		b, _ := at.StringBytes()
		return textValue(string(b), kind)
	case fastjson.TypeTrue:
		return textOnly("true", kind)
	case fastjson.TypeFalse:
		return textOnly("false", kind)
	}
	return profile.Value{}, false
}

// celValue reads an expression's result.
func celValue(v ref.Val, kind profile.Kind) (profile.Value, bool) {
	switch v := v.(type) {
	case types.Double:
		return floatValue(float64(v), kind)
	case types.String:
		return textValue(string(v), kind)
	case types.Bool:
		if v {
			return textOnly("true", kind)
		}
		return textOnly("false", kind)
	}
	return profile.Value{}, false
}

func floatValue(f float64, kind profile.Kind) (profile.Value, bool) {
	d, err := decimal.FromFloat(f)
	return numberOrName(d, kind), err == nil
}

func numberValue(text string, kind profile.Kind) (profile.Value, bool) {
	d, err := decimal.Parse(text)
	if err != nil { // too large to calculate with, but good enough as an id
		return textOnly(text, kind)
	}
	return numberOrName(d, kind), true
}

// numberOrName returns a number, which for Distinct is a name: 7 and "7" are
// one product.
func numberOrName(d decimal.D, kind profile.Kind) profile.Value {
	if kind == profile.Distinct {
		return profile.Text(d.String())
	}
	return profile.Number(d)
}

// textValue returns a text, which for numeric kinds must be a number's.
func textValue(text string, kind profile.Kind) (profile.Value, bool) {
	if !kind.Numeric() {
		return profile.Text(text), true
	}
	d, err := decimal.Parse(strings.TrimSpace(text))
	return profile.Number(d), err == nil
}

func textOnly(text string, kind profile.Kind) (profile.Value, bool) {
	return profile.Text(text), !kind.Numeric()
}

// view is an event as expressions see it. Its JSON is parsed when a metric
// first looks into it.
type view struct {
	event                       *event.Event
	properties, traits, context document
	scratch                     []byte
}

// document is one of an event's JSON objects.
type document struct {
	parser fastjson.Parser
	root   *fastjson.Value
	object lazyMap
}

func (d *document) read(b []byte) *fastjson.Value {
	if d.root != nil {
		return d.root
	}
	d.root = emptyObject
	if len(b) > 0 {
		if v, err := d.parser.ParseBytes(b); err == nil {
			d.root = v
			if bytes.IndexByte(b, '\\') >= 0 {
				settleKeys(v)
			}
		}
	}
	o, _ := d.root.Object()
	d.object = lazyMap{lookup: jsonObject{o}}
	return d.root
}

// settleKeys has all keys unescaped now. Left to itself the parser unescapes an
// object's keys when it first must, and then finds another one of two keys that
// are the same but for their escapes.
func settleKeys(v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeObject:
		v.GetObject().Visit(func(_ []byte, v *fastjson.Value) { settleKeys(v) })
	case fastjson.TypeArray:
		for _, item := range v.GetArray() {
			settleKeys(item)
		}
	}
}

var emptyObject = fastjson.MustParse(`{}`)

func (v *view) reset() {
	v.event = nil
	for _, d := range []*document{&v.properties, &v.traits, &v.context} {
		d.root, d.object = nil, lazyMap{}
	}
}

// document returns the object a variable names and the bytes it comes from.
func (v *view) document(name string) (*document, []byte) {
	switch name {
	case "properties":
		return &v.properties, v.event.Properties
	case "traits":
		return &v.traits, v.event.Traits
	case "context":
		return &v.context, v.event.Context
	}
	return nil, nil
}

// find returns what a path such as properties.cart.value leads to, nil when it
// leads nowhere.
func (v *view) find(path []string) *fastjson.Value {
	d, b := v.document(path[0])
	at := d.read(b)
	for _, key := range path[1:] {
		if at.Type() != fastjson.TypeObject {
			return nil
		}
		if at = at.Get(key); at == nil {
			return nil
		}
	}
	return at
}

// Parent is nil: there is no scope around an event.
func (v *view) Parent() cel.Activation { return nil }

// ResolveName returns a variable's value.
func (v *view) ResolveName(name string) (any, bool) { return eventVariables.resolve(v, name) }

// eventVariables are what a metric's where and value see.
var eventVariables = variables{
	"event":      nested(eventObject, func(v *view) any { return v.event }),
	"properties": eventJSON("properties"),
	"traits":     eventJSON("traits"),
	"context":    eventJSON("context"),
	"page":       nested(pageObject, func(v *view) any { return v.event.Enriched.GetPage() }),
	"referrer":   nested(referrerObject, func(v *view) any { return v.event.Enriched.GetReferrer() }),
	"campaign":   nested(campaignObject, func(v *view) any { return v.event.Enriched.GetCampaign() }),
	"device":     nested(deviceObject, func(v *view) any { return v.event.Enriched.GetAgent() }),
	"geo":        nested(geoObject, func(v *view) any { return v.event.Enriched.GetGeo() }),
	"bot":        truth(func(v *view) bool { return v.event.Enriched.GetAgent().GetBot() }),
}

func eventJSON(name string) field {
	return always(jsonMapType, func(v *view) any {
		d, b := v.document(name)
		d.read(b)
		return &d.object
	})
}
