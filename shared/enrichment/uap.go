package enrichment

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ua-parser/uap-go/uaparser"
)

// uap reads user agents by uap-core's regular expressions, as uap-go ships
// them, with uap-go's results, but runs only those that a prefilter lets
// through and compiles each when it is first run.
type uap struct {
	// patterns holds the browsers', then the systems', then the devices'.
	patterns []pattern
	// ends are where each of the three end.
	ends   [3]int
	filter *prefilter
	// met recycles the prefilter's answers (*[]uint16).
	met sync.Pool
}

// pattern is one regular expression with the templates of what it finds.
type pattern struct {
	expr      string
	templates [5]string
	// compiled holds the expression for texts of up to each of the bounds, and
	// as it is.
	compiled [len(bounds) + 1]atomic.Pointer[regexp.Regexp]
}

// bounds are the repeat counts that uap-core bounds "any number" by.
// Expressions so bounded compile to large, slow programs; a text of no more
// bytes meets the bound anyway, so for it the bound is left out.
var bounds = [...]struct {
	bytes int
	clear *strings.Replacer
}{
	{100, unbounded("100", "200", "300")},
	{200, unbounded("200", "300")},
}

// unbounded returns what takes the bounds off repeats of any character or of a class.
func unbounded(bounds ...string) *strings.Replacer {
	var pairs []string
	for _, b := range bounds {
		for _, c := range []string{".", "]"} {
			pairs = append(pairs, c+"{0,"+b+"}", c+"*", c+"{1,"+b+"}", c+"+")
		}
	}
	return strings.NewReplacer(pairs...)
}

// defaultUAP is uap-core as uap-go ships it, made ready on first use.
var defaultUAP = sync.OnceValue(func() *uap {
	u, err := newUAP(uaparser.DefinitionYaml)
	if err != nil {
		panic(err) // a test reads the very same bytes
	}
	return u
})

// sections are the definitions' parts: the keys of each one's templates, in
// uap-go's order, and their defaults.
var sections = [3]struct {
	name     string
	keys     []string
	defaults [5]string
}{
	{"user_agent_parsers", []string{"family_replacement", "v1_replacement", "v2_replacement", "v3_replacement"},
		[5]string{"$1", "$2", "$3", "$4"}},
	{"os_parsers", []string{"os_replacement", "os_v1_replacement", "os_v2_replacement", "os_v3_replacement", "os_v4_replacement"},
		[5]string{"$1", "$2", "$3", "$4", "$5"}},
	{"device_parsers", []string{"device_replacement", "brand_replacement", "model_replacement"},
		[5]string{"$1", "", "$1"}},
}

// newUAP reads uap-core's definitions. It reads the little of YAML that they
// use, since a YAML reader takes a cold start 12 ms for them.
func newUAP(definitions []byte) (*uap, error) {
	u := new(uap)
	exprs := make([]string, 0, 1500)
	section, n := -1, 0
	for line := range strings.Lines(string(definitions)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		item, isItem := strings.CutPrefix(line, "  - regex: ")
		key, value, isKey := strings.Cut(strings.TrimSpace(line), ": ")
		if isItem {
			value = item
		}
		if len(value) >= 2 && value[0] == '\'' && value[len(value)-1] == '\'' {
			value = strings.ReplaceAll(value[1:len(value)-1], "''", "'")
		}
		switch {
		case line == "" || line[0] == '#':
		case section+1 < len(sections) && line == sections[section+1].name+":":
			section++
			u.ends[section] = len(exprs)
		case section < 0:
			return nil, fmt.Errorf("user agent definitions, line %d: unknown section %q", n, line)
		case isItem:
			exprs = append(exprs, value)
			u.patterns = append(u.patterns, pattern{templates: sections[section].defaults})
			u.ends[section] = len(exprs)
		case isKey && key == "regex_flag" && len(exprs) > 0:
			exprs[len(exprs)-1] = "(?" + value + ")" + exprs[len(exprs)-1]
		case isKey && len(exprs) > 0 && slices.Contains(sections[section].keys, key):
			if value != "" {
				u.patterns[len(exprs)-1].templates[slices.Index(sections[section].keys, key)] = value
			}
		default:
			return nil, fmt.Errorf("user agent definitions, line %d: cannot read %q", n, line)
		}
	}
	if section != len(sections)-1 {
		return nil, fmt.Errorf("user agent definitions: section %q is missing", sections[section+1].name)
	}
	for i := range exprs {
		u.patterns[i].expr = exprs[i]
	}
	var err error
	if u.filter, err = newPrefilter(exprs); err != nil {
		return nil, fmt.Errorf("user agent definitions: %w", err)
	}
	return u, nil
}

// regexp returns the expression to run on a text of n bytes.
func (p *pattern) regexp(n int) *regexp.Regexp {
	level := 0
	for level < len(bounds) && n > bounds[level].bytes {
		level++
	}
	re := p.compiled[level].Load()
	if re == nil {
		expr := p.expr
		if level < len(bounds) {
			expr = bounds[level].clear.Replace(expr)
		}
		re = regexp.MustCompile(expr) // newPrefilter has parsed it
		p.compiled[level].Store(re)
	}
	return re
}

// found is what the expressions find, in the order of a section's templates.
type found [5]string

// parse returns what uap-go's parser returns for the user agent: browser
// (family and three parts of a version), system (family and four) and device
// (family, brand, model).
func (u *uap) parse(ua string) (browser, system, device found) {
	met, _ := u.met.Get().(*[]uint16)
	if met == nil {
		met = new(make([]uint16, len(u.patterns)))
	}
	defer u.met.Put(met)
	clear(*met)
	u.filter.match(fold(ua), *met)
	browser = u.first(ua, *met, 0, u.ends[0])
	system = u.first(ua, *met, u.ends[0], u.ends[1])
	device = u.first(ua, *met, u.ends[1], u.ends[2])
	for i, s := range device {
		device[i] = strings.TrimSpace(s)
	}
	return browser, system, device
}

// first returns what the first of the patterns finds that finds a family. As
// in uap-go, one that matches without a family leaves the rest of its finds.
func (u *uap) first(ua string, met []uint16, from, to int) (f found) {
	for i := from; i < to; i++ {
		if met[i] != u.filter.want[i] {
			continue
		}
		p := &u.patterns[i]
		re := p.regexp(len(ua))
		match := re.FindStringSubmatchIndex(ua)
		if match == nil {
			continue
		}
		var buf [128]byte
		for t, template := range p.templates {
			f[t] = string(re.ExpandString(buf[:0], template, ua, match))
		}
		if strings.TrimSpace(f[0]) != "" {
			return f
		}
	}
	f[0] = "Other"
	return f
}
