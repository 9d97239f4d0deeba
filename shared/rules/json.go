package rules

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/valyala/fastjson"
)

// fromJSON returns v as expressions see it. Every number is a double. Objects
// are looked into only when an expression does.
func fromJSON(v *fastjson.Value) ref.Val {
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return types.String(b)
	case fastjson.TypeNumber:
		f, _ := v.Float64()
		return types.Double(f)
	case fastjson.TypeTrue:
		return types.True
	case fastjson.TypeFalse:
		return types.False
	case fastjson.TypeObject:
		o, _ := v.Object()
		return &lazyMap{lookup: jsonObject{o}}
	case fastjson.TypeArray:
		items, _ := v.Array()
		return types.NewDynamicList(jsonAdapter{types.DefaultTypeAdapter}, items)
	}
	return types.NullValue
}

// jsonAdapter lets a list convert its entries when they are asked for.
type jsonAdapter struct{ types.Adapter }

// NativeToValue implements types.Adapter.
func (a jsonAdapter) NativeToValue(value any) ref.Val {
	if v, ok := value.(*fastjson.Value); ok {
		return fromJSON(v)
	}
	return a.Adapter.NativeToValue(value)
}

// lookup finds keys one by one, so that nothing else is converted.
type lookup interface {
	// find returns nil when there is no such key.
	find(key string) ref.Val
	// all returns every key's value.
	all() map[ref.Val]ref.Val
}

// lazyMap is a CEL map over a lookup; only what goes over the whole map
// converts the whole of it.
type lazyMap struct {
	lookup
	whole traits.Mapper
}

func (m *lazyMap) full() traits.Mapper {
	if m.whole == nil {
		m.whole = types.NewRefValMap(types.DefaultTypeAdapter, m.all())
	}
	return m.whole
}

// Find returns the key's value; found when it has one.
func (m *lazyMap) Find(key ref.Val) (value ref.Val, found bool) {
	s, ok := key.(types.String)
	if !ok {
		return nil, false // JSON keys are texts
	}
	v := m.find(string(s))
	return v, v != nil
}

func (m *lazyMap) Get(key ref.Val) ref.Val {
	if v, ok := m.Find(key); ok {
		return v
	}
	return types.NewErr("no such key: %v", key)
}

func (m *lazyMap) Contains(key ref.Val) ref.Val {
	_, ok := m.Find(key)
	return types.Bool(ok)
}

func (m *lazyMap) Iterator() traits.Iterator                   { return m.full().Iterator() }
func (m *lazyMap) Size() ref.Val                               { return m.full().Size() }
func (m *lazyMap) ConvertToNative(t reflect.Type) (any, error) { return m.full().ConvertToNative(t) }
func (m *lazyMap) ConvertToType(t ref.Type) ref.Val            { return m.full().ConvertToType(t) }
func (m *lazyMap) Type() ref.Type                              { return types.MapType }
func (m *lazyMap) Value() any                                  { return m.full().Value() }

// Equal implements ref.Val.
func (m *lazyMap) Equal(other ref.Val) ref.Val {
	if o, ok := other.(*lazyMap); ok {
		other = o.full()
	}
	return m.full().Equal(other)
}

// jsonObject is a JSON object, possibly none. Of a repeated key the first counts.
type jsonObject struct{ *fastjson.Object }

func (o jsonObject) find(key string) ref.Val {
	if o.Object == nil {
		return nil
	}
	if v := o.Get(key); v != nil {
		return fromJSON(v)
	}
	return nil
}

func (o jsonObject) all() map[ref.Val]ref.Val {
	m := map[ref.Val]ref.Val{}
	if o.Object == nil {
		return m
	}
	o.Visit(func(key []byte, v *fastjson.Value) {
		k := types.String(key)
		if _, ok := m[k]; !ok {
			m[k] = fromJSON(v)
		}
	})
	return m
}
