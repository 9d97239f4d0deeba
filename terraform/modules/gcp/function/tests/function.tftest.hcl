mock_provider "google" {
  mock_resource "google_cloud_run_v2_service" {
    defaults = { latest_ready_revision = "hito-score-00007-abc" }
  }
}

variables {
  account        = "mycompany-web"
  project_number = "123456789012"
  region         = "europe-west1"
  name           = "hito-score"
  target         = "score"
  package        = "tests/package.zip"
  build          = { bucket = "hito-source-mycompany-web", repository = "europe-west1-docker.pkg.dev/mycompany-web/hito", account = "hito-build@mycompany-web.iam.gserviceaccount.com" }
  push_account   = "hito-push@mycompany-web.iam.gserviceaccount.com"
}

run "function" {
  assert {
    condition     = google_storage_bucket_object.package[0].name == "hito-score/${filesha256("tests/package.zip")}.zip" && google_storage_bucket_object.package[0].bucket == "hito-source-mycompany-web"
    error_message = "A new package must become a new object."
  }
  assert {
    condition = (
      google_cloud_run_v2_service.this.build_config[0].source_location == "gs://hito-source-mycompany-web/hito-score/${filesha256("tests/package.zip")}.zip" &&
      google_cloud_run_v2_service.this.build_config[0].function_target == "score" &&
      google_cloud_run_v2_service.this.build_config[0].image_uri == google_cloud_run_v2_service.this.template[0].containers[0].image
    )
    error_message = "The image must be of the package."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].image == "europe-west1-docker.pkg.dev/mycompany-web/hito/hito-score:${substr(filesha256("tests/package.zip"), 0, 32)}"
    error_message = "A new package must become a new image, and so a new version."
  }
  assert {
    condition = (
      google_cloud_run_v2_service.this.build_config[0].enable_automatic_updates &&
      google_cloud_run_v2_service.this.build_config[0].base_image == "europe-west1-docker.pkg.dev/serverless-runtimes/google-24/runtimes/go126" &&
      google_cloud_run_v2_service.this.template[0].containers[0].base_image_uri == google_cloud_run_v2_service.this.build_config[0].base_image
    )
    error_message = "What is below the function must be kept up to date."
  }
  assert {
    condition = jsondecode(output.build) == {
      storageSource  = { bucket = "hito-source-mycompany-web", object = "hito-score/${filesha256("tests/package.zip")}.zip" }
      imageUri       = google_cloud_run_v2_service.this.template[0].containers[0].image
      buildpackBuild = { functionTarget = "score", baseImage = google_cloud_run_v2_service.this.build_config[0].base_image, enableAutomaticUpdates = true }
      serviceAccount = "projects/mycompany-web/serviceAccounts/hito-build@mycompany-web.iam.gserviceaccount.com"
    }
    error_message = "What is built must be what is deployed."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.custom_audiences == tolist(["hito-score"])
    error_message = "The name must be an audience of tokens."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.this.scaling) == 0 && length(google_cloud_run_v2_service.this.template[0].scaling) == 0
    error_message = "By default nothing is kept warm and nothing bounded."
  }
  assert {
    condition     = [for t in google_cloud_run_v2_service.this.traffic : "${t.type} ${t.percent}"] == ["TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST 100"] && output.version == "hito-score-00007-abc"
    error_message = "By default the newest version gets all calls."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].resources[0].cpu_idle && google_cloud_run_v2_service.this.template[0].containers[0].resources[0].startup_cpu_boost
    error_message = "It is paid for while it is called, and starts fast."
  }
  assert {
    condition     = { for e in google_cloud_run_v2_service.this.template[0].containers[0].env : e.name => e.value } == { GOMEMLIMIT = "460MiB", HITO_TIMEOUT = "30s" } && google_cloud_run_v2_service.this.template[0].timeout == "30s"
    error_message = "The function must know when it is ended, and Cloud Run refuses FUNCTION_TARGET."
  }
}

