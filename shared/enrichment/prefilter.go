package enrichment

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// A prefilter finds, in one pass over a text, which of many regular
// expressions can match it at all. From each expression it derives clauses:
// sets of literals of which a match must contain at least one. An expression is
// a candidate when all its clauses are met. Literals are compared in folded
// form (see fold), so the answer may name too many expressions, never too few.
type prefilter struct {
	// want[i] has one bit per clause of expression i.
	want []uint16
	// buckets holds the literals by the hash of one of their trigrams.
	buckets [1 << bucketBits][]literal
}

const (
	bucketBits = 12
	// minLiteral is the length of the trigrams literals are found by, in
	// bytes: shorter literals say nothing.
	minLiteral = 3
	maxExact   = 16
	maxClause  = 256
	maxClauses = 16
)

// literal is a literal and the clauses it meets.
type literal struct {
	text string
	// at is where in text the trigram of its bucket begins.
	at  int
	met []clauseRef
}

type clauseRef struct {
	expr int
	bit  uint16
}

func bucket(s string) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16) * 0x9E3779B1 >> (32 - bucketBits)
}

// newPrefilter returns the prefilter of expressions in Go's syntax.
func newPrefilter(exprs []string) (*prefilter, error) {
	f := &prefilter{want: make([]uint16, len(exprs))}
	refs := map[string][]clauseRef{}
	for i, expr := range exprs {
		re, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			return nil, err
		}
		clauses := derive(re).close().clauses
		for c, clause := range clauses[:min(len(clauses), maxClauses)] {
			bit := uint16(1) << c
			f.want[i] |= bit
			for _, text := range clause {
				refs[text] = append(refs[text], clauseRef{i, bit})
			}
		}
	}
	texts := make([]string, 0, len(refs))
	for text := range refs {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	for _, text := range texts {
		best := 0
		for at := range len(text) - minLiteral + 1 {
			if len(f.buckets[bucket(text[at:])]) < len(f.buckets[bucket(text[best:])]) {
				best = at
			}
		}
		b := &f.buckets[bucket(text[best:])]
		*b = append(*b, literal{text, best, refs[text]})
	}
	return f, nil
}

// match sets in met (one per expression, all zero) the clauses that folded
// text meets. Expression i is a candidate when met[i] == want[i].
func (f *prefilter) match(folded string, met []uint16) {
	for i := range len(folded) - minLiteral + 1 {
		for _, l := range f.buckets[bucket(folded[i:])] {
			if from := i - l.at; from >= 0 && strings.HasPrefix(folded[from:], l.text) {
				for _, ref := range l.met {
					met[ref.expr] |= ref.bit
				}
			}
		}
	}
}

// fold returns s in the form literals are compared in: ASCII in lower case,
// and the two other runes that Go's case folding maps to ASCII letters.
func fold(s string) string {
	return strings.Map(foldRune, s)
}

func foldRune(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case r == 'ſ':
		return 's'
	case r == '\u212a': // Kelvin sign
		return 'k'
	}
	return r
}

// needs is what a match of an expression must contain: when exact is not nil
// the whole match is one of its strings, and clauses says nothing; else one
// literal of each of the clauses.
type needs struct {
	exact   []string
	clauses [][]string
}

// close turns an exact set into a clause.
func (n needs) close() needs {
	if n.exact == nil {
		return n
	}
	for _, s := range n.exact {
		if len(s) < minLiteral {
			return needs{}
		}
	}
	clause := slices.Clone(n.exact)
	slices.Sort(clause)
	return needs{clauses: [][]string{slices.Compact(clause)}}
}

func derive(re *syntax.Regexp) needs {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return needs{exact: []string{""}}
	case syntax.OpLiteral:
		s := fold(string(re.Rune))
		if !ascii(s) {
			return needs{}
		}
		return needs{exact: []string{s}}
	case syntax.OpCharClass:
		return deriveClass(re.Rune)
	case syntax.OpCapture:
		return derive(re.Sub[0])
	case syntax.OpPlus:
		return derive(re.Sub[0]).close()
	case syntax.OpRepeat:
		if re.Min == 0 {
			return needs{}
		}
		return derive(re.Sub[0]).close()
	case syntax.OpQuest:
		if sub := derive(re.Sub[0]); sub.exact != nil && len(sub.exact) < maxExact {
			return needs{exact: append(slices.Clone(sub.exact), "")}
		}
		return needs{}
	case syntax.OpConcat:
		return deriveConcat([]string{""}, re.Sub)
	case syntax.OpAlternate:
		return deriveAlternate([]string{""}, re.Sub)
	}
	return needs{} // any character, star, no match
}

func deriveClass(ranges []rune) needs {
	const most = 4 // letters, in either case
	size := rune(0)
	for i := 0; i < len(ranges); i += 2 {
		size += ranges[i+1] - ranges[i] + 1
	}
	if size > 2*most {
		return needs{}
	}
	var exact []string
	for i := 0; i < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			s := string(foldRune(r))
			if !ascii(s) {
				return needs{}
			}
			if !slices.Contains(exact, s) {
				exact = append(exact, s)
			}
		}
	}
	if len(exact) > most {
		return needs{}
	}
	return needs{exact: exact}
}

// deriveConcat derives what follows one of the strings in exact.
func deriveConcat(exact []string, subs []*syntax.Regexp) needs {
	var clauses [][]string
	whole := true // exact still is the whole match
	for _, sub := range subs {
		if sub.Op == syntax.OpAlternate {
			// The parser turned abc|abd.* into ab(?:c|d.*): put ab back.
			n := deriveAlternate(exact, sub.Sub)
			if n.exact != nil && len(n.exact) <= maxExact {
				exact = n.exact
				continue
			}
			whole, exact = false, []string{""}
			clauses = append(clauses, n.close().clauses...)
			continue
		}
		n := derive(sub)
		if n.exact != nil && len(exact)*len(n.exact) <= maxExact {
			product := make([]string, 0, len(exact)*len(n.exact))
			for _, a := range exact {
				for _, b := range n.exact {
					product = append(product, a+b)
				}
			}
			exact = product
			continue
		}
		whole = false
		clauses = append(clauses, needs{exact: exact}.close().clauses...)
		if exact = n.exact; exact == nil {
			clauses = append(clauses, n.clauses...)
			exact = []string{""}
		}
	}
	if whole {
		return needs{exact: exact}
	}
	return needs{clauses: append(clauses, needs{exact: exact}.close().clauses...)}
}

// deriveAlternate derives one of the branches after one of the strings in prefix.
func deriveAlternate(prefix []string, subs []*syntax.Regexp) needs {
	var exact, clause []string
	isExact, hasClause := true, true
	for _, sub := range subs {
		branch := []*syntax.Regexp{sub}
		if sub.Op == syntax.OpConcat {
			branch = sub.Sub
		}
		n := deriveConcat(prefix, branch)
		isExact = isExact && n.exact != nil
		exact = append(exact, n.exact...)
		// The branch's clause whose shortest literal is longest says most.
		var best []string
		for _, c := range n.close().clauses {
			if best == nil || shortest(c) > shortest(best) {
				best = c
			}
		}
		hasClause = hasClause && best != nil
		clause = append(clause, best...)
	}
	if isExact && len(exact) <= maxClause {
		return needs{exact: exact}
	}
	if !hasClause || len(clause) > maxClause {
		return needs{}
	}
	slices.Sort(clause)
	return needs{clauses: [][]string{slices.Compact(clause)}}
}

func shortest(clause []string) int {
	n := len(clause[0])
	for _, s := range clause[1:] {
		n = min(n, len(s))
	}
	return n
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
