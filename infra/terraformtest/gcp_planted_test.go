package terraformtest

const (
	scoreRun  = "module.score.google_cloud_run_v2_service.this"
	scoreTo   = `module.score.google_pubsub_subscription.stream["enriched"]`
	scoreDead = "module.score.google_pubsub_subscription.dead[0]"
	scoreBook = `module.score.google_bigtable_table_iam_member.this["FoldProfiles"]`
	scoreOpen = `module.score.google_bigtable_instance_iam_member.this["OpenTable"]`
	opener    = "module.table[0].google_project_iam_custom_role.open"
	scorePub  = `module.score.google_pubsub_topic_iam_member.this["PublishActions"]`
	sweep     = `module.score.google_cloud_scheduler_job.this["sweep"]`
	balancer  = `module.edge.google_compute_backend_service.this["beacon"]`
	relayFrom = `module.relay[0].google_pubsub_subscription.stream["enriched"]`

	federatedCheck = "only the other cloud's functions are let in, each to one topic"
	peerProvider   = "module.peer[0].google_iam_workload_identity_pool_provider.this"
	peerMember     = `module.peer[0].google_service_account_iam_member.this["beacon"]`
	peerTopic      = `module.peer[0].google_pubsub_topic_iam_member.this["beacon"]`

	somebody = "serviceAccount:hito-score@mycompany-web.iam.gserviceaccount.com"
)

