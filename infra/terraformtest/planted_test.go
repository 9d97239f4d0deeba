package terraformtest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// violation is a change to a plan that a check must find.
type violation struct {
	check string
	// at is the address of the resource that must be found: it is changed, unless
	// of is that of another one. Empty for one that is added under added's address.
	at, of string
	what   string
	// alter changes the resource's values, or, of output.name, what holds the
	// output's value; nil takes the resource away.
	alter func(r map[string]any)
	added map[string]any
}

// set returns a change of one attribute; path as Resource.at takes it.
func set(path string, value any) func(map[string]any) {
	return func(values map[string]any) {
		keys := strings.Split(path, ".")
		var at any = values
		for _, key := range keys[:len(keys)-1] {
			at = follow(at, key)
		}
		at.(map[string]any)[keys[len(keys)-1]] = value
	}
}

// resource returns one of the root to add.
func resource(kind, name string, values map[string]any) map[string]any {
	return map[string]any{"address": kind + "." + name, "mode": "managed", "type": kind, "values": values}
}

// plant plants every violation, one at a time: its check must find it, and
// nothing else that it did not find before.
func plant(t *testing.T, shown []byte, checks []Check, violations []violation) {
	proved := map[string]bool{}
	unaltered, err := ParsePlan(shown)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Run(v.check+"/"+v.what, func(t *testing.T) {
			i := slices.IndexFunc(checks, func(c Check) bool { return c.Name == v.check })
			if i < 0 {
				t.Fatalf("there is no check %q", v.check)
			}
			proved[v.check] = true
			plan, want := v.plant(t, shown)
			before := checks[i].Run(unaltered)
			found := slices.DeleteFunc(checks[i].Run(plan), func(f Finding) bool { return slices.Contains(before, f) })
			if len(found) == 0 {
				t.Fatal("not found")
			}
			for _, f := range found {
				if f.Address != want {
					t.Errorf("found %s, want only %s", f, want)
				}
			}
		})
	}
	for _, check := range checks {
		if !proved[check.Name] {
			t.Errorf("nothing proves that %q finds anything", check.Name)
		}
	}
}

// plant returns the plan with the violation, and the address of what is wrong.
func (v violation) plant(t *testing.T, shown []byte) (*Plan, string) {
	t.Helper()
	var form map[string]any
	if err := json.Unmarshal(shown, &form); err != nil {
		t.Fatal(err)
	}
	planned := form["planned_values"].(map[string]any)
	root := planned["root_module"].(map[string]any)
	of, want := v.of, v.at
	if of == "" {
		of = v.at
	}
	output, isOutput := strings.CutPrefix(of, "output.")
	switch {
	case v.added != nil:
		resources, _ := root["resources"].([]any)
		root["resources"] = append(resources, v.added)
		want = v.added["address"].(string)
	case isOutput:
		v.alter(planned["outputs"].(map[string]any)[output].(map[string]any))
	case !change(root, of, v.alter):
		t.Fatalf("the plan has no %s to change", of)
	}
	altered, err := json.Marshal(form)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := ParsePlan(altered)
	if err != nil {
		t.Fatal(err)
	}
	return plan, want
}

// change changes a resource's values in a module of a plan, or takes it away,
// and reports whether it is there.
func change(module map[string]any, address string, alter func(map[string]any)) bool {
	resources, _ := module["resources"].([]any)
	for i, r := range resources {
		if r := r.(map[string]any); r["address"] == address {
			if alter == nil {
				module["resources"] = slices.Delete(resources, i, i+1)
			} else {
				alter(r["values"].(map[string]any))
			}
			return true
		}
	}
	children, _ := module["child_modules"].([]any)
	for _, c := range children {
		if change(c.(map[string]any), address, alter) {
			return true
		}
	}
	return false
}
