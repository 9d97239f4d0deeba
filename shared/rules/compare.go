package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// among is "x in [constants]".
func (n native) among(x, list ast.Expr) condition {
	if list.Kind() != ast.ListKind {
		return nil
	}
	items := list.AsList().Elements()
	if v := n.words(x); v != nil {
		return member[string, types.String](v, items)
	}
	if v := n.quantity(x); v != nil {
		return member[float64, types.Double](v, items)
	}
	return nil
}

func member[T ~string | ~float64, C interface {
	ref.Val
	types.String | types.Double
}](v func(any) (T, bool), items []ast.Expr) condition {
	var list []T
	for _, item := range items {
		c, ok := constant[C](item)
		if !ok {
			return nil
		}
		list = append(list, c.Value().(T))
	}
	return func(subject any) (bool, bool) {
		x, ok := v(subject)
		return slices.Contains(list, x), ok
	}
}

func (n native) compare(op string, a, b ast.Expr) condition {
	if key, ok := n.trait(a); ok {
		return n.compareTrait(op, key, b)
	}
	if n.kind(a) != n.kind(b) {
		return nil
	}
	switch n.kind(a) {
	case types.DoubleKind:
		return compareWith(op, n.quantity(a), n.quantity(b), compareNumbers)
	case types.StringKind:
		return compareWith(op, n.words(a), n.words(b), func(x, y string) (int, bool) { return strings.Compare(x, y), true })
	case types.TimestampKind:
		return compareWith(op, n.moment(a), n.moment(b), func(x, y time.Time) (int, bool) { return x.Compare(y), true })
	case types.DurationKind:
		return compareWith(op, n.span(a), n.span(b), func(x, y time.Duration) (int, bool) { return cmp.Compare(x, y), true })
	}
	return nil
}

// compareNumbers orders numbers; ok is false when one is not a number.
func compareNumbers(x, y float64) (order int, ok bool) {
	switch {
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, x == y
}

func compareWith[T any, F ~func(any) (T, bool)](op string, a, b F, order func(x, y T) (int, bool)) condition {
	if a == nil || b == nil {
		return nil
	}
	return func(subject any) (bool, bool) {
		x, ok := a(subject)
		if !ok {
			return false, false
		}
		y, ok := b(subject)
		if !ok {
			return false, false
		}
		c, ordered := order(x, y)
		return decide(op, c, ordered)
	}
}

// decide applies a comparison to an order; what has no order is not equal, and
// comparing it otherwise is an error.
func decide(op string, order int, ordered bool) (v, ok bool) {
	switch op {
	case operators.Equals:
		return ordered && order == 0, true
	case operators.NotEquals:
		return !ordered || order != 0, true
	case operators.Less:
		return order < 0, ordered
	case operators.LessEquals:
		return order <= 0, ordered
	case operators.Greater:
		return order > 0, ordered
	}
	return order >= 0, ordered
}

// compareTrait compares a trait, which may be absent or of any type, with a
// constant.
func (n native) compareTrait(op, key string, with ast.Expr) condition {
	text, isText := constant[types.String](with)
	num, isNumber := constant[types.Double](with)
	if !isText && !isNumber {
		return nil
	}
	return func(subject any) (bool, bool) {
		b, has := subject.(*person).Trait(key)
		switch {
		case !has || len(b) == 0:
			return false, false
		case isText && b[0] == '"' && plainString(b):
			return decide(op, compareText(b[1:len(b)-1], string(text)), true)
		case isText && b[0] == '"':
			s, ok := traitValue(b).(types.String)
			return decide(op, strings.Compare(string(s), string(text)), ok)
		case isNumber && (b[0] == '-' || b[0] >= '0' && b[0] <= '9'):
			f, _ := strconv.ParseFloat(string(b), 64)
			c, ordered := compareNumbers(f, float64(num))
			return decide(op, c, ordered)
		}
		return decide(op, 1, false)
	}
}

func compareText(b []byte, s string) int {
	switch {
	case string(b) == s:
		return 0
	case string(b) < s:
		return -1
	}
	return 1
}