# Nobody calls it, it may do nothing, and nobody reaches it from outside.
run "billed_by_instance" {
  command = plan
  variables {
    billing = "instance"
  }
  assert {
    condition     = !google_cloud_run_v2_service.this.template[0].containers[0].resources[0].cpu_idle
    error_message = "It must be paid for as long as it is there."
  }
}

run "least_privilege" {
  assert {
    condition     = google_service_account.this.account_id == "hito-score" && google_cloud_run_v2_service.this.template[0].service_account == "hito-score@mycompany-web.iam.gserviceaccount.com"
    error_message = "The function must have its own service account."
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.invoker) == 0 && google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && output.url == null
    error_message = "Without url and triggers nobody may call it."
  }
  assert {
    condition     = length(google_pubsub_topic_iam_member.this) + length(google_storage_bucket_iam_member.this) + length(google_bigtable_table_iam_member.this) + length(google_bigtable_instance_iam_member.this) + length(google_project_iam_member.database) + length(google_secret_manager_secret_iam_member.this) == 0
    error_message = "A function without permissions may do nothing."
  }
  assert {
    condition     = length(google_pubsub_topic.dead) + length(google_pubsub_topic.parked) == 0 && output.dead_letter_name == null && output.parked_name == null
    error_message = "Without streams there are no dead letters."
  }
}

run "permissions" {
  variables {
    permissions = {
      PublishActions = { role = "roles/pubsub.publisher", kind = "topic", id = "projects/mycompany-web/topics/hito-actions" }
      FoldProfiles   = { role = "roles/bigtable.user", kind = "table", id = "projects/mycompany-web/instances/hito-table/tables/hito" }
      OpenTable      = { role = "projects/mycompany-web/roles/hito_open", kind = "instance", id = "projects/mycompany-web/instances/hito-table" }
      FoldDocuments  = { role = "roles/datastore.user", kind = "database", id = "projects/mycompany-web/databases/hito-table" }
      KeepLastGood   = { role = "roles/storage.objectUser", kind = "bucket", id = "hito-projects-mycompany-web", prefix = "lastgood/" }
      ReadProjects   = { role = "roles/storage.objectViewer", kind = "bucket", id = "hito-projects-mycompany-web" }
      ReadSecretKeys = { role = "roles/secretmanager.secretAccessor", kind = "secret", id = "projects/mycompany-web/secrets/hito-keys" }
    }
  }

  assert {
    condition     = { for name, m in google_pubsub_topic_iam_member.this : name => "${m.role} ${m.topic} ${m.member}" } == { PublishActions = "roles/pubsub.publisher projects/mycompany-web/topics/hito-actions serviceAccount:hito-score@mycompany-web.iam.gserviceaccount.com" }
    error_message = "It may publish to exactly this topic."
  }
  assert {
    condition     = { for name, m in google_bigtable_table_iam_member.this : name => "${m.role} ${m.project} ${m.instance_name} ${m.table}" } == { FoldProfiles = "roles/bigtable.user mycompany-web hito-table hito" }
    error_message = "It may use exactly this table."
  }
  assert {
    condition     = { for name, m in google_bigtable_instance_iam_member.this : name => "${m.role} ${m.project} ${m.instance}" } == { OpenTable = "projects/mycompany-web/roles/hito_open mycompany-web hito-table" }
    error_message = "It may open exactly this instance."
  }
  assert {
    condition     = { for name, m in google_project_iam_member.database : name => "${m.role} ${m.project} ${m.member} ${m.condition[0].expression}" } == { FoldDocuments = "roles/datastore.user mycompany-web serviceAccount:hito-score@mycompany-web.iam.gserviceaccount.com resource.name == \"projects/mycompany-web/databases/hito-table\"" }
    error_message = "It may use exactly this database."
  }
  assert {
    condition     = { for name, m in google_secret_manager_secret_iam_member.this : name => "${m.role} ${m.project} ${m.secret_id}" } == { ReadSecretKeys = "roles/secretmanager.secretAccessor mycompany-web hito-keys" }
    error_message = "It may read exactly this secret."
  }
  assert {
    condition = { for name, m in google_storage_bucket_iam_member.this : name => "${m.role} ${m.bucket} ${join(" ", m.condition[*].expression)}" } == {
      KeepLastGood = "roles/storage.objectUser hito-projects-mycompany-web resource.name.startsWith(\"projects/_/buckets/hito-projects-mycompany-web/objects/lastgood/\")"
      ReadProjects = "roles/storage.objectViewer hito-projects-mycompany-web "
    }
    error_message = "It may read the bucket, and write below the prefix only."
  }
  assert {
    condition     = output.policy["KeepLastGood"] == "roles/storage.objectUser on bucket hito-projects-mycompany-web/lastgood/" && length(output.policy) == 7
    error_message = "What it may do must be told."
  }
}