// gcpViolations are those of Google Cloud's policies.
var gcpViolations = []violation{
	{check: "every service that is used is on, and no other", at: "google_project_service.this", of: `google_project_service.this["cloudresourcemanager"]`, what: "off"},
	{check: "every service that is used is on, and no other", at: "google_project_service.this", of: `google_project_service.this["dns"]`, what: "off, with a zone"},
	{check: "every service that is used is on, and no other", what: "unused", added: resource("google_project_service", "translate", map[string]any{"service": "translate.googleapis.com"})},
	{check: "every service that is used is on, and no other", what: "of unknown use", added: resource("google_redis_instance", "cache", map[string]any{"name": "cache"})},
	{check: "grants are known", at: scoreBook, what: "unknown role", alter: func(v map[string]any) { delete(v, "role") }},
	{check: "grants are known", at: scoreBook, what: "unknown member", alter: func(v map[string]any) { delete(v, "member") }},
	{check: "grants are known", at: scorePub, what: "on what", alter: func(v map[string]any) { delete(v, "topic") }},
	{check: "grants are known", what: "unknown policy", added: resource("google_pubsub_topic_iam_policy", "all", map[string]any{"topic": "hito-raw"})},
	{check: "no role is basic, or an administrator's", what: "owner", added: resource("google_project_iam_member", "owner", map[string]any{"project": project, "role": "roles/owner", "member": somebody})},
	{check: "no role is basic, or an administrator's", what: "editor, by binding", added: resource("google_project_iam_binding", "editor", map[string]any{"project": project, "role": "roles/editor", "members": []string{somebody}})},
	{
		check: "no role is basic, or an administrator's", what: "viewer, by policy",
		added: resource("google_project_iam_policy", "viewer", map[string]any{"project": project, "policy_data": `{"bindings":[{"role":"roles/viewer","members":["` + somebody + `"]}]}`}),
	},
	{check: "no role is basic, or an administrator's", at: scoreBook, what: "admin", alter: set("role", "roles/bigtable.admin")},
	{check: "no role is basic, or an administrator's", at: `module.score.google_storage_bucket_iam_member.this["KeepLastGood"]`, what: "object admin", alter: set("role", "roles/storage.objectAdmin")},

	{check: "roles of its own are as narrow", at: opener, what: "writes", alter: set("permissions", []any{"bigtable.instances.ping", "bigtable.tables.mutateRows"})},
	{check: "roles of its own are as narrow", at: opener, what: "unknown", alter: set("permissions", nil)},
	{check: "who may use a table may open it", at: scoreBook, of: scoreOpen, what: "not the instance"},
	{check: "who may use a table may open it", at: scoreBook, of: scoreOpen, what: "another instance", alter: set("instance", "other-table")},

	{check: "no principal is everybody", at: scorePub, what: "allUsers", alter: set("member", "allUsers")},
	{check: "no principal is everybody", at: scorePub, what: "allAuthenticatedUsers", alter: set("member", "allAuthenticatedUsers")},
	{check: "no principal is everybody", at: scorePub, what: "who edits", alter: set("member", "projectEditor:mycompany-web")},
	{check: "no principal is everybody", at: scorePub, what: "a whole pool", alter: set("member", "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/*")},
	{check: "no principal is everybody", at: `module.score.google_cloud_run_v2_service_iam_member.invoker["push"]`, what: "score", alter: set("member", "allUsers")},
	{check: "no principal is everybody", at: `module.beacon.google_cloud_run_v2_service_iam_member.invoker["public"]`, what: "more than to call", alter: set("role", "roles/run.developer")},
	{check: "no principal is everybody", at: scoreRun, what: "no invoker asked for", alter: set("invoker_iam_disabled", true)},
	{
		check: "no principal is everybody", what: "by policy",
		added: resource("google_storage_bucket_iam_policy", "open", map[string]any{"bucket": "b", "policy_data": `{"bindings":[{"role":"roles/storage.objectViewer","members":["allUsers"]}]}`}),
	},

	{check: "every right is on one thing, and takes away nobody else's", what: "every database", added: resource("google_project_iam_member", "documents", map[string]any{"project": project, "role": "roles/datastore.user", "member": somebody})},
	{
		check: "every right is on one thing, and takes away nobody else's", what: "some databases",
		added: resource("google_project_iam_member", "documents", map[string]any{"project": project, "role": "roles/datastore.user", "member": somebody, "condition": []any{map[string]any{"expression": `resource.name.startsWith("projects/mycompany-web/databases/")`}}}),
	},
	{check: "every right is on one thing, and takes away nobody else's", what: "project", added: resource("google_project_iam_member", "all", map[string]any{"project": project, "role": "roles/pubsub.publisher", "member": somebody})},
	{check: "every right is on one thing, and takes away nobody else's", what: "folder", added: resource("google_folder_iam_member", "all", map[string]any{"folder": "folders/1", "role": "roles/pubsub.publisher", "member": somebody})},
	{check: "every right is on one thing, and takes away nobody else's", what: "binding", added: resource("google_pubsub_topic_iam_binding", "all", map[string]any{"topic": "hito-raw", "role": "roles/pubsub.publisher", "members": []string{somebody}})},
	{check: "every right is on one thing, and takes away nobody else's", what: "policy", added: resource("google_pubsub_topic_iam_policy", "all", map[string]any{"topic": "hito-raw", "policy_data": "{}"})},
	{check: "grants are known", what: "a dataset's", added: resource("google_bigquery_dataset_access", "all", map[string]any{"dataset_id": "hito_archive", "role": "READER", "special_group": "allAuthenticatedUsers"})},
	{check: "grants are known", what: "a bucket's", added: resource("google_storage_bucket_access_control", "all", map[string]any{"bucket": "hito-projects-mycompany-web", "role": "READER", "entity": "allUsers"})},
	{check: "nobody reads the archive by being in the project", at: "module.archive[0].google_bigquery_dataset.this", what: "viewers", alter: set("access", []any{})},
	{check: "nobody reads the archive by being in the project", at: "module.archive[0].google_bigquery_dataset.this", what: "everybody", alter: set("access", []any{map[string]any{"role": "READER", "special_group": "allAuthenticatedUsers"}})},

	{check: "no account has a key", what: "JSON", added: resource("google_service_account_key", "score", map[string]any{"service_account_id": "hito-score"})},
	{check: "no account has a key", what: "HMAC", added: resource("google_storage_hmac_key", "score", map[string]any{"service_account_email": "hito-score"})},

	{check: "every function has an account of its own", at: scoreRun, what: "none", alter: func(v map[string]any) { delete(follow(v, "template.0").(map[string]any), "service_account") }},
	{check: "every function has an account of its own", at: scoreRun, what: "another's", alter: set("template.0.service_account", "hito-enrich@mycompany-web.iam.gserviceaccount.com")},
	{check: "every function has an account of its own", at: "module.enrich.google_cloud_run_v2_service.worker[0]", what: "a worker", alter: set("template.0.service_account", "hito-score@mycompany-web.iam.gserviceaccount.com")},
	{check: "every function has an account of its own", what: "a job", added: resource("google_cloud_run_v2_job", "more", map[string]any{"name": "more"})},
	{
		check: "every function has an account of its own", what: "whoever can be it",
		added: resource("google_service_account_iam_member", "score", map[string]any{
			"service_account_id": "projects/mycompany-web/serviceAccounts/hito-score@mycompany-web.iam.gserviceaccount.com", "role": "roles/iam.serviceAccountUser", "member": "user:mallory@shop.example",
		}),
	},

	{check: "no account is Google's default", at: scoreRun, what: "function", alter: set("template.0.service_account", "123456789012-compute@developer.gserviceaccount.com")},
	{check: "no account is Google's default", at: scoreBook, what: "grant", alter: set("member", "serviceAccount:mycompany-web@appspot.gserviceaccount.com")},
	{check: "no account is Google's default", at: scoreRun, what: "build", alter: set("build_config.0.service_account", nil)},

	{check: federatedCheck, at: peerProvider, what: "everybody of the account", alter: set("attribute_condition", nil)},
	{check: federatedCheck, at: peerProvider, what: "a third role", alter: set("attribute_condition", "attribute.aws_role in ['arn:aws:sts::123456789012:assumed-role/hito-beacon-eu-west-1', 'arn:aws:sts::123456789012:assumed-role/hito-relay-eu-west-1', 'arn:aws:sts::123456789012:assumed-role/admin']")},
	{check: federatedCheck, at: peerProvider, what: "another account", alter: set("aws.0.account_id", "210987654321")},
	{check: federatedCheck, at: peerProvider, what: "any issuer", alter: set("oidc", []any{map[string]any{"issuer_uri": "https://token.actions.githubusercontent.com"}})},
	{check: federatedCheck, at: peerProvider, what: "a role by another name", alter: func(v map[string]any) {
		v["attribute_mapping"].(map[string]any)["attribute.aws_role"] = "assertion.userid"
	}},
	{check: federatedCheck, at: "module.peer[0].google_iam_workload_identity_pool.this", of: peerProvider, what: "no provider"},
	{check: federatedCheck, at: peerMember, what: "the whole pool", alter: set("member", "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/hito-peer/*")},
	{check: federatedCheck, at: peerMember, what: "the whole account", alter: set("member", "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/hito-peer/attribute.account/123456789012")},
	{check: federatedCheck, at: peerMember, what: "the other role", alter: set("member", "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/hito-peer/attribute.aws_role/arn:aws:sts::123456789012:assumed-role/hito-relay-eu-west-1")},
	{check: federatedCheck, at: peerMember, what: "another pool", alter: set("member", "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/hito-peer/attribute.aws_role/arn:aws:sts::123456789012:assumed-role/hito-beacon-eu-west-1")},
	{check: federatedCheck, at: peerMember, what: "tokens of it", alter: set("role", "roles/iam.serviceAccountTokenCreator")},
	{check: federatedCheck, at: peerMember, what: "score's account", alter: set("service_account_id", "projects/mycompany-web/serviceAccounts/hito-score@mycompany-web.iam.gserviceaccount.com")},
	{check: federatedCheck, at: peerTopic, what: "the other topic", alter: set("topic", "projects/mycompany-web/topics/hito-enriched")},
	{check: federatedCheck, at: peerTopic, what: "to read", alter: set("role", "roles/pubsub.editor")},
	{check: federatedCheck, at: scorePub, what: "score's right", alter: set("member", "serviceAccount:hito-peer-beacon@mycompany-web.iam.gserviceaccount.com")},
	{check: federatedCheck, what: "past the account", added: resource("google_pubsub_topic_iam_member", "direct", map[string]any{"topic": "hito-raw", "role": "roles/pubsub.publisher", "member": "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/hito-peer/attribute.aws_role/x"})},

	{check: "only public functions have public addresses", at: scoreRun, what: "score", alter: set("ingress", "INGRESS_TRAFFIC_ALL")},
	{check: "only public functions have public addresses", at: scoreRun, what: "by default", alter: set("ingress", nil)},

	{check: "everything is encrypted with the install's own key", at: "module.raw.google_pubsub_topic.this", what: "topic", alter: set("kms_key_name", nil)},
	{check: "everything is encrypted with the install's own key", at: "module.score.google_pubsub_topic.dead[0]", what: "another's", alter: set("kms_key_name", "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k")},
	{check: "everything is encrypted with the install's own key", at: "module.projects.google_storage_bucket.this", what: "bucket", alter: set("encryption", []any{})},
	{check: "everything is encrypted with the install's own key", at: "module.table[0].google_bigtable_instance.this", what: "instance", alter: set("cluster.0.kms_key_name", nil)},
	{check: "everything is encrypted with the install's own key", at: "module.table[0].google_bigtable_instance.this", what: "no cluster", alter: set("cluster", []any{})},
	{check: "everything is encrypted with the install's own key", what: "documents", added: resource("google_firestore_database", "all", map[string]any{"name": "documents"})},
	{check: "everything is encrypted with the install's own key", at: "module.archive[0].google_bigquery_dataset.this", what: "dataset", alter: set("default_encryption_configuration", []any{})},
	{check: "everything is encrypted with the install's own key", at: "module.archive[0].google_bigquery_table.this", what: "table", alter: set("encryption_configuration", []any{})},
	{check: "everything is encrypted with the install's own key", at: "module.secret.google_secret_manager_secret.this", what: "secret", alter: set("replication.0.user_managed.0.replicas.0.customer_managed_encryption", []any{})},
	{check: "everything is encrypted with the install's own key", at: "module.secret.google_secret_manager_secret.this", what: "secret anywhere", alter: set("replication", []any{map[string]any{"auto": []any{map[string]any{}}}})},
	{check: "everything is encrypted with the install's own key", at: "google_artifact_registry_repository.this", what: "images", alter: set("kms_key_name", nil)},
	{check: "everything is encrypted with the install's own key", at: scoreRun, what: "function", alter: set("template.0.encryption_key", nil)},
	{check: "everything is encrypted with the install's own key", what: "something new", added: resource("google_logging_project_bucket_config", "new", map[string]any{"bucket_id": "new"})},

	{check: "everything is encrypted on its way", what: "HTTP", added: resource("google_compute_target_http_proxy", "clear", map[string]any{"name": "clear"})},
	{check: "everything is encrypted on its way", at: `module.edge.google_compute_global_forwarding_rule.this["IPV4"]`, what: "port 80", alter: set("port_range", "80")},
	{check: "everything is encrypted on its way", at: balancer, what: "backend", alter: set("protocol", "HTTP")},
	{check: "everything is encrypted on its way", what: "old TLS", added: resource("google_compute_ssl_policy", "old", map[string]any{"min_tls_version": "TLS_1_0"})},
	{check: "everything is encrypted on its way", at: scoreDead, what: "push", alter: set("push_config.0.push_endpoint", "http://hito-score.run.app/")},
	{check: "everything is encrypted on its way", at: sweep, what: "schedule", alter: set("http_target.0.uri", "http://hito-score.run.app/")},

	{check: "no bucket is public", at: "module.projects.google_storage_bucket.this", what: "ACLs", alter: set("uniform_bucket_level_access", false)},
	{check: "no bucket is public", at: "module.projects.google_storage_bucket.this", what: "could be", alter: set("public_access_prevention", "inherited")},
	{check: "no bucket is public", at: "module.source.google_storage_bucket.this", what: "site", alter: set("website", []any{map[string]any{"main_page_suffix": "index.html"}})},
	{check: "no bucket is public", what: "ACL", added: resource("google_storage_bucket_acl", "open", map[string]any{"predefined_acl": "publicRead"})},

	{check: "no secret is shown", at: "module.secret.google_secret_manager_secret_version.this", what: "value", alter: set("secret_data", "something")},
	{check: "no secret is shown", at: "module.profile.google_cloud_run_v2_service.this", what: "environment", alter: set("template.0.containers.0.env.0.value", "Bearer "+secretKey)},
	{check: "no secret is shown", at: "output.next_steps", what: "output", alter: set("value", "curl -H 'Authorization: Bearer "+secretKey+"'")},

	{check: "nothing is deleted by mistake", at: "module.table[0].google_bigtable_instance.this", what: "instance", alter: set("deletion_protection", false)},
	{check: "nothing is deleted by mistake", at: "module.table[0].google_bigtable_instance.this", what: "backups", alter: set("force_destroy", true)},
	{check: "nothing is deleted by mistake", at: "module.table[0].google_bigtable_table.this", what: "table", alter: set("deletion_protection", "UNPROTECTED")},
	{check: "nothing is deleted by mistake", what: "documents", added: resource("google_firestore_database", "all", map[string]any{"name": "documents"})},
	{check: "nothing is deleted by mistake", at: "module.projects.google_storage_bucket.this", what: "bucket", alter: set("force_destroy", true)},
	{check: "nothing is deleted by mistake", at: "module.secret.google_secret_manager_secret.this", what: "secret", alter: set("deletion_protection", false)},
	{check: "nothing is deleted by mistake", at: "module.archive[0].google_bigquery_table.this", what: "archive", alter: set("deletion_protection", false)},
	{check: "nothing is deleted by mistake", at: "module.archive[0].google_bigquery_dataset.this", what: "archive's tables", alter: set("delete_contents_on_destroy", true)},

	{check: "every table can be restored", at: "module.table[0].google_bigtable_table.this", what: "no backups", alter: set("automated_backup_policy", []any{})},
	{check: "every table can be restored", what: "documents", added: resource("google_firestore_database", "all", map[string]any{"name": "documents"})},
	{check: "every table can be restored", at: "module.projects.google_storage_bucket.this", what: "no versions", alter: set("versioning", []any{})},

	{check: "everything has the install's labels", at: scoreDead, what: "none", alter: set("labels", nil)},
	{check: "everything has the install's labels", at: "module.raw.google_pubsub_topic.this", what: "another's", alter: set("labels", map[string]any{"install": "other"})},
	{check: "everything has the install's labels", what: "of its own kind", added: resource("google_monitoring_notification_channel", "n", map[string]any{"labels": map[string]any{"install": "hito"}})},

	{check: "every call is signed, and let in", at: scoreTo, what: "no token", alter: set("push_config.0.oidc_token", []any{})},
	{check: "every call is signed, and let in", at: scoreDead, what: "no audience", alter: set("push_config.0.oidc_token.0.audience", "")},
	{check: "every call is signed, and let in", at: scoreTo, what: "for another", alter: set("push_config.0.oidc_token.0.audience", "hito-enrich")},
	{check: "every call is signed, and let in", at: scoreTo, what: "for nobody", alter: set("push_config.0.oidc_token.0.audience", "hito-nobody")},
	{check: "every call is signed, and let in", at: scoreDead, what: "by nobody", alter: set("push_config.0.oidc_token.0.service_account_email", "hito-build@mycompany-web.iam.gserviceaccount.com")},
	{check: "every call is signed, and let in", at: sweep, what: "schedule", alter: set("http_target.0.oidc_token", []any{})},

	{check: "every subscription gives up, to somewhere", at: scoreTo, what: "never", alter: set("dead_letter_policy", []any{})},
	{check: "every subscription gives up, to somewhere", at: scoreTo, what: "without a pause", alter: set("retry_policy", []any{})},
	{check: "every subscription gives up, to somewhere", at: scoreTo, what: "elsewhere", alter: set("dead_letter_policy.0.dead_letter_topic", "projects/mycompany-web/topics/nothing")},
	{check: "every subscription gives up, to somewhere", at: scoreTo, what: "a thousand", alter: set("dead_letter_policy.0.max_delivery_attempts", 1000.0)},
	{check: "every subscription gives up, to somewhere", at: "module.score.google_pubsub_subscription.parked[0]", what: "pushed for ever", alter: set("push_config", []any{map[string]any{}})},
	{check: "every subscription gives up, to somewhere", at: "module.archive[0].google_pubsub_subscription.dead", what: "rows", alter: set("bigquery_config", []any{map[string]any{}})},
	{check: "every subscription gives up, to somewhere", at: "module.actions.google_pubsub_subscription.dead", what: "short", alter: set("message_retention_duration", "600s")},
	{check: "every subscription gives up, to somewhere", at: scoreDead, of: "module.score.google_pubsub_subscription.parked[0]", what: "nobody keeps them"},
	{check: "every subscription gives up, to somewhere", at: scoreTo, of: "module.score.google_pubsub_topic_iam_member.dead[0]", what: "no right to publish"},
	{check: "every subscription gives up, to somewhere", at: scoreTo, of: `module.score.google_pubsub_subscription_iam_member.stream["enriched"]`, what: "no right to acknowledge"},

	{check: "every subscription gives up, to somewhere", at: relayFrom, what: "relay gives up", alter: set("dead_letter_policy", []any{map[string]any{"dead_letter_topic": "projects/mycompany-web/topics/hito-score-dead", "max_delivery_attempts": 5.0}})},
	{check: "every subscription gives up, to somewhere", at: relayFrom, what: "relay forgets", alter: set("message_retention_duration", "604800s")},
	{check: "every subscription gives up, to somewhere", at: relayFrom, what: "relay without a pause", alter: set("retry_policy", []any{})},

	{check: "no subscription expires", at: scoreTo, what: "by default", alter: set("expiration_policy", []any{})},
	{check: "no subscription expires", at: "module.actions.google_pubsub_subscription.dead", what: "a month", alter: set("expiration_policy.0.ttl", "2678400s")},

	{check: "a firewall is before every load balancer", at: balancer, what: "none", alter: set("security_policy", nil)},
	{check: "a firewall is before every load balancer", at: balancer, what: "another's", alter: set("security_policy", "projects/mycompany-web/global/securityPolicies/other")},
	{check: "a firewall is before every load balancer", at: "module.firewall[0].google_compute_security_policy.this", what: "no limit", alter: set("rule", []any{})},
	{check: "a firewall is before every load balancer", at: "module.firewall[0].google_compute_security_policy.this", what: "limit of a few", alter: func(v map[string]any) {
		rules := v["rule"].([]any)
		for _, r := range rules {
			if follow(r, "action") == "throttle" {
				set("match.0.config.0.src_ip_ranges", []any{"192.0.2.0/24"})(r.(map[string]any))
			}
		}
	}},
	{check: "a firewall is before every load balancer", at: "module.firewall[0].google_compute_security_policy.this", what: "way before the limit", alter: func(v map[string]any) {
		v["rule"] = append(v["rule"].([]any), map[string]any{"priority": 10.0, "action": "allow", "match": []any{map[string]any{"config": []any{map[string]any{"src_ip_ranges": []any{"0.0.0.0/0"}}}}}})
	}},
	{check: "a firewall is before every load balancer", at: "module.beacon.google_cloud_run_v2_service.this", what: "around", alter: set("ingress", "INGRESS_TRAFFIC_ALL")},

	{check: "every alarm leads to a runbook, and somewhere", what: "no link", added: alertPolicy("See the runbook.", true)},
	{check: "every alarm leads to a runbook, and somewhere", what: "dead link", added: alertPolicy("Runbook: https://github.com/hitolayer/hito/blob/main/docs/runbooks/nothing.md", true)},
	{check: "every alarm leads to a runbook, and somewhere", what: "off", added: alertPolicy("https://x/docs/runbooks/beacon-5xx.md", false)},
	{check: "every alarm leads to a runbook, and somewhere", what: "in the clear", added: resource("google_monitoring_notification_channel", "clear", map[string]any{"labels": map[string]any{"url": "http://shop.example"}})},
}

func alertPolicy(text string, on bool) map[string]any {
	return resource("google_monitoring_alert_policy", "a", map[string]any{
		"documentation": []any{map[string]any{"content": text}}, "enabled": on, "notification_channels": []any{"projects/mycompany-web/notificationChannels/1"},
	})
}
