// Package terraformtest says what an install must keep to, whatever its
// variables are: policies on what `terraform show -json` tells of a plan.
// The form is documented at
// https://developer.hashicorp.com/terraform/internals/json-format.
package terraformtest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Plan is what a plan will have made.
type Plan struct {
	Resources []*Resource
	// Variables of the root, given or by default, and Outputs as far as they are
	// known, by name.
	Variables, Outputs map[string]any
	// expressions are those of the configuration, by a resource's address
	// without the instances' keys.
	expressions map[string]map[string]any
}

// Resource is one instance of a resource.
type Resource struct {
	// Address such as module.redrive["score"].aws_sqs_queue.this.
	Address string
	// Module is the instance of the module it is in: module.redrive["score"],
	// empty for the root.
	Module string
	// Type such as aws_sqs_queue.
	Type string
	// Values are its attributes; what is known only after apply is not among
	// them, but in Unknown.
	Values  map[string]any
	Unknown map[string]any
}

// valueJSON, moduleJSON and configJSON are the parts of the form that are read.
type valueJSON struct {
	Value any `json:"value"`
}

type moduleJSON struct {
	Address   string `json:"address"`
	Resources []struct {
		Address string         `json:"address"`
		Mode    string         `json:"mode"`
		Type    string         `json:"type"`
		Values  map[string]any `json:"values"`
	} `json:"resources"`
	Children []moduleJSON `json:"child_modules"`
}

type configJSON struct {
	Resources []struct {
		Address     string         `json:"address"`
		Expressions map[string]any `json:"expressions"`
	} `json:"resources"`
	Calls map[string]struct {
		Module configJSON `json:"module"`
	} `json:"module_calls"`
}

// ParsePlan reads what `terraform show -json` prints of a plan.
func ParsePlan(data []byte) (*Plan, error) {
	var form struct {
		Variables map[string]valueJSON `json:"variables"`
		Planned   struct {
			Root    moduleJSON           `json:"root_module"`
			Outputs map[string]valueJSON `json:"outputs"`
		} `json:"planned_values"`
		Changes []struct {
			Address string `json:"address"`
			Change  struct {
				Unknown any `json:"after_unknown"`
			} `json:"change"`
		} `json:"resource_changes"`
		Configuration struct {
			Root configJSON `json:"root_module"`
		} `json:"configuration"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	unknown := map[string]map[string]any{}
	for _, c := range form.Changes {
		if m, ok := c.Change.Unknown.(map[string]any); ok {
			unknown[c.Address] = m
		}
	}
	p := &Plan{Variables: values(form.Variables), Outputs: values(form.Planned.Outputs), expressions: map[string]map[string]any{}}
	p.addModule(form.Planned.Root, unknown)
	p.addConfig("", form.Configuration.Root)
	if len(p.Resources) == 0 {
		return nil, fmt.Errorf("read plan: no resources")
	}
	return p, nil
}

func values(named map[string]valueJSON) map[string]any {
	all := make(map[string]any, len(named))
	for name, v := range named {
		all[name] = v.Value
	}
	return all
}

func (p *Plan) addModule(m moduleJSON, unknown map[string]map[string]any) {
	for _, r := range m.Resources {
		if r.Mode == "managed" {
			p.Resources = append(p.Resources, &Resource{
				Address: r.Address, Module: m.Address, Type: r.Type, Values: r.Values, Unknown: unknown[r.Address],
			})
		}
	}
	for _, child := range m.Children {
		p.addModule(child, unknown)
	}
}

func (p *Plan) addConfig(module string, c configJSON) {
	for _, r := range c.Resources {
		p.expressions[module+r.Address] = r.Expressions
	}
	for name, call := range c.Calls {
		p.addConfig(module+"module."+name+".", call.Module)
	}
}

// Of returns the resources of some types, in the plan's order.
func (p *Plan) Of(types ...string) []*Resource {
	var found []*Resource
	for _, r := range p.Resources {
		for _, t := range types {
			if r.Type == t {
				found = append(found, r)
			}
		}
	}
	return found
}

// beside returns the resources of a type in r's instance of its module.
func (p *Plan) beside(r *Resource, kind string) []*Resource {
	var found []*Resource
	for _, other := range p.Of(kind) {
		if other.Module == r.Module {
			found = append(found, other)
		}
	}
	return found
}

var instanceKey = regexp.MustCompile(`\[[^\]]*\]`)

// references returns what a resource's attribute is made of, as addresses
// within its module: aws_iam_role.this.arn, aws_iam_role.this.
func (p *Plan) references(r *Resource, attribute string) []string {
	expression, _ := p.expressions[instanceKey.ReplaceAllString(r.Address, "")][attribute].(map[string]any)
	list, _ := expression["references"].([]any)
	var refs []string
	for _, ref := range list {
		if s, ok := ref.(string); ok {
			refs = append(refs, s)
		}
	}
	return refs
}

// at follows a path of attributes and list positions, such as
// "logging_config.0.log_group", and returns nil where it ends early.
func (r *Resource) at(path string) any { return follow(r.Values, path) }

func follow(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			var i int
			if _, err := fmt.Sscanf(key, "%d", &i); err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// each returns what is at the end of a path in which * is every position of a
// list: nil where it ends early, and nothing of an empty list.
func each(v any, path string) []any {
	before, after, more := strings.Cut(path, "*")
	before, after = strings.TrimSuffix(before, "."), strings.TrimPrefix(after, ".")
	if before != "" {
		v = follow(v, before)
	}
	if !more {
		return []any{v}
	}
	list, _ := v.([]any)
	var all []any
	for _, v := range list {
		if after == "" {
			all = append(all, v)
		} else {
			all = append(all, each(v, after)...)
		}
	}
	return all
}

// texts returns every text in a value, however deep.
func texts(v any) []string {
	switch x := v.(type) {
	case string:
		return []string{x}
	case []any:
		var all []string
		for _, e := range x {
			all = append(all, texts(e)...)
		}
		return all
	case map[string]any:
		var all []string
		for _, e := range x {
			all = append(all, texts(e)...)
		}
		return all
	}
	return nil
}

func (r *Resource) text(path string) string {
	s, _ := r.at(path).(string)
	return s
}

func (r *Resource) number(path string) float64 {
	n, _ := r.at(path).(float64)
	return n
}

func (r *Resource) yes(path string) bool {
	b, _ := r.at(path).(bool)
	return b
}

// given reports whether an attribute has a value, or will have one.
func (r *Resource) given(attribute string) bool {
	if v := r.Values[attribute]; v != nil && v != "" {
		return true
	}
	later, _ := r.Unknown[attribute].(bool)
	return later
}
