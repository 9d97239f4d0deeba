package terraformtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/config"
)

// environments returns the variables that a plan gives to each function, by name;
// what is known only after apply is "?".
func environments(p *Plan, cloud string) map[string]map[string]string {
	name, _ := p.Variables["name"].(string)
	all := map[string]map[string]string{}
	for _, r := range p.Of("aws_lambda_function", "google_cloud_run_v2_service") {
		vars := map[string]string{}
		if cloud == "aws" {
			known, _ := r.at("environment.0.variables").(map[string]any)
			later, _ := follow(r.Unknown, "environment.0.variables").(map[string]any)
			for key, value := range known {
				vars[key], _ = value.(string)
			}
			for key := range later {
				vars[key] = "?"
			}
			all[strings.TrimPrefix(r.text("function_name"), name+"-")] = vars
			continue
		}
		list, _ := r.at("template.0.containers.0.env").([]any)
		for _, e := range list {
			key, _ := follow(e, "name").(string)
			value, known := follow(e, "value").(string)
			if !known {
				value = "?"
			}
			vars[key] = value
		}
		all[strings.TrimPrefix(r.text("name"), name+"-")] = vars
	}
	return all
}

// takesItsEnvironment finds variables that a function does not take, and lacks.
func takesItsEnvironment(t *testing.T, p *Plan, cloud string) {
	functions := environments(p, cloud)
	if len(functions) < 4 {
		t.Fatalf("only %d functions are found", len(functions))
	}
	for name, vars := range functions {
		name, worker := strings.CutSuffix(name, "-worker")
		if _, err := config.LoadFunction(cloud, name, func(variable string) (string, bool) {
			value, ok := vars[variable]
			return value, ok
		}); err != nil {
			t.Errorf("%s would not start: %v", name, err)
		}
		for key := range vars {
			taken := slices.ContainsFunc(config.FunctionVariables(), func(v config.Variable) bool {
				return v.Name == key && (v.Cloud == "" || v.Cloud == cloud) && slices.Contains(v.Functions, name)
			})
			if strings.HasPrefix(key, "HITO_") && !taken {
				t.Errorf("%s is given %s, which it does not take", name, key)
			}
		}
		if worker != (vars["HITO_SUBSCRIPTION"] != "") {
			t.Errorf("%s: a worker, and nothing else, pulls", name)
		}
	}
}
