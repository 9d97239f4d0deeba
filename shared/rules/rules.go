// Package rules is what a project makes of its events: metrics, which are kept
// in profiles, and the scores and segments that are expressions over them. All
// of it comes from one YAML file per project; see docs/rules.md for the
// language.
package rules

import (
	"sync"
	"time"

	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
)

// Problem is one thing wrong with a rules file, or with a rule at run time.
type Problem = project.Problem

// Rules is a project's rules, compiled. It does not change, serves any number
// of goroutines, and its zero value has no rules.
type Rules struct {
	// OnTrip, when set, is called once for each rule that is stopped at run
	// time. It must not be changed while the rules are in use.
	OnTrip func(Problem)

	vars     variables
	metrics  []*metric  // in the file's order
	scores   []*score   // in the file's order
	segments []*segment // by name

	byName     map[string][]*source
	everyEvent []*source
	all        []*profile.Metric

	// exprs is every expression, in the file's order.
	exprs []*expression

	views   sync.Pool // of *view
	persons sync.Pool // of *person
}

// metric is one of the file's metrics.
type metric struct {
	name string
	profile.Metric
}

// score is one of the file's scores.
type score struct {
	name string
	// value computes it; ok is false when the person has none.
	value func(p *person) (v float64, ok bool)
}

// segment is one of the file's segments.
type segment struct {
	name string
	when *compiled
}

// Evaluation is everything the rules say of a person at one time.
type Evaluation struct {
	// Metrics holds a float64 per metric, or a string where a first or last
	// value is one; a metric without value is left out.
	Metrics map[string]any
	// Scores leaves out those that have no value.
	Scores map[string]float64
	// Segments are those the person is in, sorted.
	Segments []string
	// Disabled are the segments that were stopped at run time, sorted: whether
	// the person is in one is not known.
	Disabled []string
}

// Evaluate returns everything the rules say of the person at now.
func (r *Rules) Evaluate(of *profile.Person, now time.Time) Evaluation {
	p := r.person(of, now)
	defer r.put(p)
	e := Evaluation{Metrics: map[string]any{}, Scores: map[string]float64{}}
	for i, m := range r.metrics {
		if m.Kind == profile.First || m.Kind == profile.Last {
			if v := p.latest(i); v != nil {
				e.Metrics[m.name] = v.Value()
			}
		} else if v, ok := p.metric(i); ok {
			e.Metrics[m.name] = v
		}
	}
	for i, s := range r.scores {
		if v, ok := p.score(i); ok {
			e.Scores[s.name] = v
		}
	}
	for _, s := range r.segments {
		switch in, known := s.holds(p); {
		case !known:
			e.Disabled = append(e.Disabled, s.name)
		case in:
			e.Segments = append(e.Segments, s.name)
		}
	}
	return e
}

// Standings appends whether the person is in each segment at now, by name;
// where they stand with a disabled one is undecided. It is the hot path: scores and
// metrics no segment asks for are not computed.
func (r *Rules) Standings(of *profile.Person, now time.Time, into []profile.Standing) []profile.Standing {
	if len(r.segments) == 0 {
		return into
	}
	p := r.person(of, now)
	defer r.put(p)
	for _, s := range r.segments {
		in, known := s.holds(p)
		into = append(into, profile.Standing{Segment: s.name, In: in, Undecided: !known})
	}
	return into
}

// person returns a cleared person from the pool.
func (r *Rules) person(of *profile.Person, now time.Time) *person {
	p, _ := r.persons.Get().(*person)
	if p == nil {
		p = &person{metrics: make([]memo, len(r.metrics)), scores: make([]memo, len(r.scores))}
	}
	p.reset(r, of, now.UTC())
	return p
}

func (r *Rules) put(p *person) {
	p.Person, p.sessions = nil, nil
	r.persons.Put(p)
}

// holds reports whether the person is in the segment; known is false when the
// segment is disabled.
func (s *segment) holds(p *person) (in, known bool) {
	if s.when.tripped.Load() != nil {
		return false, false
	}
	in, err := s.when.holds(p)
	if err != nil {
		p.rules.report(s.when.trip(err, disabled))
		return false, false
	}
	return in, true
}

// number returns a score's value; ok is false when there is none.
func (r *Rules) number(x *compiled, p *person) (v float64, ok bool) {
	if x.tripped.Load() != nil {
		return 0, false
	}
	v, ok, err := x.number(p)
	if err != nil {
		r.report(x.trip(err, disabled))
	}
	return v, ok
}

const disabled = "is disabled"

func (r *Rules) report(p Problem, first bool) {
	if first && r.OnTrip != nil {
		r.OnTrip(p)
	}
}

// Disabled returns a problem for each rule that was stopped since the file was
// loaded: a score or segment is then not evaluated any more, a metric does not
// count the events for which it costs too much. Loading the file again starts anew.
func (r *Rules) Disabled() []Problem {
	var list []Problem
	for _, x := range r.exprs {
		if p := x.tripped.Load(); p != nil {
			list = append(list, *p)
		}
	}
	return list
}

var _ profile.Extractor = (*Rules)(nil)
