package terraformtest

import (
	"slices"
	"strings"
)

// serviceOf says which of Google's services what is called so belongs to: the
// first that it begins with.
var serviceOf = []struct{ kind, service string }{
	{"google_artifact_registry_", "artifactregistry"},
	{"google_bigquery_", "bigquery"},
	{"google_bigtable_", "bigtableadmin"},
	{"google_billing_budget", "billingbudgets"},
	{"google_certificate_manager_", "certificatemanager"},
	{"google_cloud_run_v2_", "run"},
	{"google_cloud_scheduler_", "cloudscheduler"},
	{"google_compute_", "compute"},
	{"google_dns_", "dns"},
	{"google_firestore_", "firestore"},
	{"google_iam_workload_identity_", "iam"},
	{"google_logging_", "logging"},
	{"google_monitoring_", "monitoring"},
	{"google_project_iam_custom_role", "iam"},
	{"google_project_iam_", "cloudresourcemanager"},
	{"google_project_service", ""}, // it is what turns on the others
	{"google_pubsub_", "pubsub"},
	{"google_secret_manager_", "secretmanager"},
	{"google_service_account", "iam"},
	{"google_storage_", "storage"},
	{"terraform_data", "cloudbuild"}, // which build.sh asks
}

// services finds those that are used and not turned on, without which the first
// apply in a new project ends, and those that are on for nothing.
func services(p *Plan) []Finding {
	var found []Finding
	used := map[string]bool{}
	for _, r := range p.Resources {
		i := slices.IndexFunc(serviceOf, func(s struct{ kind, service string }) bool { return strings.HasPrefix(r.Type, s.kind) })
		if i < 0 {
			found = append(found, finding(r, "nobody says which service it is of"))
			continue
		}
		used[serviceOf[i].service] = true
		switch r.Type { // what is done with it
		case "google_bigtable_table":
			used["bigtable"] = true
		case "google_iam_workload_identity_pool":
			used["sts"], used["iamcredentials"] = true, true
		}
	}
	on := map[string]bool{"": true}
	for _, r := range p.Of("google_project_service") {
		service := strings.TrimSuffix(r.text("service"), ".googleapis.com")
		on[service] = true
		if !used[service] {
			found = append(found, finding(r, "nothing uses %s", service))
		}
	}
	for service := range used {
		if !on[service] {
			found = append(found, Finding{"google_project_service.this", service + " is used, and not turned on"})
		}
	}
	return found
}
