package rules

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// rewriter goes over a parsed expression once before it is checked. It makes
// every number a double, so that authors meet one kind of number and
// "metrics.visits == 3" means what it says; it finds misspelt fields, which it
// can name better than CEL does; and it notes what the expression reads.
type rewriter struct {
	vars variables
	ast  *ast.AST
	fac  ast.ExprFactory
	next int64

	problems []exprProblem
	scores   []string
}

type exprProblem struct {
	offset int
	msg    string
}

func (r *rewriter) rewrite() {
	r.fac = ast.NewExprFactory()
	r.next = ast.MaxID(r.ast) + 1
	r.walk(r.ast.Expr(), false)
}

// Functions of CEL whose result is an int.
var intResults = []string{"size", "int", "uint",
	"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
	"getHours", "getMinutes", "getSeconds", "getMilliseconds"}

// Functions of CEL that tell ints from doubles by their argument.
var intArguments = []string{"timestamp", "duration", "int", "uint", "string"}

// walk rewrites e; with keep set ints stay ints, since they index a list.
func (r *rewriter) walk(e ast.Expr, keep bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		if keep {
			return
		}
		switch n := e.AsLiteral().(type) {
		case types.Int:
			e.SetKindCase(r.fac.NewLiteral(e.ID(), types.Double(n)))
		case types.Uint:
			e.SetKindCase(r.fac.NewLiteral(e.ID(), types.Double(n)))
		}
	case ast.IdentKind:
		if o := r.vars[e.AsIdent()].object; o != nil {
			r.problem(e, 0, "%s needs the name of a %s: one of %s", e.AsIdent(), o.noun, strings.Join(o.names(), ", "))
		}
	case ast.SelectKind:
		if _, isObject := r.object(e); !isObject {
			r.walk(e.AsSelect().Operand(), false)
		}
	case ast.CallKind:
		r.call(e, keep)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			r.walk(item, false)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.walk(entry.AsMapEntry().Key(), false)
			r.walk(entry.AsMapEntry().Value(), false)
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			r.walk(f.AsStructField().Value(), false)
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		for _, part := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			r.walk(part, false)
		}
	}
}

func (r *rewriter) call(e ast.Expr, keep bool) {
	c := e.AsCall()
	name := c.FunctionName()
	if c.IsMemberFunction() {
		r.walk(c.Target(), false)
	}
	arithmetic := slices.Contains([]string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Negate}, name)
	for i, arg := range c.Args() {
		r.walk(arg, name == operators.Index && i == 1 || slices.Contains(intArguments, name) || keep && arithmetic)
		if name == operators.Modulo { // CEL has it for ints only
			r.wrap(arg, "int")
		}
	}
	if !keep && (name == operators.Modulo || slices.Contains(intResults, name)) {
		r.wrap(e, "double")
	}
}

// wrap makes e the argument of a call.
func (r *rewriter) wrap(e ast.Expr, function string) {
	inner := r.fac.NewUnspecifiedExpr(r.next)
	r.next++
	inner.SetKindCase(e)
	if at, ok := r.ast.SourceInfo().GetOffsetRange(e.ID()); ok {
		r.ast.SourceInfo().SetOffsetRange(inner.ID(), at)
	}
	e.SetKindCase(r.fac.NewCall(e.ID(), function, inner))
}

// object resolves a variable and selections from it. isObject reports whether e
// is one or a field of one; o is nil when it is not an object itself.
func (r *rewriter) object(e ast.Expr) (o *object, isObject bool) {
	switch e.Kind() {
	case ast.IdentKind:
		o = r.vars[e.AsIdent()].object
		return o, o != nil
	case ast.SelectKind:
		s := e.AsSelect()
		parent, ok := r.object(s.Operand())
		if !ok || parent == nil {
			return nil, ok
		}
		f, found := parent.fields[s.FieldName()]
		if !found {
			r.problem(e, 1, "there is no %s %q; there are %s", parent.noun, s.FieldName(), strings.Join(parent.names(), ", "))
		}
		if parent.typ.TypeName() == "hito."+scoresName {
			r.scores = append(r.scores, s.FieldName())
		}
		return f.object, true
	}
	return nil, false
}

func (r *rewriter) problem(e ast.Expr, shift int, format string, args ...any) {
	at, _ := r.ast.SourceInfo().GetOffsetRange(e.ID())
	r.problems = append(r.problems, exprProblem{int(at.Start) + shift, fmt.Sprintf(format, args...)})
}
