package rules

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"go.yaml.in/yaml/v3"

	"github.com/hitolayer/hito/shared/project"
)

// The bounds of an expression.
const (
	// MaxExpression is how many characters an expression may have.
	MaxExpression = 4000
	// CostLimit is how much one evaluation may cost: about one per operation and
	// list entry, and one per 10 bytes of text gone through. So no text that a rule
	// makes is longer than 100 KB and its last part. It takes about a millisecond.
	CostLimit = 10_000

	maxNesting = 60
	maxNodes   = 2000
	maxRegex   = 500
)

// expression is a compiled expression and what became of it at run time. Its
// subject is a *person or a *view.
type expression struct {
	// rule names what the expression belongs to, such as "segment big_spender".
	rule string
	// at is its place in the file; Msg is empty.
	at   project.Problem
	prog cel.Program
	// cond and num do what prog does, faster, when the expression is simple enough.
	cond condition
	num  quantity

	tripped atomic.Pointer[project.Problem]
}

// eval returns the expression's value, nil when it has none. Its error is for
// an expression that was stopped.
func (x *expression) eval(subject cel.Activation) (ref.Val, error) {
	v, _, err := x.prog.Eval(subject)
	if err == nil {
		return v, nil
	}
	if _, ordinary := err.(*types.Err); !ordinary {
		return nil, err // the cost limit, or a panic inside CEL
	}
	return nil, nil
}

// holds reports whether a condition is met. One without value is not.
func (x *expression) holds(subject cel.Activation) (bool, error) {
	if x.cond == nil {
		v, err := x.eval(subject)
		return v == types.True, err
	}
	v, ok := x.cond(subject)
	return v && ok, nil
}

// number returns the expression's value as a number, ok when it is one.
func (x *expression) number(subject cel.Activation) (v float64, ok bool, err error) {
	if x.num == nil {
		v, err := x.eval(subject)
		d, ok := v.(types.Double)
		return float64(d), ok, err
	}
	v, ok = x.num(subject)
	return v, ok, nil
}

// trip marks the expression as stopped and returns the problem the first time.
func (x *expression) trip(err error, consequence string) (p project.Problem, first bool) {
	p = x.at
	p.Msg = fmt.Sprintf("%s %s: %v", x.rule, consequence, err)
	if strings.Contains(err.Error(), "cost limit") {
		p.Msg = fmt.Sprintf("%s %s: evaluating it costs more than the limit of %d", x.rule, consequence, CostLimit)
	}
	return p, x.tripped.CompareAndSwap(nil, &p)
}

// environment compiles the expressions of one kind of subject.
type environment struct {
	env  *cel.Env
	vars variables
}

func newEnvironment(vars variables) (*environment, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	opts := append(functions(),
		cel.CustomTypeProvider(newProvider(registry, vars)),
		cel.EnableMacroCallTracking(), // so that definitions can be written canonically
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
	)
	for name, f := range vars {
		opts = append(opts, cel.Variable(name, f.Type))
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("set up expressions: %w", err)
	}
	return &environment{env, vars}, nil
}

// functions are what expressions may call besides CEL's own.
func functions() []cel.EnvOption {
	number := func(name string, f func(float64) ref.Val, result *types.Type) cel.EnvOption {
		return cel.Function(name, cel.Overload(name+"_double", []*types.Type{types.DoubleType}, result,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				d, ok := v.(types.Double)
				if !ok {
					return types.MaybeNoSuchOverloadErr(v)
				}
				return f(float64(d))
			})))
	}
	span := func(name string) cel.EnvOption {
		return number(name, func(n float64) ref.Val {
			d, ok := spanOf(n, units[name])
			if !ok {
				return types.NewErr("duration out of range")
			}
			return types.Duration{Duration: d}
		}, types.DurationType)
	}
	plain := func(name string, f func(float64) float64) cel.EnvOption {
		return number(name, func(n float64) ref.Val { return types.Double(f(n)) }, types.DoubleType)
	}
	pair := func(name string, f func(a, b float64) float64) cel.EnvOption {
		return cel.Function(name, cel.Overload(name+"_double", []*types.Type{types.DoubleType, types.DoubleType}, types.DoubleType,
			cel.BinaryBinding(func(a, b ref.Val) ref.Val {
				x, ok1 := a.(types.Double)
				y, ok2 := b.(types.Double)
				if !ok1 || !ok2 {
					return types.NoSuchOverloadErr()
				}
				return types.Double(f(float64(x), float64(y)))
			})))
	}
	return []cel.EnvOption{
		span("days"), span("hours"), span("minutes"),
		plain("ln", math.Log), plain("exp", math.Exp), plain("sqrt", math.Sqrt),
		pair("min", math.Min), pair("max", math.Max),
		cel.Function("lower", cel.Overload("lower_string", []*types.Type{types.StringType}, types.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				s, ok := v.(types.String)
				if !ok {
					return types.MaybeNoSuchOverloadErr(v)
				}
				return types.String(strings.ToLower(string(s)))
			}))),
		// events.by_name has every name, so it can be asked but not gone through.
		cel.Function("_[_]", cel.Overload("index_counts", []*types.Type{countsType, types.StringType}, types.DoubleType)),
	}
}

// compiled is an expression and what its text says.
type compiled struct {
	*expression
	// canonical is the expression's text whatever its spaces and comments.
	canonical string
	// scores are the scores it reads.
	scores []string
}

