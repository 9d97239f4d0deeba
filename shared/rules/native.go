package rules

import (
	"math"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Most rules compare a few fields with constants. As Go closures they run about
// ten times faster than in CEL's interpreter and do not allocate, which is
// what lets every event be followed by all of a project's rules. What has no
// closure here runs in CEL; that both agree is tested.

// Each kind of closure returns ok false where CEL gives an error.
type (
	condition func(subject any) (v, ok bool)
	quantity  func(subject any) (v float64, ok bool)
	words     func(subject any) (v string, ok bool)
	moment    func(subject any) (v time.Time, ok bool)
	span      func(subject any) (v time.Duration, ok bool)
)

// native makes closures of a checked expression. Its methods return nil for
// what they cannot do.
type native struct {
	ast  *ast.AST
	vars variables
}

func (n native) kind(e ast.Expr) types.Kind { return n.ast.GetType(e.ID()).Kind() }

// field resolves a variable and selections from it; find returns what the
// field is read from.
func (n native) field(e ast.Expr) (find func(subject any) any, f field, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		f, ok = n.vars[e.AsIdent()]
		return func(subject any) any { return subject }, f, ok
	case ast.SelectKind:
		outer, parent, ok := n.field(e.AsSelect().Operand())
		if !ok || parent.object == nil {
			return nil, field{}, false
		}
		f, ok = parent.object.fields[e.AsSelect().FieldName()]
		get := parent.GetFrom
		return func(subject any) any {
			target, _ := get(outer(subject)) // objects always are
			return target
		}, f, ok
	}
	return nil, field{}, false
}

// call returns the function and arguments of a call that is no member's.
func call(e ast.Expr) (name string, args []ast.Expr) {
	if e.Kind() != ast.CallKind || e.AsCall().IsMemberFunction() {
		return "", nil
	}
	return e.AsCall().FunctionName(), e.AsCall().Args()
}

func constant[T ref.Val](e ast.Expr) (v T, ok bool) {
	if e.Kind() == ast.LiteralKind {
		v, ok = e.AsLiteral().(T)
	}
	return v, ok
}

func (n native) quantity(e ast.Expr) quantity {
	name, args := call(e)
	switch {
	case n.kind(e) == types.DoubleKind:
	case slices.Contains([]string{operators.Subtract, operators.Multiply, operators.Divide}, name):
		// Of unknown type, but JSON has nothing else that these can be done with.
	default:
		return nil
	}
	if v, ok := constant[types.Double](e); ok {
		return func(any) (float64, bool) { return float64(v), true }
	}
	if find, f, ok := n.field(e); ok && f.number != nil && !isTest(e) {
		return func(subject any) (float64, bool) { return f.number(find(subject)) }
	}
	switch name {
	case operators.Conditional:
		return choose(n.condition(args[0]), n.quantity(args[1]), n.quantity(args[2]))
	case operators.Index:
		return n.named(args[0], args[1])
	case operators.Negate:
		if v := n.quantity(args[0]); v != nil {
			return func(subject any) (float64, bool) { x, ok := v(subject); return -x, ok }
		}
	}
	op := map[string]func(a, b float64) float64{
		operators.Add:      func(a, b float64) float64 { return a + b },
		operators.Subtract: func(a, b float64) float64 { return a - b },
		operators.Multiply: func(a, b float64) float64 { return a * b },
		operators.Divide:   func(a, b float64) float64 { return a / b },
		"min":              math.Min,
		"max":              math.Max,
	}[name]
	if op == nil {
		return nil
	}
	a, b := n.operand(args[0]), n.operand(args[1])
	if a == nil || b == nil {
		return nil
	}
	return func(subject any) (float64, bool) {
		x, ok := a(subject)
		if !ok {
			return 0, false
		}
		y, ok := b(subject)
		return op(x, y), ok
	}
}

// operand is a number to calculate with: also JSON that may turn out to be
// something else, which is an error there as it is in CEL.
func (n native) operand(e ast.Expr) quantity {
	if v := n.leaf(e); v != nil {
		return func(subject any) (float64, bool) { s := v(subject); return s.number, s.kind == isNumber }
	}
	if name, args := call(e); name == operators.Conditional {
		return choose(n.condition(args[0]), n.operand(args[1]), n.operand(args[2]))
	}
	return n.quantity(e)
}

// named is events.by_name["name"].
func (n native) named(of, key ast.Expr) quantity {
	name, ok := constant[types.String](key)
	if _, f, isField := n.field(of); !ok || !isField || f.Type != countsType {
		return nil
	}
	return func(subject any) (float64, bool) {
		return float64(subject.(*person).EventsNamed(string(name))), true
	}
}

func choose[T any, F ~func(any) (T, bool)](c condition, a, b F) F {
	if c == nil || a == nil || b == nil {
		return nil
	}
	return func(subject any) (v T, ok bool) {
		switch first, ok := c(subject); {
		case !ok:
			return v, false
		case first:
			return a(subject)
		}
		return b(subject)
	}
}

