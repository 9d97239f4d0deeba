package main

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hitolayer/hito/shared/config"
)

// api is docs/openapi.yaml.
type api struct{ doc map[string]any }

func readAPI(t *testing.T) *api {
	t.Helper()
	text, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return &api{doc}
}

// object follows v's references.
func (a *api) object(v any) map[string]any {
	m, _ := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var at any = a.doc
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		in, _ := at.(map[string]any)
		at = in[name]
	}
	if at == nil {
		panic("dangling " + ref)
	}
	return a.object(at)
}

// check returns what is wrong with a value by a schema: the subset of JSON
// Schema that the document uses, and an error for what is outside it.
func (a *api) check(at string, v any, schema map[string]any) (wrong []string) {
	fail := func(format string, args ...any) {
		wrong = append(wrong, at+": "+fmt.Sprintf(format, args...))
	}
	for word, arg := range schema {
		switch word {
		case "description", "format", "default", "minimum", "maximum", "maxItems":
		case "const":
			if fmt.Sprint(v) != fmt.Sprint(arg) {
				fail("%v, want %v", v, arg)
			}
		case "enum":
			if !slices.Contains(arg.([]any), v) {
				fail("%v is none of %v", v, arg)
			}
		case "type":
			types, ok := arg.([]any)
			if !ok {
				types = []any{arg}
			}
			kind := kindOf(v)
			if !slices.Contains(types, any(kind)) && (kind != "integer" || !slices.Contains(types, any("number"))) {
				fail("is of type %s, want %v", kind, types)
			}
		case "oneOf":
			ok := false
			for _, s := range arg.([]any) {
				ok = ok || len(a.check(at, v, a.object(s))) == 0
			}
			if !ok {
				fail("fits none of its forms: %v", v)
			}
		case "items":
			list, _ := v.([]any)
			for i, element := range list {
				wrong = append(wrong, a.check(fmt.Sprintf("%s[%d]", at, i), element, a.object(arg))...)
			}
		case "required":
			m, ok := v.(map[string]any)
			for _, name := range arg.([]any) {
				if _, has := m[name.(string)]; ok && !has {
					fail("lacks %v", name)
				}
			}
		case "properties", "additionalProperties":
		default:
			fail("the check does not know %q", word)
		}
	}
	m, _ := v.(map[string]any)
	if schema["oneOf"] != nil {
		return wrong
	}
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if s, ok := properties[name]; ok {
			wrong = append(wrong, a.check(at+"."+name, m[name], a.object(s))...)
		} else if more, ok := schema["additionalProperties"].(map[string]any); ok {
			wrong = append(wrong, a.check(at+"."+name, m[name], a.object(more))...)
		} else if kindOf(schema["additionalProperties"]) != "boolean" || schema["additionalProperties"] == false {
			fail("has %s, which is not documented", name)
		}
	}
	return wrong
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case int:
		return "integer"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "integer"
		}
		return "number"
	case float64:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", v)
}

var verbs = []string{"get", "put", "post", "delete", "patch"}

// operation is one path and method of the document.
type operation struct {
	path, method string
	parameters   []map[string]any
	body         any // the request body's example
	responses    map[string]any
}

func (a *api) operations() (all []operation) {
	paths := a.doc["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := a.object(paths[path])
		for _, verb := range verbs {
			op, ok := item[verb].(map[string]any)
			if !ok {
				continue
			}
			o := operation{path: path, method: strings.ToUpper(verb), responses: op["responses"].(map[string]any)}
			for _, list := range []any{item["parameters"], op["parameters"]} {
				parameters, _ := list.([]any)
				for _, p := range parameters {
					o.parameters = append(o.parameters, a.object(p))
				}
			}
			if body, ok := op["requestBody"].(map[string]any); ok {
				o.body = body["content"].(map[string]any)["application/json"].(map[string]any)["example"]
			}
			all = append(all, o)
		}
	}
	return all
}