run "stream_trigger" {
  variables {
    timeout_seconds = 60
    stream_triggers = { enriched = { stream = "projects/mycompany-web/topics/hito-enriched", subscription = "hito-enriched-score" } }
  }

  assert {
    condition     = google_pubsub_subscription.stream["enriched"].name == "hito-enriched-score" && google_pubsub_subscription.stream["enriched"].topic == "projects/mycompany-web/topics/hito-enriched"
    error_message = "The trigger must be as it is given."
  }
  assert {
    condition = (
      google_pubsub_subscription.stream["enriched"].push_config[0].push_endpoint == "https://hito-score-123456789012.europe-west1.run.app/" &&
      google_pubsub_subscription.stream["enriched"].push_config[0].oidc_token[0].audience == "hito-score" &&
      google_pubsub_subscription.stream["enriched"].push_config[0].oidc_token[0].service_account_email == var.push_account
    )
    error_message = "Messages must be pushed with a token for this function."
  }
  assert {
    condition     = google_pubsub_subscription.stream["enriched"].push_config[0].no_wrapper[0].write_metadata
    error_message = "Messages must come as they are, with their attributes as headers."
  }
  assert {
    condition     = google_pubsub_subscription.stream["enriched"].ack_deadline_seconds == 60 && google_pubsub_subscription.stream["enriched"].message_retention_duration == "604800s"
    error_message = "Pub/Sub must wait as long as a call may take, and keep what waits."
  }
  assert {
    condition     = google_pubsub_subscription.stream["enriched"].retry_policy[0].minimum_backoff == "1s" && google_pubsub_subscription.stream["enriched"].retry_policy[0].maximum_backoff == "600s"
    error_message = "What fails must come again, and ever more rarely."
  }
  assert {
    condition     = google_pubsub_subscription.stream["enriched"].dead_letter_policy[0].dead_letter_topic == "projects/mycompany-web/topics/hito-score-dead" && google_pubsub_subscription.stream["enriched"].dead_letter_policy[0].max_delivery_attempts == 30
    error_message = "Retries must be bounded."
  }
  assert {
    condition     = alltrue([for s in [google_pubsub_subscription.stream["enriched"], google_pubsub_subscription.dead[0], google_pubsub_subscription.parked[0]] : s.expiration_policy[0].ttl == "" && s.enable_message_ordering == null])
    error_message = "No subscription may go by itself, and order would hold up what can be handled."
  }
}