// compile checks an expression and reports its problems; nil when there are any.
// want lists the types it may have.
func (en *environment) compile(d *project.Document, rule string, n *yaml.Node, want ...*types.Type) *compiled {
	text, ok := d.Text(n, "the expression of "+rule)
	if !ok {
		return nil
	}
	if size := utf8.RuneCountInString(text); size > MaxExpression {
		d.Reportf(n, "the expression of %s has %d characters, at most %d are allowed", rule, size, MaxExpression)
		return nil
	}
	ast, issues := en.env.Parse(text)
	if en.report(d, n, issues) {
		return nil
	}
	c := &compiled{expression: &expression{rule: rule, at: project.Problem{File: d.File, Expr: text}}}
	c.at.Line, c.at.Column = d.Position(n, 0)
	canonical, err := cel.AstToString(ast)
	if err != nil {
		canonical = text
	}
	c.canonical = canonical
	r := &rewriter{vars: en.vars, ast: ast.NativeRep()}
	r.rewrite()
	for _, p := range r.problems {
		d.ReportExprf(n, p.offset, "%s", p.msg)
	}
	if len(r.problems) > 0 {
		return nil
	}
	c.scores = r.scores
	ast, issues = en.env.Check(ast)
	if en.report(d, n, issues) {
		return nil
	}
	out := ast.OutputType()
	if !slices.ContainsFunc(append(want, types.DynType), out.IsExactType) {
		d.ReportExprf(n, 0, "the expression is a %s, it must be a %s", typeName(out), typeNames(want))
		return nil
	}
	if c.prog, err = en.env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostTracking(costs{}), cel.CostLimit(CostLimit)); err != nil {
		d.ReportExprf(n, 0, "%v", err)
		return nil
	}
	direct := native{ast.NativeRep(), en.vars}
	c.cond, c.num = direct.condition(ast.NativeRep().Expr()), direct.quantity(ast.NativeRep().Expr())
	return c
}

// typeName says a type in a marketer's words.
func typeName(t *types.Type) string {
	switch t.Kind() {
	case types.DoubleKind, types.IntKind, types.UintKind:
		return "number"
	case types.BoolKind:
		return "condition (true or false)"
	case types.StringKind:
		return "text"
	case types.TimestampKind:
		return "time"
	case types.DurationKind:
		return "span of time"
	}
	return cel.FormatCELType(t)
}

func typeNames(list []*types.Type) string {
	var names []string
	for _, t := range list {
		names = append(names, typeName(t))
	}
	return strings.Join(slices.Compact(names), " or a ")
}

// report adds CEL's issues to the document's problems.
func (en *environment) report(d *project.Document, n *yaml.Node, issues *cel.Issues) bool {
	if issues.Err() == nil {
		return false
	}
	for _, e := range issues.Errors() {
		offset := runeOffset(n.Value, e.Location)
		d.ReportExprf(n, offset, "%s", en.message(n.Value, offset, e.Message))
	}
	return true
}

// runeOffset turns CEL's line and column into a character's index.
func runeOffset(text string, at common.Location) int {
	offset, line := 0, 1
	for _, r := range text {
		if line >= at.Line() {
			break
		}
		if r == '\n' {
			line++
		}
		offset++
	}
	return offset + max(at.Column(), 0)
}

// message says CEL's message in terms of what the author can do.
func (en *environment) message(text string, offset int, msg string) string {
	msg = strings.TrimPrefix(strings.TrimSuffix(msg, " (in container '')"), "Syntax error: ")
	if rest, ok := strings.CutPrefix(msg, "undeclared reference to '"); ok {
		name, hint, _ := strings.Cut(rest, "'")
		if r := []rune(text); offset < len(r) && r[offset] == '(' { // CEL places a call at its parenthesis
			return fmt.Sprintf("there is no function %q%s", name, strings.TrimSuffix(hint, "'"))
		}
		return fmt.Sprintf("unknown name %q; there are %s", name, strings.Join(en.vars.names(), ", "))
	}
	if rest, ok := strings.CutPrefix(msg, "found no matching overload for '"); ok {
		if op, args, ok := strings.Cut(rest, "' applied to '"); ok {
			return fmt.Sprintf("%q cannot be applied to %s", strings.Trim(op, "_"), typeWords.Replace(strings.TrimSuffix(args, "'")))
		}
	}
	for _, unexpected := range []string{"mismatched input ", "extraneous input "} {
		if rest, ok := strings.CutPrefix(msg, unexpected); ok {
			what, _, _ := strings.Cut(rest, " expecting ")
			if what == "'<EOF>'" {
				return "the expression ends too early"
			}
			return what + " is not expected here"
		}
	}
	switch {
	case strings.HasPrefix(msg, "expression recursion limit exceeded"):
		return fmt.Sprintf("the expression is nested too deeply: at most %d levels are allowed", maxNesting)
	case msg == "invalid matches argument":
		return "this is no regular expression (RE2 syntax), or one too large"
	case msg == "invalid duration argument":
		return `this is no duration: write days(30), hours(36) or minutes(30), or the like of duration("1h30m")`
	case msg == "invalid timestamp argument":
		return `this is no time: write it like timestamp("2026-03-01T00:00:00Z")`
	}
	return strings.ReplaceAll(msg, countsType.TypeName(), "events.by_name")
}

var typeWords = strings.NewReplacer("double", "number", "int", "number", "string", "text", "bool", "condition",
	"timestamp", "time", "duration", "span of time", "dyn", "any")