func (n native) words(e ast.Expr) words {
	if v, ok := constant[types.String](e); ok {
		return func(any) (string, bool) { return string(v), true }
	}
	if find, f, ok := n.field(e); ok && f.text != nil && !isTest(e) {
		return func(subject any) (string, bool) { return f.text(find(subject)), true }
	}
	return nil
}

func (n native) moment(e ast.Expr) moment {
	if find, f, ok := n.field(e); ok && f.time != nil && !isTest(e) {
		return func(subject any) (time.Time, bool) { return f.time(find(subject)), true }
	}
	return nil
}

func (n native) span(e ast.Expr) span {
	name, args := call(e)
	switch name {
	case "duration":
		if text, ok := constant[types.String](args[0]); ok {
			d, ok := text.ConvertToType(types.DurationType).(types.Duration)
			return func(any) (time.Duration, bool) { return d.Duration, ok }
		}
	case "days", "hours", "minutes":
		if v := n.quantity(args[0]); v != nil {
			unit := units[name]
			return func(subject any) (time.Duration, bool) {
				x, ok := v(subject)
				if !ok {
					return 0, false
				}
				return spanOf(x, unit)
			}
		}
	case operators.Subtract:
		a, b := n.moment(args[0]), n.moment(args[1])
		if a == nil || b == nil {
			return nil
		}
		return func(subject any) (time.Duration, bool) {
			x, _ := a(subject)
			y, _ := b(subject)
			d := x.Sub(y) // saturates where CEL gives an error
			return d, d != math.MaxInt64 && d != math.MinInt64
		}
	}
	return nil
}

// units are the functions that make spans of time.
var units = map[string]time.Duration{"days": day, "hours": time.Hour, "minutes": time.Minute}

func spanOf(n float64, unit time.Duration) (time.Duration, bool) {
	d := n * float64(unit)
	if !(math.Abs(d) < math.MaxInt64) {
		return 0, false
	}
	return time.Duration(d), true
}

func isTest(e ast.Expr) bool { return e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() }

func (n native) condition(e ast.Expr) condition {
	if v, ok := constant[types.Bool](e); ok {
		return func(any) (bool, bool) { return bool(v), true }
	}
	if isTest(e) {
		return n.has(e)
	}
	if find, f, ok := n.field(e); ok {
		if f.flag == nil {
			return nil
		}
		return func(subject any) (bool, bool) { return f.flag(find(subject)), true }
	}
	if v := n.leaf(e); v != nil {
		return func(subject any) (bool, bool) {
			s := v(subject)
			return s.kind == isTrue, s.kind == isTrue || s.kind == isFalse
		}
	}
	if e.Kind() == ast.CallKind && e.AsCall().IsMemberFunction() {
		return n.textTest(e.AsCall())
	}
	name, args := call(e)
	switch name {
	case operators.LogicalNot:
		if c := n.condition(args[0]); c != nil {
			return func(subject any) (bool, bool) { v, ok := c(subject); return !v, ok }
		}
	case operators.LogicalAnd:
		return n.logical(args, false)
	case operators.LogicalOr:
		return n.logical(args, true)
	case operators.Conditional:
		return choose(n.condition(args[0]), n.condition(args[1]), n.condition(args[2]))
	case operators.In:
		return n.among(args[0], args[1])
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return n.compare(name, args[0], args[1])
	}
	return nil
}

// logical is && or ||: the first operand that decides wins, also over an error
// before or after it.
func (n native) logical(args []ast.Expr, decides bool) condition {
	terms := make([]condition, len(args))
	for i, arg := range args {
		if terms[i] = n.condition(arg); terms[i] == nil {
			return nil
		}
	}
	return func(subject any) (bool, bool) {
		allOK := true
		for _, term := range terms {
			v, ok := term(subject)
			if ok && v == decides {
				return decides, true
			}
			allOK = allOK && ok
		}
		return !decides, allOK
	}
}

func (n native) has(e ast.Expr) condition {
	if path := n.path(e); path != nil {
		return n.hasLeaf(path)
	}
	find, f, ok := n.field(e)
	if !ok {
		return nil
	}
	return func(subject any) (bool, bool) { return f.IsSet(find(subject)), true }
}

// textTest is a test of a text such as page.path.startsWith("/cart").
func (n native) textTest(c ast.CallExpr) condition {
	test := map[string]func(s, part string) bool{
		"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains,
	}[c.FunctionName()]
	if test == nil || n.kind(c.Target()) != types.StringKind {
		return nil
	}
	v, part := n.words(c.Target()), n.words(c.Args()[0])
	if v == nil || part == nil {
		return nil
	}
	return func(subject any) (bool, bool) {
		s, _ := v(subject)
		p, _ := part(subject)
		return test(s, p), true
	}
}