run "dead_letters" {
  variables {
    stream_triggers = { enriched = { stream = "projects/mycompany-web/topics/hito-enriched", subscription = "hito-enriched-score" } }
  }

  assert {
    condition = (
      google_pubsub_subscription.dead[0].topic == "hito-score-dead" && output.dead_letter_name == "hito-score-dead" &&
      google_pubsub_subscription.dead[0].push_config[0].push_endpoint == "https://hito-score-123456789012.europe-west1.run.app/dead-letter" &&
      length(google_pubsub_subscription.dead[0].push_config[0].no_wrapper) == 0
    )
    error_message = "Dead letters must come again, in the envelope that says how often they did."
  }
  assert {
    condition     = google_pubsub_subscription.dead[0].push_config[0].oidc_token[0].audience == "hito-score" && google_pubsub_subscription.dead[0].push_config[0].oidc_token[0].service_account_email == var.push_account
    error_message = "Dead letters must be pushed with a token for this function."
  }
  assert {
    condition     = google_pubsub_subscription.dead[0].retry_policy[0].minimum_backoff == "60s" && google_pubsub_subscription.dead[0].retry_policy[0].maximum_backoff == "600s" && google_pubsub_subscription.dead[0].message_retention_duration == "2678400s"
    error_message = "Dead letters must come slowly."
  }
  assert {
    condition     = google_pubsub_subscription.dead[0].dead_letter_policy[0].dead_letter_topic == "projects/mycompany-web/topics/hito-score-parked" && google_pubsub_subscription.dead[0].dead_letter_policy[0].max_delivery_attempts == 5
    error_message = "What even that does not help must be parked."
  }
  assert {
    condition     = google_pubsub_subscription.parked[0].topic == "hito-score-parked" && length(google_pubsub_subscription.parked[0].push_config) == 0 && google_pubsub_subscription.parked[0].message_retention_duration == "2678400s" && output.parked_name == "hito-score-parked"
    error_message = "What is parked must wait as long as can be."
  }
  assert {
    condition     = { for m in [google_pubsub_topic_iam_member.dead[0], google_pubsub_topic_iam_member.parked[0]] : m.topic => "${m.role} ${m.member}" } == { for t in ["hito-score-dead", "hito-score-parked"] : t => "roles/pubsub.publisher serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com" }
    error_message = "Pub/Sub must be able to publish dead letters, or they stay where they are."
  }
  assert {
    condition     = { for m in [google_pubsub_subscription_iam_member.stream["enriched"], google_pubsub_subscription_iam_member.dead[0]] : m.subscription => "${m.role} ${m.member}" } == { for s in ["hito-enriched-score", "hito-score-dead"] : s => "roles/pubsub.subscriber serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com" }
    error_message = "Pub/Sub must be able to take dead letters out."
  }
  assert {
    condition     = { for name, m in google_cloud_run_v2_service_iam_member.invoker : name => "${m.role} ${m.member}" } == { push = "roles/run.invoker serviceAccount:hito-push@mycompany-web.iam.gserviceaccount.com" }
    error_message = "Only the push account may call."
  }
}

run "stream_trigger_off" {
  variables {
    stream_triggers = { enriched = { stream = "projects/mycompany-web/topics/hito-enriched", subscription = "hito-enriched-score", enabled = false, retention_hours = 744, max_deliveries = 100 } }
  }

  assert {
    condition     = length(google_pubsub_subscription.stream["enriched"].push_config) == 0 && google_pubsub_subscription.stream["enriched"].message_retention_duration == "2678400s" && google_pubsub_subscription.stream["enriched"].dead_letter_policy[0].max_delivery_attempts == 100
    error_message = "Messages must wait, as long as is asked for."
  }
}

