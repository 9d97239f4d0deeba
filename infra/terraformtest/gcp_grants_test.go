package terraformtest

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// rights are all that anybody has in an install, by whom: what each function's
// service account may do, and what others may. There is no emulator of IAM: so
// whoever gives a new right looks at it here.
var rights = map[string][]string{
	"beacon": {
		"projects/mycompany-web/roles/hito_open on bigtable_instance hito-table",
		"roles/bigtable.user on bigtable_table hito-table/hito",
		"roles/pubsub.publisher on pubsub_topic hito-raw",
		"roles/storage.objectViewer on storage_bucket hito-projects-mycompany-web",
	},
	"enrich": {
		"projects/mycompany-web/roles/hito_open on bigtable_instance hito-table",
		"roles/bigtable.user on bigtable_table hito-table/hito",
		"roles/pubsub.publisher on pubsub_topic hito-enriched",
		"roles/storage.objectViewer on storage_bucket hito-projects-mycompany-web",
	},
	"score": {
		"projects/mycompany-web/roles/hito_open on bigtable_instance hito-table",
		"roles/bigtable.user on bigtable_table hito-table/hito",
		"roles/pubsub.publisher on pubsub_topic hito-actions",
		`roles/storage.objectUser on storage_bucket hito-projects-mycompany-web if resource.name.startsWith("projects/_/buckets/hito-projects-mycompany-web/objects/lastgood/")`,
		"roles/storage.objectViewer on storage_bucket hito-projects-mycompany-web",
	},
	"profile": {
		"projects/mycompany-web/roles/hito_open on bigtable_instance hito-table",
		"roles/bigtable.reader on bigtable_table hito-table/hito",
		"roles/pubsub.publisher on pubsub_topic hito-raw", // erasures
		"roles/secretmanager.secretAccessor on secret_manager_secret hito-keys",
		"roles/storage.objectViewer on storage_bucket hito-projects-mycompany-web",
	},
	"push": {
		"roles/run.invoker on cloud_run_v2_service hito-enrich",
		"roles/run.invoker on cloud_run_v2_service hito-score",
	},
	"build": {
		"roles/artifactregistry.writer on artifact_registry_repository hito",
		"roles/logging.logWriter on project",
		"roles/storage.objectViewer on storage_bucket hito-source-mycompany-web",
	},
	"everybody": {
		"roles/run.invoker on cloud_run_v2_service hito-beacon",
		"roles/run.invoker on cloud_run_v2_service hito-profile",
	},
	// Tokens of the push account, and dead letters.
	"Pub/Sub": {
		"roles/iam.serviceAccountOpenIdTokenCreator on service_account hito-push@mycompany-web.iam.gserviceaccount.com",
		"roles/pubsub.publisher on pubsub_topic hito-actions-dead",
		"roles/pubsub.publisher on pubsub_topic hito-enrich-dead",
		"roles/pubsub.publisher on pubsub_topic hito-enrich-parked",
		"roles/pubsub.publisher on pubsub_topic hito-score-dead",
		"roles/pubsub.publisher on pubsub_topic hito-score-parked",
		"roles/pubsub.subscriber on pubsub_subscription hito-actions",
		"roles/pubsub.subscriber on pubsub_subscription hito-enrich-dead",
		"roles/pubsub.subscriber on pubsub_subscription hito-enriched-score",
		"roles/pubsub.subscriber on pubsub_subscription hito-raw-enrich",
		"roles/pubsub.subscriber on pubsub_subscription hito-score-dead",
	},
}

const pool = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/hito-peer/attribute.aws_role/arn:aws:sts::123456789012:assumed-role/"

