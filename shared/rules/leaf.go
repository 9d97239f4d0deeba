package rules

import (
	"strconv"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"github.com/valyala/fastjson"
)

// scalar is a JSON value as closures compare it.
type scalar struct {
	kind   scalarKind
	text   []byte
	number float64
}

type scalarKind uint8

const (
	missing scalarKind = iota
	isText
	isNumber
	isTrue
	isFalse
	isOther // null, an object, a list
)

// leaf reads traits.key of a person, or a path into an event's JSON.
type leaf func(subject any) scalar

func (n native) leaf(e ast.Expr) leaf {
	path := n.path(e)
	switch {
	case path == nil || isTest(e):
		return nil
	case n.ofPerson():
		if len(path) != 2 {
			return nil
		}
		key := path[1]
		return func(subject any) scalar {
			b, _ := subject.(*person).Trait(key)
			return traitScalar(b)
		}
	}
	return func(subject any) scalar { return jsonScalar(subject.(*view).find(path)) }
}

// ofPerson reports whether the subject is a person, else it is an event.
func (n native) ofPerson() bool { _, ok := n.vars["metrics"]; return ok }

// path returns the keys of an expression such as properties.cart.value, nil
// for any other.
func (n native) path(e ast.Expr) []string {
	switch e.Kind() {
	case ast.IdentKind:
		if f, ok := n.vars[e.AsIdent()]; ok && f.Type == jsonMapType {
			return []string{e.AsIdent()}
		}
	case ast.SelectKind:
		if path := n.path(e.AsSelect().Operand()); path != nil {
			return append(path, e.AsSelect().FieldName())
		}
	}
	return nil
}

func jsonScalar(v *fastjson.Value) scalar {
	if v == nil {
		return scalar{}
	}
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return scalar{kind: isText, text: b}
	case fastjson.TypeNumber:
		f, _ := v.Float64()
		return scalar{kind: isNumber, number: f}
	case fastjson.TypeTrue:
		return scalar{kind: isTrue}
	case fastjson.TypeFalse:
		return scalar{kind: isFalse}
	}
	return scalar{kind: isOther}
}

// traitScalar reads JSON without a parser where it can.
func traitScalar(b []byte) scalar {
	switch {
	case len(b) == 0:
		return scalar{}
	case b[0] == '"' && plainString(b):
		return scalar{kind: isText, text: b[1 : len(b)-1]}
	case b[0] == '"':
		if s, ok := traitValue(b).(types.String); ok {
			return scalar{kind: isText, text: []byte(s)}
		}
	case b[0] == 't':
		return scalar{kind: isTrue}
	case b[0] == 'f':
		return scalar{kind: isFalse}
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		f, _ := strconv.ParseFloat(string(b), 64)
		return scalar{kind: isNumber, number: f}
	}
	return scalar{kind: isOther}
}

// against compares the scalar with a constant. Values of different types have
// no order.
func (s scalar) against(c scalar) (order int, ordered bool) {
	switch {
	case s.kind != c.kind:
		return 1, false
	case s.kind == isText:
		return compareText(s.text, string(c.text)), true
	case s.kind == isNumber:
		return compareNumbers(s.number, c.number)
	}
	return 0, true
}

// constantScalar returns a literal as a scalar.
func constantScalar(e ast.Expr) (s scalar, ok bool) {
	if v, ok := constant[types.String](e); ok {
		return scalar{kind: isText, text: []byte(v)}, true
	}
	if v, ok := constant[types.Double](e); ok {
		return scalar{kind: isNumber, number: float64(v)}, true
	}
	if v, ok := constant[types.Bool](e); ok {
		if v {
			return scalar{kind: isTrue}, true
		}
		return scalar{kind: isFalse}, true
	}
	return scalar{}, false
}

// compareLeaf compares JSON with a constant.
func compareLeaf(op string, v leaf, with ast.Expr) condition {
	c, ok := constantScalar(with)
	equality := op == operators.Equals || op == operators.NotEquals
	if !ok || c.kind >= isTrue && !equality {
		return nil
	}
	return func(subject any) (bool, bool) {
		s := v(subject)
		if s.kind == missing || s.kind != c.kind && !equality {
			return false, false
		}
		order, ordered := s.against(c)
		return decide(op, order, ordered), true
	}
}

// leafAmong is whether JSON is one of constants.
func leafAmong(v leaf, items []ast.Expr) condition {
	list := make([]scalar, len(items))
	for i, item := range items {
		var ok bool
		if list[i], ok = constantScalar(item); !ok {
			return nil
		}
	}
	return func(subject any) (bool, bool) {
		s := v(subject)
		if s.kind == missing {
			return false, false
		}
		for _, c := range list {
			if order, ordered := s.against(c); ordered && order == 0 {
				return true, true
			}
		}
		return false, true
	}
}

// hasLeaf is has(traits.key), or has() of a path into an event's JSON.
func (n native) hasLeaf(path []string) condition {
	if n.ofPerson() {
		if len(path) != 2 {
			return nil
		}
		return func(subject any) (bool, bool) {
			_, has := subject.(*person).Trait(path[1])
			return has, true
		}
	}
	outer, key := path[:len(path)-1], path[len(path)-1]
	return func(subject any) (bool, bool) {
		switch v := subject.(*view).find(outer); {
		case v == nil || v.Type() == fastjson.TypeArray: // where CEL gives an error
			return false, false
		case v.Type() != fastjson.TypeObject:
			return false, true
		default:
			return v.Get(key) != nil, true
		}
	}
}
