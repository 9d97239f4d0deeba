package project

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxFile is the largest project file taken, in bytes.
const MaxFile = 256 << 10

// Problem is one thing wrong with a document.
type Problem struct {
	File string `json:"file"`
	// Line and Column count characters from 1; 0 when the whole file is meant.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Expr is the expression the problem is in, empty when it is in none.
	Expr string `json:"expression,omitempty"`
	// Msg says what is wrong and, where it can, what to do.
	Msg string `json:"message"`
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Expr != "" {
		// One line, whatever the expression: a problem is one line of output.
		expr := strings.Join(strings.Fields(p.Expr), " ")
		if r := []rune(expr); len(r) > 120 {
			expr = string(r[:119]) + "…"
		}
		fmt.Fprintf(&b, ": %s", expr)
	}
	fmt.Fprintf(&b, ": %s", p.Msg)
	return b.String()
}

// Problems is every problem of a document, in the order of its lines.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Document is a YAML mapping read strictly: what it does not expect becomes a
// Problem with its place in the file.
type Document struct {
	File string `json:"file"`
	// Root is the document's top mapping, nil when there is none.
	Root     *yaml.Node
	lines    []string
	problems Problems
	// secret documents are never quoted in problems.
	secret bool
}

// ReadDocument reads a YAML document. It returns a Document also when the file
// cannot be read; Err then says why. empty says how to write a document that
// means to say nothing: one that is merely empty is most often a file that an
// editor has truncated and not yet written.
func ReadDocument(file string, data []byte, empty string) *Document {
	return (&Document{File: file}).read(data, empty)
}

func (d *Document) read(data []byte, empty string) *Document {
	if len(data) > MaxFile {
		d.Reportf(nil, "the file has %d bytes, at most %d are allowed", len(data), MaxFile)
		return d
	}
	if !utf8.Valid(data) {
		d.Reportf(nil, "the file is not UTF-8 text")
		return d
	}
	d.lines = strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	switch err := dec.Decode(&root); {
	case errors.Is(err, io.EOF):
		d.Reportf(nil, "the file is empty: write %q if that is what you mean", empty)
		return d
	case err != nil:
		d.syntax(err)
		return d
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		d.Reportf(&second, "the file must hold one document: remove what follows \"---\"")
	case !errors.Is(err, io.EOF):
		d.syntax(err)
	}
	if len(root.Content) == 1 {
		d.Root = root.Content[0]
	}
	if d.Root == nil || isNull(d.Root) {
		d.Reportf(nil, "the file is empty: write %q if that is what you mean", empty)
	}
	return d
}

// syntax turns "yaml: line 3: what" into a problem.
func (d *Document) syntax(err error) {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(msg, "mapping values are not allowed") {
		msg += ": put a text that has \": \" in it in quotes, or on a line of its own after \"|\""
	}
	if d.secret { // the message may quote a name
		at, _, _ := strings.Cut(msg, ": ")
		msg = "look for brackets, quotes and indentation that do not match"
		if strings.HasPrefix(at, "line ") {
			msg = at + ": " + msg
		}
	}
	p := Problem{File: d.File, Msg: "not YAML: " + msg}
	if at, ok := strings.CutPrefix(msg, "line "); ok {
		if n, what, ok := strings.Cut(at, ": "); ok {
			if line, err := strconv.Atoi(n); err == nil {
				p.Line, p.Column, p.Msg = line, 1, "not YAML: "+what
			}
		}
	}
	d.problems = append(d.problems, p)
}

// Err returns the problems found so far as an error of type Problems, nil when
// there are none.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(d.problems)
}

// Reportf adds a problem at the node; nil means the file.
func (d *Document) Reportf(n *yaml.Node, format string, args ...any) {
	p := Problem{File: d.File, Msg: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	d.problems = append(d.problems, p)
}

// ReportExprf adds a problem at the given character of the node's text, which
// is an expression.
func (d *Document) ReportExprf(n *yaml.Node, offset int, format string, args ...any) {
	p := Problem{File: d.File, Expr: n.Value, Msg: fmt.Sprintf(format, args...)}
	p.Line, p.Column = d.Position(n, offset)
	d.problems = append(d.problems, p)
}

// Fields calls f with every key and value of a mapping, in the file's order. A
// node that is no mapping and a repeated key are problems; an empty value is an
// empty mapping. what names the mapping in problems.
func (d *Document) Fields(n *yaml.Node, what string, f func(key string, at, value *yaml.Node)) {
	if n == nil || !d.plain(n) || isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.Reportf(n, "%s must be a mapping (\"key: value\" lines)", what)
		return
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if !d.plain(k) || !d.plain(v) {
			continue
		}
		if k.Kind != yaml.ScalarNode {
			d.Reportf(k, "a key must be a text")
			continue
		}
		if line, dup := seen[k.Value]; dup {
			d.Reportf(k, "%s is already on line %d", d.quote(k), line)
			continue
		}
		seen[k.Value] = k.Line
		f(k.Value, k, v)
	}
}

