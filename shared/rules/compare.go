package rules

import (
	"cmp"
	"slices"
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
	if v := n.leaf(x); v != nil {
		return leafAmong(v, items)
	}
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
	if v := n.leaf(a); v != nil {
		return compareLeaf(op, v, b)
	}
	if x, y := n.quantity(a), n.quantity(b); x != nil && y != nil {
		return compareWith(op, x, y, compareNumbers)
	}
	if n.kind(a) != n.kind(b) {
		return nil
	}
	switch n.kind(a) {
	case types.StringKind:
		return compareWith(op, n.words(a), n.words(b), func(x, y string) (int, bool) { return strings.Compare(x, y), true })
	case types.TimestampKind:
		return compareWith(op, n.moment(a), n.moment(b), func(x, y time.Time) (int, bool) { return x.Compare(y), true })
	case types.DurationKind:
		return compareWith(op, n.span(a), n.span(b), func(x, y time.Duration) (int, bool) { return cmp.Compare(x, y), true })
	}
	return nil
}

// compareNumbers orders numbers; the result of 0 / 0 has no order.
func compareNumbers(x, y float64) (order int, ordered bool) {
	switch {
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, x == y
}

func compareWith[T any, F ~func(any) (T, bool)](op string, a, b F, order func(x, y T) (order int, ordered bool)) condition {
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
		return decide(op, c, ordered), true
	}
}

// decide applies a comparison to an order. What has no order is different, and
// neither less nor greater.
func decide(op string, order int, ordered bool) bool {
	switch op {
	case operators.Equals:
		return ordered && order == 0
	case operators.NotEquals:
		return !ordered || order != 0
	case operators.Less:
		return ordered && order < 0
	case operators.LessEquals:
		return ordered && order <= 0
	case operators.Greater:
		return ordered && order > 0
	}
	return ordered && order >= 0
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
