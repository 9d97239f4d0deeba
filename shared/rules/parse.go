package rules

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"go.yaml.in/yaml/v3"

	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
)

// The bounds of a file. Together with the cost limit they bound what a project
// can cost.
const (
	MaxMetrics  = 200
	MaxScores   = 100
	MaxSegments = 200
	// MaxPoints is how many events one points table may have.
	MaxPoints = 200
)

// Parse compiles a project's file. An error of type project.Problems lists everything
// wrong with it; name is what it calls the file.
func Parse(name string, data []byte) (*Rules, error) {
	p := &parser{d: project.ReadDocument(name, data, project.EmptyFile), rules: &Rules{byName: map[string][]*source{}}, ids: map[uint64]*profile.Metric{}}
	p.d.Settings() // for its problems
	if err := p.parse(); err != nil {
		return nil, err
	}
	if err := p.d.Err(); err != nil {
		return nil, err
	}
	return p.rules, nil
}

// parser builds Rules from a document.
type parser struct {
	d     *project.Document
	rules *Rules
	// event and person compile expressions over each.
	event, person *environment
	// ids are the metrics made so far.
	ids map[uint64]*profile.Metric
	// reads are the scores each score reads.
	reads map[string][]string
}

// entry is one named rule of a section.
type entry struct {
	name      string
	at, value *yaml.Node
}