// Unknown reports a key that is not among the known ones.
func (d *Document) Unknown(at *yaml.Node, what string, known ...string) {
	slices.Sort(known)
	if d.secret {
		d.Reportf(at, "unknown key in %s, which has %s", what, strings.Join(known, ", "))
		return
	}
	d.Reportf(at, "unknown key %q in %s, which has %s", at.Value, what, strings.Join(known, ", "))
}

// quote is a node's text for a problem, unless it is secret.
func (d *Document) quote(n *yaml.Node) string {
	if d.secret {
		return "this key"
	}
	return strconv.Quote(n.Value)
}

// Text returns a scalar's text; ok is false, and a problem reported, when the
// node is none or is empty.
func (d *Document) Text(n *yaml.Node, what string) (text string, ok bool) {
	switch {
	case !d.plain(n):
		return "", false
	case n.Kind != yaml.ScalarNode:
		d.Reportf(n, "%s must be a text", what)
		return "", false
	case isNull(n) || strings.TrimSpace(n.Value) == "":
		d.Reportf(n, "%s is empty", what)
		return "", false
	}
	return n.Value, true
}

// Texts returns a list of texts, or a single text as a list of one.
func (d *Document) Texts(n *yaml.Node, what string) []string {
	if n.Kind != yaml.SequenceNode {
		if text, ok := d.Text(n, what); ok {
			return []string{text}
		}
		return nil
	}
	list := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		if text, ok := d.Text(item, "an entry of "+what); ok {
			list = append(list, text)
		}
	}
	return list
}

// plain reports whether a node is written out: aliases and anchors can hide
// loops and explosions, and a place in them is no place in the file.
func (d *Document) plain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.Reportf(n, "anchors (&) and aliases (*) are not supported: write it out, or put a text that begins so in quotes")
	case n.Style&yaml.TaggedStyle != 0:
		d.Reportf(n, "tags (!) are not supported: remove it, or put a text that begins so in quotes")
	default:
		return true
	}
	return false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// Position returns the line and column, from 1, of the given character of a
// scalar's text, or of the place after its last one. It goes by the characters that are not space: folding and
// indentation change spaces only.
func (d *Document) Position(n *yaml.Node, offset int) (line, column int) {
	skip, more := 0, false
	for i, r := range []rune(n.Value) {
		switch {
		case unicode.IsSpace(r):
		case i < offset:
			skip++
		default:
			more = true
		}
	}
	line, column = n.Line-1, n.Column-1
	quote := rune(0)
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		line, column = line+1, 0 // past the "|" and what follows it
	case n.Style&yaml.DoubleQuotedStyle != 0:
		column, quote = column+1, '"'
	case n.Style&yaml.SingleQuotedStyle != 0:
		column, quote = column+1, '\''
	}
	last := [2]int{n.Line, n.Column}
	for ; line < len(d.lines); line, column = line+1, 0 {
		text := []rune(d.lines[line])
		for ; column < len(text); column++ {
			r := text[column]
			if unicode.IsSpace(r) {
				continue
			}
			at := [2]int{line + 1, column + 1}
			if quote != 0 {
				closes, width := quoted(text[column:], quote)
				if closes {
					return last[0], last[1]
				}
				if width == 0 { // an escape that stands for a space
					column++
					continue
				}
				column += width - 1
			}
			if skip == 0 && more {
				return at[0], at[1]
			}
			last = [2]int{at[0], at[1] + 1}
			if skip--; skip <= 0 && !more {
				return last[0], last[1]
			}
		}
	}
	return last[0], last[1]
}

// quoted returns how many characters of the source stand for the next one of a
// quoted text, 0 when they stand for a space; closes when it is the end.
func quoted(source []rune, quote rune) (closes bool, width int) {
	next := func(i int) rune {
		if i < len(source) {
			return source[i]
		}
		return 0
	}
	switch {
	case quote == '\'' && source[0] == quote && next(1) == quote:
		return false, 2
	case source[0] == quote:
		return true, 0
	case quote == '"' && source[0] == '\\':
		switch next(1) {
		case 'n', 't', ' ', 'r', 'v', 'f', 'N', '_', 'L', 'P', 0:
			return false, 0
		case 'x':
			return false, 4
		case 'u':
			return false, 6
		case 'U':
			return false, 10
		}
		return false, 2
	}
	return false, 1
}
