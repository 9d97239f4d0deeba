package terraformtest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// googlePeer and awsPeer are what each cloud tells the other.
const (
	googlePeer = `
peer = {
  streams = { raw = "projects/mycompany-web/topics/hito-raw", enriched = "projects/mycompany-web/topics/hito-enriched" }
  identities = {
    beacon = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/hito-peer/providers/aws#hito-peer-beacon@mycompany-web.iam.gserviceaccount.com"
    relay  = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/hito-peer/providers/aws#hito-peer-relay@mycompany-web.iam.gserviceaccount.com"
  }
  callers = { beacon = "100000000000000000001", relay = "100000000000000000002" }
}
`
	awsPeer = `
peer = {
  streams    = { raw = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-raw", enriched = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched" }
  identities = { beacon = "arn:aws:iam::123456789012:role/hito-peer-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-peer-relay-eu-west-1" }
  callers    = { beacon = "arn:aws:iam::123456789012:role/hito-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-relay-eu-west-1" }
}
`
)

// installs are those whose plans are checked, by cloud: together they have every
// resource that there can be.
var installs = map[string]map[string]string{"aws": {
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
` + googlePeer,
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
}, "gcp": {
	"everything": `
region         = "europe-west1"
encryption_key = "projects/mycompany-keys/locations/europe-west1/keyRings/hito/cryptoKeys/data"
secret_keys    = { shop = ["` + secretKey + `"] }
edge = {
  kind   = "load_balancer"
  domain = { name = "t.shop.example", zone = "shop" }
}
archive = {}
notify  = { team = { address = "team@shop.example" }, chat = { protocol = "pubsub", address = "projects/mycompany-web/topics/alerts" } }
budget  = { billing_account = "01AB23-45CD67-89EF01", monthly = 500, emails = ["team@shop.example"] }
functions = {
  enrich = { image = "europe-west1-docker.pkg.dev/mycompany-web/hito/enrich:1", workers = 2 }
}
` + awsPeer,
	"other": `
region         = "asia-northeast1"
name           = "hito2"
secret_keys    = { shop = ["` + secretKey + `"] }
table_capacity = { min_nodes = 3, max_nodes = 30 }
functions = {
  score = { canary = { stable_version = "hito2-score-00007-abc", weight = 0.1 } }
  profile = { warm_instances = 2, concurrency = 160 }
}
`,
	"documents": `
region         = "us-central1"
store          = "firestore"
encryption_key = "projects/mycompany-keys/locations/us-central1/keyRings/hito/cryptoKeys/data"
secret_keys    = { shop = ["` + secretKey + `"] }
`,
}}

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
	linked := map[string]bool{"README": true} // pages that alarms lead to
	looked := 0                               // installs whose alarms these are
	for cloud, planted := range map[string][]violation{"aws": awsViolations, "gcp": gcpViolations} {
		t.Run(cloud, func(t *testing.T) {
			w := newWorkspace(t, cloud)
			checks := AWS(runbook(t))
			if cloud == "gcp" {
				checks = GCP(w.schemas(t, "google"), runbook(t))
			}
			for _, name := range []string{"everything", "other", "documents"} {
				if installs[cloud][name] == "" {
					continue
				}
				if testing.Short() && name != "everything" {
					continue
				}
				shown := w.plan(t, name, installs[cloud][name])
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
				if cloud == "aws" && bytes.Contains(shown, []byte(secretKey)) {
					t.Errorf("%s: the plan shows a secret key", name)
				}
				t.Run(name+"/environment", func(t *testing.T) { takesItsEnvironment(t, plan, cloud) })
				if cloud == "gcp" {
					t.Run(name+"/grants", func(t *testing.T) { sameGrants(t, plan, name) })
					t.Run(name+"/metrics", func(t *testing.T) { measured(t, plan) })
					t.Run(name+"/alarms", func(t *testing.T) { alarmsRing(t, plan, name) })
					if len(plan.Of("google_bigtable_table")) > 0 {
						t.Run(name+"/families", func(t *testing.T) { sameFamilies(t, shown) })
					}
					if name == "everything" {
						t.Run("runbooks", func(t *testing.T) { namesThere(t, plan) })
					}
				}
				if name == "everything" {
					t.Run("planted", func(t *testing.T) { plant(t, shown, checks, planted) })
					linkedBy(plan, linked)
					looked++
				}
			}
		})
	}
	t.Run("multicloud", func(t *testing.T) {
		linkedBy(twoClouds(t), linked)
		looked++
	})
	pages, err := filepath.Glob(filepath.Join(repository(t), "docs", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if name := strings.TrimSuffix(filepath.Base(page), ".md"); looked == len(installs)+1 && !linked[name] {
			t.Errorf("no alarm leads to docs/runbooks/%s.md", name)
		}
	}
}

// linkedBy adds the pages that a plan's alarms lead to.
func linkedBy(p *Plan, linked map[string]bool) {
	for _, r := range p.Of("aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm", "google_monitoring_alert_policy") {
		for _, text := range []string{r.text("alarm_description"), r.text("documentation.0.content")} {
			if link := runbookLink.FindStringSubmatch(text); link != nil {
				linked[link[1]] = true
			}
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