func (p *parser) parse() (err error) {
	sections := map[string][]entry{}
	limits := map[string]int{"metrics": MaxMetrics, "scores": MaxScores, "segments": MaxSegments}
	if p.d.Root != nil && p.d.Root.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(p.d.Root.Content); i += 2 {
			section := p.d.Root.Content[i].Value
			if limit, ok := limits[section]; ok && sections[section] == nil {
				sections[section] = p.section(section, p.d.Root.Content[i+1], limit)
			}
		}
	}
	if p.event, err = newEnvironment(eventVariables); err != nil {
		return err
	}
	metrics, scores := map[string]field{}, map[string]field{}
	for _, e := range sections["metrics"] {
		kind, ok := p.metric(e)
		i := len(p.rules.metrics) - 1
		switch {
		case !ok, kind == profile.First, kind == profile.Last:
			metrics[e.name] = latestField(i)
		default:
			metrics[e.name] = optional(func(p *person) (float64, bool) { return p.metric(i) })
		}
	}
	for i, e := range sections["scores"] {
		scores[e.name] = optional(func(p *person) (float64, bool) { return p.score(i) })
	}
	p.rules.vars = personVariables(metrics, scores)
	if p.person, err = newEnvironment(p.rules.vars); err != nil {
		return err
	}
	p.reads = map[string][]string{}
	for _, e := range sections["scores"] {
		p.rules.scores = append(p.rules.scores, &score{name: e.name, value: p.score(e)})
	}
	p.cycles(sections["scores"])
	for _, e := range sections["segments"] {
		p.segment(e)
	}
	slices.SortFunc(p.rules.segments, func(a, b *segment) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// section returns the named rules of a section.
func (p *parser) section(section string, n *yaml.Node, limit int) []entry {
	list := []entry{}
	p.d.Fields(n, section, func(name string, at, value *yaml.Node) {
		if !validName(name) {
			p.d.Reportf(at, "%q cannot be a name: use letters, digits and _, beginning with a letter, up to 64 characters, and no word of the expression language", name)
		}
		list = append(list, entry{name, at, value})
	})
	if len(list) > limit {
		p.d.Reportf(n, "there are %d %s, at most %d are allowed", len(list), section, limit)
		list = list[:limit]
	}
	return list
}

// reserved are words of CEL that cannot follow a dot.
var reserved = []string{"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function",
	"if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"}

func validName(s string) bool {
	for i, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && (c == '_' || c >= '0' && c <= '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 64 && !slices.Contains(reserved, s)
}

// compile compiles an expression and keeps it for reports.
func (p *parser) compile(en *environment, rule string, n *yaml.Node, want ...*types.Type) *compiled {
	c := en.compile(p.d, rule, n, want...)
	if c != nil {
		p.rules.exprs = append(p.rules.exprs, c.expression)
	}
	return c
}

// fields reads a rule's mapping whose keys are all known; a description may
// always be given.
func (p *parser) fields(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	known = append(known, "description")
	m := map[string]*yaml.Node{}
	p.d.Fields(n, what, func(key string, at, value *yaml.Node) {
		switch {
		case !slices.Contains(known, key):
			p.d.Unknown(at, what, known...)
		case key == "description":
			p.d.Text(value, key)
		default:
			m[key] = value
		}
	})
	return m
}

func (p *parser) segment(e entry) {
	what := "segment " + e.name
	when := e.value
	if when.Kind != yaml.ScalarNode {
		m := p.fields(e.value, what, "when")
		if when = m["when"]; when == nil {
			p.d.Reportf(e.at, "%s has no \"when\": the condition for being in it", what)
			return
		}
	}
	if c := p.compile(p.person, what, when, types.BoolType); c != nil {
		p.rules.segments = append(p.rules.segments, &segment{e.name, c})
	}
}

// score returns how the score is computed.
func (p *parser) score(e entry) func(*person) (float64, bool) {
	what := "score " + e.name
	if e.value.Kind == yaml.ScalarNode {
		return p.expressionScore(e.name, e.value)
	}
	m := p.fields(e.value, what, "expression", "points", "half_life", "logistic")
	ways := slices.DeleteFunc([]string{"expression", "points", "logistic"}, func(way string) bool { return m[way] == nil })
	if len(ways) != 1 {
		p.d.Reportf(e.at, "%s needs one of expression, points and logistic", what)
		return nil
	}
	if m["half_life"] != nil && ways[0] != "points" {
		p.d.Reportf(m["half_life"], "half_life is for points; the expression can use a decayed metric")
	}
	switch ways[0] {
	case "expression":
		return p.expressionScore(e.name, m["expression"])
	case "points":
		return p.points(e, m["points"], m["half_life"])
	}
	return p.logistic(e, m["logistic"])
}

func (p *parser) expressionScore(name string, n *yaml.Node) func(*person) (float64, bool) {
	c := p.compile(p.person, "score "+name, n, types.DoubleType)
	if c == nil {
		return nil
	}
	p.reads[name] = c.scores
	return func(p *person) (float64, bool) { return p.rules.number(c, p) }
}

// logistic reads a model: an intercept and a coefficient per metric or score.
func (p *parser) logistic(e entry, n *yaml.Node) func(*person) (float64, bool) {
	what := "the logistic model of " + e.name
	var intercept float64
	type term struct {
		coefficient float64
		get         func(target any) (float64, bool)
	}
	var terms []term
	p.d.Fields(n, what, func(key string, at, value *yaml.Node) {
		switch key {
		case "intercept":
			intercept, _ = p.number(value, key)
		case "coefficients":
			p.d.Fields(value, key, func(key string, at, value *yaml.Node) {
				coefficient, ok := p.number(value, "the coefficient of "+key)
				get := p.numberField(e.name, key, at)
				if ok && get != nil {
					terms = append(terms, term{coefficient, get})
				}
			})
		default:
			p.d.Unknown(at, what, "intercept", "coefficients")
		}
	})
	if len(terms) == 0 {
		p.d.Reportf(e.at, "%s needs coefficients, such as \"metrics.visits: 0.3\"", what)
		return nil
	}
	return func(p *person) (float64, bool) {
		x := intercept
		for _, t := range terms {
			if v, ok := t.get(p); ok { // what a person does not have counts as 0
				x += t.coefficient * v
			}
		}
		return 1 / (1 + math.Exp(-x)), true
	}
}

// numberField finds metrics.name or scores.name for the score that reads it.
func (p *parser) numberField(reader, path string, at *yaml.Node) func(any) (float64, bool) {
	root, name, _ := strings.Cut(path, ".")
	o := p.person.vars[root].object
	if root != "metrics" && root != "scores" {
		p.d.Reportf(at, "%q is no metric or score: write metrics.name or scores.name", path)
		return nil
	}
	f, ok := o.fields[name]
	switch {
	case !ok:
		p.d.Reportf(at, "there is no %s %q; there are %s", o.noun, name, strings.Join(o.names(), ", "))
		return nil
	case f.number == nil:
		p.d.Reportf(at, "%s is not a number", path)
		return nil
	}
	if root == "scores" {
		p.reads[reader] = append(p.reads[reader], name)
	}
	return f.number
}

// cycles reports scores that need themselves.
func (p *parser) cycles(entries []entry) {
	const visiting, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(name string) bool
	visit = func(name string) bool {
		switch state[name] {
		case done:
			return true
		case visiting:
			path = append(path[slices.Index(path, name):], name)
			return false
		}
		state[name] = visiting
		path = append(path, name)
		for _, next := range p.reads[name] {
			if !visit(next) {
				return false
			}
		}
		path = path[:len(path)-1]
		state[name] = done
		return true
	}
	for _, e := range entries {
		path = nil
		if !visit(e.name) {
			p.d.Reportf(e.at, "score %s needs itself: %s", e.name, strings.Join(path, " → "))
			return // one is enough: the others are of the same circle or come to light next
		}
	}
}

// keysOf names the entries of a mapping for a problem.
func keysOf[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
