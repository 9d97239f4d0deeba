package rules

import (
	"errors"
	"maps"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"

	"github.com/hitolayer/hito/shared/event"
)

// errAbsent is what reading a value gives that a person or event does not have.
var errAbsent = errors.New("no such value")

// object is a variable with fixed fields, so that a misspelt field is found
// when the rules are loaded.
type object struct {
	typ *types.Type
	// noun is what problems call a field, such as "metric".
	noun   string
	fields map[string]field
}

// field is a variable, or a field of one.
type field struct {
	*types.FieldType
	// object is what the field is, when it is one itself.
	object *object
	// One of these reads a field of that type without CEL, and without
	// allocating; nil for all other types.
	number func(target any) (v float64, ok bool)
	text   func(target any) string
	flag   func(target any) bool
	time   func(target any) time.Time
}

func newObject(name, noun string, fields map[string]field) *object {
	return &object{typ: types.NewObjectType("hito." + name), noun: noun, fields: fields}
}

func (o *object) names() []string { return slices.Sorted(maps.Keys(o.fields)) }

// always is a field that always has a value.
func always[T any](typ *types.Type, get func(T) any) field {
	return field{FieldType: &types.FieldType{
		Type:    typ,
		IsSet:   func(any) bool { return true },
		GetFrom: func(target any) (any, error) { return get(target.(T)), nil },
	}}
}

// text is a field that is empty, and for has() absent, when not known.
func text[T any](get func(T) string) field {
	f := always(types.StringType, func(target T) any { return types.String(get(target)) })
	f.text = func(target any) string { return get(target.(T)) }
	f.IsSet = func(target any) bool { return get(target.(T)) != "" }
	return f
}

func number[T any](get func(T) float64) field {
	f := always(types.DoubleType, func(target T) any { return types.Double(get(target)) })
	f.number = func(target any) (float64, bool) { return get(target.(T)), true }
	return f
}

// optional is a number that not everybody has.
func optional[T any](get func(T) (float64, bool)) field {
	return field{
		FieldType: &types.FieldType{
			Type:  types.DoubleType,
			IsSet: func(target any) bool { _, ok := get(target.(T)); return ok },
			GetFrom: func(target any) (any, error) {
				v, ok := get(target.(T))
				if !ok {
					return nil, errAbsent
				}
				return types.Double(v), nil
			},
		},
		number: func(target any) (float64, bool) { return get(target.(T)) },
	}
}

func truth[T any](get func(T) bool) field {
	f := always(types.BoolType, func(target T) any { return types.Bool(get(target)) })
	f.flag = func(target any) bool { return get(target.(T)) }
	return f
}

func instant[T any](get func(T) time.Time) field {
	f := always(types.TimestampType, func(target T) any { return types.Timestamp{Time: get(target)} })
	f.time = func(target any) time.Time { return get(target.(T)) }
	return f
}

// nested is a field that is an object.
func nested[T any](o *object, get func(T) any) field {
	f := always(o.typ, get)
	f.object = o
	return f
}

// The objects that events and persons share. Their targets may be nil.
var (
	deviceObject = newObject("Device", "field of device", map[string]field{
		"browser":         text((*event.Agent).GetBrowser),
		"browser_version": text((*event.Agent).GetBrowserVersion),
		"os":              text((*event.Agent).GetOs),
		"os_version":      text((*event.Agent).GetOsVersion),
		"name":            text((*event.Agent).GetDevice),
		"brand":           text((*event.Agent).GetBrand),
		"model":           text((*event.Agent).GetModel),
		"kind":            text((*event.Agent).GetKind),
		"bot_name":        text((*event.Agent).GetBotName),
	})
	geoObject = newObject("Geo", "field of geo", map[string]field{
		"country": text((*event.Geo).GetCountry),
		"region":  text((*event.Geo).GetRegion),
		"city":    text((*event.Geo).GetCity),
		"asn":     number(func(g *event.Geo) float64 { return float64(g.GetAsn()) }),
		"as_org":  text((*event.Geo).GetAsOrg),
	})
	referrerObject = newObject("Referrer", "field of referrer", map[string]field{
		"medium": text((*event.Referrer).GetMedium),
		"source": text((*event.Referrer).GetSource),
		"term":   text((*event.Referrer).GetTerm),
		"host":   text((*event.Referrer).GetHost),
	})
	campaignObject = newObject("Campaign", "field of campaign", map[string]field{
		"source":     text((*event.Campaign).GetSource),
		"medium":     text((*event.Campaign).GetMedium),
		"name":       text((*event.Campaign).GetName),
		"term":       text((*event.Campaign).GetTerm),
		"content":    text((*event.Campaign).GetContent),
		"id":         text((*event.Campaign).GetId),
		"click_type": text((*event.Campaign).GetClickType),
		"click_id":   text((*event.Campaign).GetClickId),
	})
	pageObject = newObject("Page", "field of page", map[string]field{
		"host":  text((*event.Page).GetHost),
		"path":  text((*event.Page).GetPath),
		"query": text((*event.Page).GetQuery),
		"title": text((*event.Page).GetTitle),
	})
	eventObject = newObject("Event", "field of event", map[string]field{
		"name":         text((*event.Event).GetName),
		"type":         text(func(e *event.Event) string { return e.Type.Word() }),
		"category":     text((*event.Event).GetCategory),
		"message_id":   text((*event.Event).GetMessageId),
		"user_id":      text((*event.Event).GetUserId),
		"anonymous_id": text((*event.Event).GetAnonymousId),
		"group_id":     text((*event.Event).GetGroupId),
		"time":         instant(func(e *event.Event) time.Time { return e.Time().UTC() }),
	})
)

// variables are the names an expression may use: the fields of its subject, a
// *person or a *view.
type variables map[string]field

func (v variables) names() []string { return slices.Sorted(maps.Keys(v)) }

// resolve returns a variable's value for CEL.
func (v variables) resolve(subject any, name string) (any, bool) {
	f, ok := v[name]
	if !ok {
		return nil, false
	}
	value, err := f.GetFrom(subject)
	return value, err == nil
}

var jsonMapType = types.NewMapType(types.StringType, types.DynType)

// provider finds the fields of objects for CEL's checker and planner.
type provider struct {
	types.Provider
	objects map[string]*object
}

// newProvider knows the objects among the variables and inside them.
func newProvider(base types.Provider, vars variables) *provider {
	p := &provider{base, map[string]*object{}}
	for _, f := range vars {
		p.add(f.object)
	}
	return p
}

func (p *provider) add(o *object) {
	if o == nil {
		return
	}
	p.objects[o.typ.TypeName()] = o
	for _, f := range o.fields {
		p.add(f.object)
	}
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if o, ok := p.objects[name]; ok {
		return types.NewTypeTypeWithParam(o.typ), true
	}
	return p.Provider.FindStructType(name)
}

func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if o, ok := p.objects[name]; ok {
		return o.names(), true
	}
	return p.Provider.FindStructFieldNames(name)
}

func (p *provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	if o, ok := p.objects[name]; ok {
		f, ok := o.fields[fieldName]
		return f.FieldType, ok
	}
	return p.Provider.FindStructFieldType(name, fieldName)
}