run "worker" {
  variables {
    package         = null
    build           = null
    image           = "europe-west1-docker.pkg.dev/mycompany-web/hito/score@sha256:0123"
    workers         = 3
    environment     = { HITO_LOG = "json" }
    permissions     = { PublishActions = { role = "roles/pubsub.publisher", kind = "topic", id = "projects/mycompany-web/topics/hito-actions" } }
    stream_triggers = { enriched = { stream = "projects/mycompany-web/topics/hito-enriched", subscription = "hito-enriched-score" } }
  }

  assert {
    condition     = length(google_pubsub_subscription.stream["enriched"].push_config) == 0 && google_pubsub_subscription.stream["enriched"].dead_letter_policy[0].dead_letter_topic == "projects/mycompany-web/topics/hito-score-dead"
    error_message = "What workers pull must not be pushed, and still have its dead letters."
  }
  assert {
    condition     = { for e in google_cloud_run_v2_service.worker[0].template[0].containers[0].env : e.name => e.value } == { FUNCTION_TARGET = "score", GOMEMLIMIT = "460MiB", HITO_LOG = "json", HITO_SUBSCRIPTION = "projects/mycompany-web/subscriptions/hito-enriched-score", HITO_TIMEOUT = "30s" }
    error_message = "A worker must have the function's settings, and know what to pull."
  }
  assert {
    condition     = google_cloud_run_v2_service.worker[0].scaling[0].scaling_mode == "MANUAL" && google_cloud_run_v2_service.worker[0].scaling[0].manual_instance_count == 3 && !google_cloud_run_v2_service.worker[0].template[0].containers[0].resources[0].cpu_idle
    error_message = "Workers must always run: nobody calls them."
  }
  assert {
    condition     = google_cloud_run_v2_service.worker[0].template[0].service_account == google_cloud_run_v2_service.this.template[0].service_account && google_cloud_run_v2_service.worker[0].ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "Workers must be the function's, and not be called."
  }
  assert {
    condition     = { for name, m in google_pubsub_subscription_iam_member.worker : name => "${m.subscription} ${m.role} ${m.member}" } == { enriched = "hito-enriched-score roles/pubsub.subscriber serviceAccount:hito-score@mycompany-web.iam.gserviceaccount.com" }
    error_message = "Workers may pull this subscription only."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.this.build_config) == 0 && length(google_storage_bucket_object.package) == 0 && output.build == null && google_cloud_run_v2_service.this.template[0].containers[0].base_image_uri == null
    error_message = "An image of one's own is not built."
  }
  assert {
    condition     = output.policy["PullEnriched"] == "roles/pubsub.subscriber on subscription projects/mycompany-web/subscriptions/hito-enriched-score"
    error_message = "What it may do must be told."
  }
}

run "schedule_trigger" {
  variables {
    schedule_triggers = { sweep = { minutes = 1 }, report = { minutes = 120, enabled = false }, daily = { minutes = 1440 } }
  }

  assert {
    condition     = { for name, j in google_cloud_scheduler_job.this : name => "${j.name} ${j.schedule} ${j.time_zone} ${j.paused}" } == { sweep = "hito-score-sweep */1 * * * * Etc/UTC false", report = "hito-score-report 0 */2 * * * Etc/UTC true", daily = "hito-score-daily 0 0 * * * Etc/UTC false" }
    error_message = "Schedules must be as they are given."
  }
  assert {
    condition = (
      google_cloud_scheduler_job.this["sweep"].http_target[0].uri == "https://hito-score-123456789012.europe-west1.run.app/sweep" && google_cloud_scheduler_job.this["sweep"].http_target[0].http_method == "POST" &&
      google_cloud_scheduler_job.this["sweep"].http_target[0].oidc_token[0].audience == "hito-score" && google_cloud_scheduler_job.this["sweep"].http_target[0].oidc_token[0].service_account_email == var.push_account
    )
    error_message = "A schedule must call its path, with a token for this function."
  }
  assert {
    condition     = google_cloud_scheduler_job.this["sweep"].retry_config[0].max_retry_duration == "60s" && google_cloud_scheduler_job.this["sweep"].attempt_deadline == "30s"
    error_message = "A schedule must not call when the next time is due."
  }
  assert {
    condition     = { for name, m in google_cloud_run_v2_service_iam_member.invoker : name => m.member } == { push = "serviceAccount:hito-push@mycompany-web.iam.gserviceaccount.com" }
    error_message = "Only the push account may call."
  }
}

run "public_url" {
  variables {
    url = {}
  }

  assert {
    condition     = google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_ALL" && { for name, m in google_cloud_run_v2_service_iam_member.invoker : name => "${m.role} ${m.member}" } == { public = "roles/run.invoker allUsers" }
    error_message = "Everybody may call the function."
  }
  assert {
    condition     = output.url == "https://hito-score-123456789012.europe-west1.run.app"
    error_message = "The address must be without a path."
  }
}

run "url_behind_a_load_balancer" {
  command = plan
  variables {
    url = { load_balancer = true }
  }

  assert {
    condition     = google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" && output.url == "https://hito-score-123456789012.europe-west1.run.app"
    error_message = "What stands in front must not be passed by."
  }
}

