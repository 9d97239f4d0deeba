package terraformtest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// installs are those whose plans are checked: together they have every
// resource that there can be.
var installs = map[string]string{
	"everything": `
region  = "eu-west-1"
tracing = true
edge = {
  kind   = "cloudfront"
  domain = { name = "t.shop.example", certificate = "arn:aws:acm:us-east-1:123456789012:certificate/abc", zone = "Z0123456789" }
}
archive = { archive_days = 10 }
notify  = { team = { address = "team@shop.example" } }
budget  = { monthly = 500, emails = ["team@shop.example"] }
`,
	"other": `
region         = "ap-northeast-1"
fan_out        = false
shards         = { raw = 2, enriched = 2 }
table_capacity = { read_min = 5, read_max = 50, write_min = 5, write_max = 50 }
encryption_key = "arn:aws:kms:ap-northeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
edge           = { kind = "api_gateway" }
archive        = {}
functions = {
  score = { canary = { stable_version = "3", weight = 0.1 } }
  profile = { warm_instances = 2, concurrency = 50 }
}
`,
}

// runbook reports whether there is a runbook, which the index leads to.
func runbook(t *testing.T) func(name string) bool {
	dir := filepath.Join(repository(t), "docs", "runbooks")
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name+".md"))
		return err == nil && bytes.Contains(index, []byte("("+name+".md)"))
	}
}

// TestPolicies plans installs, and finds nothing in them that must not be;
// then it plants a violation of every policy, which must be found.
func TestPolicies(t *testing.T) {
	w := newWorkspace(t)
	checks := Checks(runbook(t))
	for _, name := range []string{"everything", "other"} {
		if testing.Short() && name != "everything" {
			continue
		}
		shown := w.plan(t, name, installs[name])
		if bytes.Contains(shown, []byte(generatedKey)) {
			t.Errorf("%s: the plan shows a secret key", name)
		}
		plan, err := ParsePlan(shown)
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range checks {
			t.Run(name+"/"+check.Name, func(t *testing.T) {
				for _, f := range check.Run(plan) {
					t.Error(f)
				}
			})
		}
		if name == "everything" {
			t.Run("planted", func(t *testing.T) { planted(t, shown, checks) })
			t.Run("runbooks", func(t *testing.T) { runbooksAreUsed(t, plan) })
		}
	}
}

// runbooksAreUsed finds pages that no alarm leads to any more.
func runbooksAreUsed(t *testing.T, p *Plan) {
	pages, err := filepath.Glob(filepath.Join(repository(t), "docs", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{"README": true}
	for _, r := range p.Of("aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm") {
		if link := runbookLink.FindStringSubmatch(r.text("alarm_description")); link != nil {
			linked[link[1]] = true
		}
	}
	for _, page := range pages {
		if name := strings.TrimSuffix(filepath.Base(page), ".md"); !linked[name] {
			t.Errorf("no alarm leads to docs/runbooks/%s.md", name)
		}
	}
}

// TestRunbooksAreWhole: a page says what an alarm means, where to look, what to
// do, and when to wake somebody; in commands that name no install.
func TestRunbooksAreWhole(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(repository(t), "docs", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	installed := regexp.MustCompile(`\bhito-(raw|enriched|beacon|enrich|score|profile|actions)\b`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(page)
		if name == "README.md" {
			continue
		}
		for _, section := range []string{"# ", "## Look", "## Do", "## Wake"} {
			if !bytes.Contains(append([]byte("\n"), text...), []byte("\n"+section)) {
				t.Errorf("%s has no section %q", name, section)
			}
		}
		if !bytes.Contains(text, []byte("```sh\n")) {
			t.Errorf("%s has no commands", name)
		}
		if found := installed.Find(text); found != nil {
			t.Errorf("%s names %s, where an install may be called otherwise: write $HITO-…", name, found)
		}
	}
}
