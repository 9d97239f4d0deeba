package terraformtest

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// keyed says where the key stands of what can have one.
var keyed = map[string]string{
	"google_artifact_registry_repository": "kms_key_name",
	"google_bigquery_dataset":             "default_encryption_configuration.0.kms_key_name",
	"google_bigquery_table":               "encryption_configuration.0.kms_key_name",
	"google_bigtable_instance":            "cluster.*.kms_key_name",
	"google_cloud_run_v2_service":         "template.0.encryption_key",
	"google_firestore_database":           "cmek_config.0.kms_key_name",
	"google_pubsub_topic":                 "kms_key_name",
	"google_secret_manager_secret":        "replication.0.user_managed.0.replicas.*.customer_managed_encryption.0.kms_key_name",
	"google_storage_bucket":               "encryption.0.default_kms_key_name",
}

// keyless can have a key, and need none.
var keyless = map[string]string{
	"google_storage_bucket_object": "it has its bucket's",
}

var keyName = regexp.MustCompile(`kms_key|crypto_key|^encryption_key`)

// ownKeys finds what is not encrypted with the install's own key, if it has one.
func ownKeys(p *Plan, schemas Schemas) []Finding {
	key, given := p.Variables["encryption_key"].(string)
	if !given {
		return nil
	}
	var found []Finding
	for _, r := range p.Resources {
		path, known := keyed[r.Type]
		if !known {
			if keyless[r.Type] == "" && schemas[r.Type].can(keyName.MatchString) {
				found = append(found, finding(r, "it can have a key, and nobody says where"))
			}
			continue
		}
		keys := each(r.Values, path)
		if len(keys) == 0 || slices.ContainsFunc(keys, func(v any) bool { return v != key }) {
			found = append(found, finding(r, "%s is %v: it is not encrypted with the install's own key", path, keys))
		}
	}
	return found
}

// closedBuckets finds buckets that are public, or could be made so.
func closedBuckets(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("google_storage_bucket") {
		if !r.yes("uniform_bucket_level_access") {
			found = append(found, finding(r, "its objects can have rights of their own"))
		}
		if r.text("public_access_prevention") != "enforced" {
			found = append(found, finding(r, "everybody could be given rights"))
		}
		if follow(r.Values, "website.0") != nil {
			found = append(found, finding(r, "a bucket is no web site"))
		}
	}
	for _, r := range p.Of("google_storage_bucket_acl", "google_storage_default_object_acl", "google_storage_object_acl", "google_storage_bucket_access_control", "google_storage_default_object_access_control", "google_storage_object_access_control") {
		found = append(found, finding(r, "a bucket has no ACLs"))
	}
	return found
}

// shownSecrets finds the projects' secret keys where they would be kept: in the
// state, which has all attributes but those that are only written, and all outputs.
func shownSecrets(p *Plan) []Finding {
	var found []Finding
	secrets := texts(p.Variables["secret_keys"])
	shown := func(v any) bool {
		return slices.ContainsFunc(texts(v), func(text string) bool {
			return slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(text, secret) })
		})
	}
	for _, r := range p.Resources {
		for attribute, v := range r.Values {
			if !strings.HasSuffix(attribute, "_wo") && shown(v) {
				found = append(found, finding(r, "%s holds a secret key", attribute))
			}
		}
		if r.Type == "google_secret_manager_secret_version" && r.given("secret_data") {
			found = append(found, finding(r, "the state has secret_data: use secret_data_wo"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Outputs)) {
		if shown(p.Outputs[name]) {
			found = append(found, Finding{"output." + name, "it shows a secret key"})
		}
	}
	return found
}

// Replaceable is what anybody who has the code can make anew: packages.
var Replaceable = []string{"module.source"}

// deletable finds what a destroy would take with it, unless the install gave
// its protection up.
func deletable(p *Plan) []Finding {
	if p.Variables["deletion_protection"] == false {
		return nil
	}
	var found []Finding
	protected := func(ok bool, r *Resource) {
		if !ok {
			found = append(found, finding(r, "what is in it can be deleted by mistake"))
		}
	}
	for _, r := range p.Resources {
		switch r.Type {
		case "google_bigtable_instance":
			protected(r.yes("deletion_protection") && !r.yes("force_destroy"), r)
		case "google_bigtable_table":
			protected(r.text("deletion_protection") == "PROTECTED", r)
		case "google_firestore_database":
			protected(r.text("delete_protection_state") == "DELETE_PROTECTION_ENABLED", r)
		case "google_bigquery_dataset":
			protected(!r.yes("delete_contents_on_destroy"), r)
		case "google_bigquery_table", "google_secret_manager_secret":
			protected(r.yes("deletion_protection"), r)
		case "google_storage_bucket":
			protected(!r.yes("force_destroy") || slices.Contains(Replaceable, r.Module), r)
		}
	}
	return found
}

// backedUp finds tables that nobody copies, and buckets that keep no old versions.
func backedUp(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("google_bigtable_table") {
		if r.text("automated_backup_policy.0.retention_period") == "" {
			found = append(found, finding(r, "the table has no backups"))
		}
	}
	for _, r := range p.Of("google_firestore_database") {
		if r.text("point_in_time_recovery_enablement") != "POINT_IN_TIME_RECOVERY_ENABLED" {
			found = append(found, finding(r, "what is overwritten in the database is lost"))
		}
	}
	for _, r := range p.Of("google_storage_bucket") {
		if !r.yes("versioning.0.enabled") && !slices.Contains(Replaceable, r.Module) {
			found = append(found, finding(r, "what is overwritten in the bucket is lost"))
		}
	}
	return found
}

// labelled finds what does not say which install it belongs to.
func labelled(p *Plan, schemas Schemas) []Finding {
	var found []Finding
	for _, r := range p.Resources {
		// Some have labels that mean something else.
		for _, attribute := range []string{"user_labels", "labels"} {
			a := schemas[r.Type].Attributes[attribute]
			if !a.Optional && !a.Required {
				continue
			}
			if name, _ := p.Variables["name"].(string); name == "" || r.text(attribute+".install") != name {
				found = append(found, finding(r, "its %s do not say of which install it is", attribute))
			}
			break
		}
	}
	return found
}