run "private_url" {
  variables {
    url = { public = false }
  }

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.invoker) == 0 && google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_ALL"
    error_message = "An address that is not public is nobody's until it is granted."
  }
}

run "canary" {
  command = plan
  variables {
    canary = { stable_version = "hito-score-00006-xyz", weight = 0.29 }
  }

  assert {
    condition = [for t in google_cloud_run_v2_service.this.traffic : "${t.type} ${t.revision == null ? "-" : t.revision} ${t.percent}"] == [
      "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION hito-score-00006-xyz 71", "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST - 29",
    ]
    error_message = "That share of the calls must go to the newest version."
  }
}

run "canary_rolled_back" {
  command = plan
  variables {
    canary         = { stable_version = "hito-score-00006-xyz", weight = 0 }
    warm_instances = 5
  }

  assert {
    condition     = [for t in google_cloud_run_v2_service.this.traffic : "${t.revision} ${t.percent}"] == ["hito-score-00006-xyz 100"] && google_cloud_run_v2_service.this.scaling[0].min_instance_count == 5
    error_message = "No call must go to the newest version, and instances be kept warm where calls go."
  }
}

run "sizes" {
  command = plan
  variables {
    memory_mb             = 4096
    cpu                   = 2
    timeout_seconds       = 45
    requests_per_instance = 40
    concurrency           = 100
    warm_instances        = 2
    environment           = { HITO_LOG = "json" }
    description           = "Scores."
    labels                = { team = "web" }
    encryption_key        = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
    stream_triggers       = { enriched = { stream = "projects/mycompany-web/topics/hito-enriched", subscription = "hito-enriched-score" } }
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].resources[0].limits == tomap({ cpu = "2", memory = "4096Mi" }) && google_cloud_run_v2_service.this.template[0].max_instance_request_concurrency == 40
    error_message = "Sizes must be used."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].scaling[0].max_instance_count == 3 && google_cloud_run_v2_service.this.scaling[0].min_instance_count == 2
    error_message = "There must be instances for all calls that may be at a time, and no more."
  }
  assert {
    condition     = { for e in google_cloud_run_v2_service.this.template[0].containers[0].env : e.name => e.value } == { GOMEMLIMIT = "3686MiB", HITO_LOG = "json", HITO_TIMEOUT = "45s" }
    error_message = "The environment must be given."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].encryption_key == var.encryption_key && google_pubsub_topic.dead[0].kms_key_name == var.encryption_key && google_pubsub_topic.parked[0].kms_key_name == var.encryption_key
    error_message = "The key must encrypt the function and its dead letters."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.labels["team"] == "web" && google_pubsub_subscription.stream["enriched"].labels["team"] == "web" && google_cloud_run_v2_service.this.description == "Scores."
    error_message = "Labels and description must be used."
  }
  assert {
    condition     = google_pubsub_topic.dead[0].message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1"])
    error_message = "Dead letters must stay in the region."
  }
}

# What holds its place whatever happens.
run "never_gives_up" {
  variables {
    stream_triggers = { enriched = { stream = "projects/mycompany-web/topics/hito-enriched", subscription = "hito-enriched-relay", retention_hours = 744, gives_up = false } }
  }

  assert {
    condition = (
      length(google_pubsub_subscription.stream["enriched"].dead_letter_policy) == 0 &&
      google_pubsub_subscription.stream["enriched"].message_retention_duration == "2678400s" &&
      google_pubsub_subscription.stream["enriched"].retry_policy[0].minimum_backoff == "10s"
    )
    error_message = "A message must come again until the subscription forgets it."
  }
  assert {
    condition     = output.dead_letter_name == null && output.parked_name == null && length(google_pubsub_topic.dead) == 0 && length(google_pubsub_subscription_iam_member.stream) == 0
    error_message = "What gives up nothing has no dead letters."
  }
  assert {
    condition     = output.service_account_subject == google_service_account.this.unique_id
    error_message = "AWS knows the function by its account's number."
  }
}