// target is the path with its parameters' examples, and with those of the query.
func (o operation) target() string {
	target, query := o.path, []string{}
	for _, p := range o.parameters {
		example, ok := p["example"].(string)
		name := p["name"].(string)
		switch {
		case p["in"] == "path":
			target = strings.Replace(target, "{"+name+"}", example, 1)
		case p["in"] == "query" && ok:
			query = append(query, name+"="+example)
		}
	}
	if len(query) > 0 {
		target += "?" + strings.Join(query, "&")
	}
	return target
}

// serveAPI runs everything in this process, with edited project files.
func serveAPI(t *testing.T, edits ...func(projects string)) string {
	t.Helper()
	dir := t.TempDir()
	c := config.Server{Data: dir, Projects: filepath.Join(dir, "projects"), Memory: 128 << 20, Retention: time.Hour, DiskLimit: 1 << 30}
	if err := layOut(c.Projects); err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(c.Projects)
	}
	p, err := openPipeline(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ending, end := context.WithCancel(t.Context())
	server := httptest.NewServer(p.handler(ending, c))
	t.Cleanup(func() {
		end()
		server.Close()
		if err := p.db.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

// request sends one, with the key that the path takes.
func requestAPI(t *testing.T, url, method, target string, body any) *http.Response {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url+target, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.SetBasicAuth("demo", "")
		r.Header.Set("Hito-Receipts", "1")
	} else {
		r.Header.Set("Authorization", "Bearer demo-secret")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// TestOpenAPIExamples checks every example by its schema.
func TestOpenAPIExamples(t *testing.T) {
	a := readAPI(t)
	checked := 0
	for _, o := range a.operations() {
		for status, r := range o.responses {
			content, _ := a.object(r)["content"].(map[string]any)
			for kind, c := range content {
				media := c.(map[string]any)
				schema, ok := media["schema"]
				if !ok {
					continue
				}
				examples := map[string]any{"": map[string]any{"value": media["example"]}}
				if several, ok := media["examples"].(map[string]any); ok {
					examples = several
				}
				for name, e := range examples {
					checked++
					for _, wrong := range a.check("example "+name, e.(map[string]any)["value"], a.object(schema)) {
						t.Errorf("%s %s, %s %s: %s", o.method, o.path, status, kind, wrong)
					}
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("checked %d examples only", checked)
	}
}

// TestOpenAPIAnswers sends every documented request to a running hito, and
// checks the answers.
func TestOpenAPIAnswers(t *testing.T) {
	a, url := readAPI(t), serveAPI(t)
	operations := a.operations()
	// Events first, erasing last.
	order := map[string]int{"POST": 0, "GET": 1, "DELETE": 2}
	slices.SortStableFunc(operations, func(x, y operation) int { return order[x.method] - order[y.method] })
	check := func(o operation, target, want string) {
		t.Helper()
		response := requestAPI(t, url, o.method, target, o.body)
		status := strconv.Itoa(response.StatusCode)
		documented, ok := o.responses[status]
		if !ok || status != want {
			text, _ := io.ReadAll(response.Body)
			t.Errorf("%s %s: %s, want %s: %s", o.method, target, status, want, text)
			return
		}
		kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
		content, _ := a.object(documented)["content"].(map[string]any)
		media, ok := content[kind].(map[string]any)
		if !ok {
			t.Errorf("%s %s, %s: the content type %q is not documented", o.method, target, status, kind)
			return
		}
		if media["schema"] == nil {
			return
		}
		// Of the tail, the first event.
		decoder := json.NewDecoder(response.Body)
		decoder.UseNumber()
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Errorf("%s %s, %s: %v", o.method, target, status, err)
			return
		}
		for _, wrong := range a.check("answer", v, a.object(media["schema"])) {
			t.Errorf("%s %s, %s: %s", o.method, target, status, wrong)
		}
	}
	// Something for quarantine, so that it has entries to show.
	requestAPI(t, url, "POST", "/v1/batch", map[string]any{"batch": []any{map[string]any{"type": "track", "messageId": "unfit"}, 7}})
	for _, o := range operations {
		target := o.target()
		if o.path == "/v1/tail" {
			target += "?last=10"
		}
		check(o, target, "200")
		switch o.path {
		case "/v1/profiles/{id}":
			base, _, _ := strings.Cut(target, "?")
			check(o, strings.Replace(base, "u1", "nobody", 1), "404")
			check(o, strings.Replace(base, "user_id", "email", 1), "400")
			if o.method == "GET" {
				check(o, base+"?after=never&timeout=0s", "504")
			}
		case "/v1/ledger":
			check(o, target+"?by=minute", "200")
			check(o, target+"?by=hour", "400")
		case "/v1/quarantine":
			check(o, target+"?limit=0", "400")
			check(o, target+"?cursor=nonsense", "400")
			check(o, target+"?limit=1", "200")
		case "/v1/track":
			o.body = []any{7}
			check(o, target, "400")
		case "/v1/batch":
			o.body = map[string]any{"batch": make([]any, 2501)}
			check(o, target, "413")
		}
	}
}

// TestOpenAPIMethods asks every documented path with every method: those that
// are not documented must be refused, naming those that are.
func TestOpenAPIMethods(t *testing.T) {
	a, url := readAPI(t), serveAPI(t)
	documented := map[string][]string{}
	for _, o := range a.operations() {
		path, _, _ := strings.Cut(o.target(), "?")
		documented[path] = append(documented[path], o.method)
	}
	for path, methods := range documented {
		for _, verb := range verbs {
			method := strings.ToUpper(verb)
			if slices.Contains(methods, method) {
				continue
			}
			response := requestAPI(t, url, method, path, nil)
			allow := slices.DeleteFunc(strings.Split(response.Header.Get("Allow"), ", "), func(m string) bool { return m == "HEAD" || m == "OPTIONS" })
			slices.Sort(allow)
			slices.Sort(methods)
			if response.StatusCode != http.StatusMethodNotAllowed || !slices.Equal(allow, methods) {
				t.Errorf("%s %s: %d, Allow %v, documented %v", method, path, response.StatusCode, allow, methods)
			}
		}
	}
}

// TestOpenAPIIsComplete looks for paths in the sources that route, and asks for
// each: what is there must be documented.
func TestOpenAPIIsComplete(t *testing.T) {
	a, url := readAPI(t), serveAPI(t)
	patterns := []*regexp.Regexp{}
	for _, o := range a.operations() {
		pattern := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(o.path), `[^?]+`)
		patterns = append(patterns, regexp.MustCompile("^"+pattern+"$"))
	}
	pathLike := regexp.MustCompile(`^[/a-z0-9_-]{1,40}$`)
	served := 0
	for _, file := range []string{"pipeline.go", "../beacon/beacon.go", "../profile/handler.go", "console/console.go", "../../shared/event/event.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil || !pathLike.MatchString(text) || strings.HasPrefix(text, "/debug/") {
				return true
			}
			for _, path := range []string{text, "/v1/" + text, "/v1/" + text + "track", "/v1/" + text + "demo/settings", text + "user_id:u1", text + "app.js"} {
				if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") {
					continue
				}
				// PUT is nowhere: a path that is there says so by 405.
				if requestAPI(t, url, "PUT", path, nil).StatusCode == http.StatusNotFound {
					continue
				}
				served++
				// A path may end in a slash, or go on after it.
				if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool {
					return p.MatchString(path) || p.MatchString(strings.TrimSuffix(path, "/")) || p.MatchString(path+"x")
				}) {
					t.Errorf("%s is served and not documented", path)
				}
			}
			return true
		})
	}
	if served < 20 {
		t.Errorf("found %d paths only", served)
	}
}
