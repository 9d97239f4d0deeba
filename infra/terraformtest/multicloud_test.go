package terraformtest

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// multicloud are variables of an install on both clouds.
const multicloud = `
aws         = { account = "` + account + `", region = "eu-west-1", functions = { score = { memory_mb = 3008 } } }
gcp         = { account = "` + project + `", project_number = "` + projectNumber + `", region = "europe-west1", functions = { score = { concurrency = 500 } } }
domain      = { name = "t.shop.example", zone = "Z0123456789" }
weights     = { aws = 90, gcp = 10 }
secret_keys = { shop = ["` + secretKey + `"] }
notify      = { team = { address = "team@shop.example" } }
`

// alone are the variables that each cloud has alone to be the same.
var alone = map[string]string{
	"aws": `
region               = "eu-west-1"
secret_keys          = { shop = ["` + secretKey + `"] }
generate_secret_keys = false
notify               = { team = { address = "team@shop.example" } }
functions            = { score = { memory_mb = 3008 } }
edge                 = { kind = "cloudfront", domain = { name = "t.shop.example", certificate = "arn:aws:acm:us-east-1:123456789012:certificate/abc" } }
` + googlePeer,
	"gcp": `
region      = "europe-west1"
secret_keys = { shop = ["` + secretKey + `"] }
notify      = { team = { address = "team@shop.example" } }
functions   = { score = { concurrency = 500 } }
edge        = { kind = "load_balancer", domain = { name = "t.shop.example", certificate = "//certificatemanager.googleapis.com/projects/mycompany-web/locations/global/certificateMaps/hito" } }
` + awsPeer,
}

// within returns what of a plan is in a module, as if the module were the root.
func (p *Plan) within(module string) *Plan {
	inner := &Plan{Variables: p.Variables, Outputs: p.Outputs, expressions: map[string]map[string]any{}}
	for _, r := range p.Resources {
		if address, ok := strings.CutPrefix(r.Address, module+"."); ok {
			copied := *r
			copied.Address, copied.Module = address, strings.TrimPrefix(strings.TrimPrefix(r.Module, module), ".")
			inner.Resources = append(inner.Resources, &copied)
		}
	}
	for address, e := range p.expressions {
		if address, ok := strings.CutPrefix(address, module+"."); ok {
			inner.expressions[address] = e
		}
	}
	return inner
}

// twoClouds plans an install on both clouds: each half is what the cloud's own
// root makes when it is told of the other by strings, and what stands before both
// keeps to the same policies.
func twoClouds(t *testing.T) *Plan {
	w := newWorkspace(t, "multicloud")
	shown := w.plan(t, "both", multicloud)
	both, err := ParsePlan(shown)
	if err != nil {
		t.Fatal(err)
	}
	rest := &Plan{Variables: map[string]any{"account": account, "region": "us-east-1", "name": "hito"}, expressions: both.expressions}
	for _, r := range both.Resources {
		if !strings.HasPrefix(r.Address, "module.aws.") && !strings.HasPrefix(r.Address, "module.gcp.") {
			rest.Resources = append(rest.Resources, r)
		}
	}
	for _, check := range AWS(runbook(t)) {
		for _, f := range check.Run(rest) {
			t.Errorf("%s: %s", check.Name, f)
		}
	}

	weights := map[string]float64{}
	for _, r := range rest.Of("aws_route53_record") {
		if r.text("set_identifier") == "" {
			continue
		}
		weights[r.text("set_identifier")+" "+r.text("type")] = r.number("weighted_routing_policy.0.weight")
		if _, ok := r.Unknown["health_check_id"]; !ok || r.text("name") != "t.shop.example" {
			t.Errorf("%s: nobody looks whether what it leads to is there", r.Address)
		}
	}
	if want := map[string]float64{"aws A": 90, "aws AAAA": 90, "gcp A": 10, "gcp AAAA": 10}; !maps.Equal(weights, want) {
		t.Errorf("the weights are %v, want %v", weights, want)
	}

	// When one cloud is away the other can still be changed: what it needs of the
	// other are names, and the numbers of two service accounts.
	for cloud, needs := range map[string][]string{"aws": {"google_project_service.", "google_service_account.", "google_service_account_iam_member.push"}, "gcp": nil} {
		t.Run(cloud+" while the other is away", func(t *testing.T) {
			half, err := ParsePlan(w.plan(t, "half-"+cloud, multicloud, "-target=module."+cloud, "-refresh=false"))
			if err != nil {
				t.Fatal(err)
			}
			other := map[string]string{"aws": "module.gcp.", "gcp": "module.aws."}[cloud]
			for _, r := range half.Resources {
				if strings.HasPrefix(r.Address, other) && !slices.ContainsFunc(needs, func(part string) bool { return strings.Contains(r.Address, part) }) {
					t.Errorf("%s is needed for a change of %s", r.Address, cloud)
				}
			}
		})
	}

	for _, cloud := range []string{"aws", "gcp"} {
		t.Run("as "+cloud+" alone", func(t *testing.T) {
			plan, err := ParsePlan(newWorkspace(t, cloud).plan(t, "alone", alone[cloud]))
			if err != nil {
				t.Fatal(err)
			}
			sameResources(t, plan, both.within("module."+cloud))
		})
	}
	return both
}

// sameResources compares what two plans know.
func sameResources(t *testing.T, want, got *Plan) {
	t.Helper()
	index := func(p *Plan) map[string]*Resource {
		all := map[string]*Resource{}
		for _, r := range p.Resources {
			all[r.Address] = r
		}
		return all
	}
	w, g := index(want), index(got)
	if a, b := slices.Sorted(maps.Keys(w)), slices.Sorted(maps.Keys(g)); !slices.Equal(a, b) {
		t.Fatalf("there is\n%v\nand in both clouds' install\n%v", a, b)
	}
	compared := 0
	for address, r := range w {
		for attribute, value := range r.Values {
			other, known := g[address].Values[attribute]
			if !known || g[address].Unknown[attribute] != nil && !reflect.DeepEqual(g[address].Unknown[attribute], r.Unknown[attribute]) {
				continue // it is made of what the other cloud says once it is there
			}
			if path, ok := value.(string); ok && strings.HasSuffix(path, ".zip") {
				copied, _ := other.(string)
				value, other = last(path), last(copied) // each plan has a folder of its own
			}
			if compared++; !reflect.DeepEqual(other, value) {
				t.Errorf("%s: %s is %v, and in both clouds' install %v", address, attribute, value, other)
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d values were compared", compared)
	}
}