// moreRights are what an install with another cloud, an archive, workers of enrich, and alarms
// that go to a topic, has besides.
var moreRights = map[string][]string{
	// The other cloud's functions, and who can be them.
	"peer-beacon":                  {"roles/pubsub.publisher on pubsub_topic hito-raw"},
	"peer-relay":                   {"roles/pubsub.publisher on pubsub_topic hito-enriched"},
	pool + "hito-beacon-eu-west-1": {"roles/iam.workloadIdentityUser on service_account hito-peer-beacon@mycompany-web.iam.gserviceaccount.com"},
	pool + "hito-relay-eu-west-1":  {"roles/iam.workloadIdentityUser on service_account hito-peer-relay@mycompany-web.iam.gserviceaccount.com"},
	"score":                        {"roles/pubsub.publisher on pubsub_topic hito-enriched"}, // for relay
	"push":                         {"roles/run.invoker on cloud_run_v2_service hito-relay"},
	"serviceAccount:service-" + projectNumber + "@gcp-sa-monitoring-notification.iam.gserviceaccount.com": {
		"roles/pubsub.publisher on pubsub_topic alerts",
	},
	"enrich": {
		"roles/pubsub.publisher on pubsub_topic hito-rows",
		"roles/pubsub.subscriber on pubsub_subscription hito-raw-enrich",
	},
	"Pub/Sub": {
		"roles/bigquery.dataEditor on bigquery_table hito_archive/events",
		"roles/pubsub.publisher on pubsub_topic hito-archive-dead",
		"roles/pubsub.subscriber on pubsub_subscription hito-archive",
	},
}

// sameGrants compares a plan's rights with these.
func sameGrants(t *testing.T, p *Plan, install string) {
	name, _ := p.Variables["name"].(string)
	want := maps.Clone(rights)
	if install == "everything" {
		for who, more := range moreRights {
			want[who] = slices.Sorted(slices.Values(slices.Concat(want[who], more)))
		}
	}
	if install == "documents" {
		for who := range want {
			want[who] = slices.DeleteFunc(slices.Clone(want[who]), func(right string) bool { return strings.Contains(right, "bigtable_instance") })
			for i, right := range want[who] {
				right = strings.Replace(right, " on bigtable_table hito-table/hito", ` on project if resource.name == "projects/mycompany-web/databases/hito-table"`, 1)
				want[who][i] = strings.NewReplacer("bigtable.user", "datastore.user", "bigtable.reader", "datastore.viewer").Replace(right)
			}
		}
	}
	got := granted(p, name)
	for who := range want {
		for _, right := range want[who] {
			if !slices.Contains(got[who], right) {
				t.Errorf("%s has not %s", who, right)
			}
		}
	}
	for who := range got {
		for _, right := range got[who] {
			if !slices.Contains(want[who], right) {
				t.Errorf("%s has %s: is it needed?", who, right)
			}
		}
		if len(got[who]) > len(want[who]) {
			t.Errorf("%s has a right twice", who)
		}
	}

	t.Run("planted", func(t *testing.T) {
		p.Resources = append(p.Resources, &Resource{Type: "google_pubsub_topic_iam_member", Values: map[string]any{
			"topic": "hito-actions", "role": "roles/pubsub.publisher", "member": "serviceAccount:" + name + "-profile@" + project + ".iam.gserviceaccount.com",
		}})
		defer func() { p.Resources = p.Resources[:len(p.Resources)-1] }()
		if more := granted(p, name)["profile"]; len(more) != len(want["profile"])+1 || !slices.Contains(more, "roles/pubsub.publisher on pubsub_topic hito-actions") {
			t.Errorf("with a right more, profile has %v", more)
		}
	})
}

// granted returns who has what in a plan, as if the install were called hito.
func granted(p *Plan, install string) map[string][]string {
	got := map[string][]string{}
	for _, g := range p.grants() {
		who, _ := strings.CutSuffix(strings.TrimPrefix(g.member, "serviceAccount:"+install+"-"), "@"+project+".iam.gserviceaccount.com")
		switch who {
		case "allUsers":
			who = "everybody"
		case "serviceAccount:service-" + projectNumber + "@gcp-sa-pubsub.iam.gserviceaccount.com":
			who = "Pub/Sub"
		}
		right := g.role + " on " + g.kind
		if g.on != "" {
			right += " " + g.on
		}
		if g.condition != "" {
			right += " if " + g.condition
		}
		if install != "hito" {
			right = strings.ReplaceAll(right, install, "hito")
		}
		got[who] = append(got[who], right)
	}
	return got
}

// TestOtherGrants: rights that no check can read are none to give.
func TestOtherGrants(t *testing.T) {
	for kind, want := range map[string]int{
		"google_bigquery_dataset_access": 1, "google_storage_bucket_access_control": 1, "google_storage_default_object_acl": 1, "google_bigquery_dataset": 0,
	} {
		p := &Plan{Resources: []*Resource{{Type: kind, Values: map[string]any{"special_group": "allAuthenticatedUsers"}}}}
		if got := unknownGrants(p); len(got) != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
