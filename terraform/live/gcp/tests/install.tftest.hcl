# What an install is, from the plan alone: three inputs, everything else by default.

mock_provider "google" {}

mock_provider "google" {
  alias = "billing"
}

variables {
  account        = "mycompany-web"
  project_number = "123456789012"
  region         = "europe-west1"
  artifacts_dir  = "tests/artifacts"
}

run "defaults" {
  command = plan

  assert {
    condition     = output.streams == { raw = "hito-raw", enriched = "hito-enriched" } && output.table == "projects/mycompany-web/instances/hito-table/tables/hito" && output.secret == "hito-keys"
    error_message = "Everything is called by the install's name."
  }
  assert {
    condition     = output.projects_bucket == "hito-projects-mycompany-web"
    error_message = "A bucket's name must be nobody else's."
  }
  assert {
    condition     = { for name, q in output.queues : name => "${q.name} ${q.dead_letter_name}" } == { actions = "hito-actions hito-actions-dead", enrich = "hito-enrich-dead hito-enrich-parked", score = "hito-score-dead hito-score-parked" }
    error_message = "Every queue must have its dead-letter queue."
  }
  assert {
    condition     = module.projects.objects == ["projects/keys.yaml", "projects/shop.yaml"]
    error_message = "Rules and public keys must be uploaded."
  }
  assert {
    condition     = [for f in values(output.functions) : f.service_account] == [for f in ["beacon", "enrich", "profile", "score"] : "hito-${f}@mycompany-web.iam.gserviceaccount.com"]
    error_message = "Every function must have its own service account."
  }
  assert {
    condition     = module.enrich.subscriptions == { raw = "hito-raw-enrich" } && module.score.subscriptions == { enriched = "hito-enriched-score" }
    error_message = "Every stream must have its reader."
  }
  assert {
    condition     = output.beacon_url == "https://hito-beacon-123456789012.europe-west1.run.app" && output.profile_url == "https://hito-profile-123456789012.europe-west1.run.app"
    error_message = "Events must be sent to the beacon, and profiles read from profile."
  }
  assert {
    condition     = module.enrich.url == null && module.score.url == null
    error_message = "Only the beacon and profile are for the world."
  }
  assert {
    condition     = local.trusted_proxies == 1
    error_message = "Every visitor would have Cloud Run's address."
  }
  assert {
    condition     = output.archive_table == null
    error_message = "What was not asked for must not be there."
  }
  # Each resource's API must be on before it is made: of these, and of no others, resources are made.
  assert {
    condition = join(" ", sort(keys(google_project_service.this))) == join(" ", [
      "artifactregistry", "bigtable", "bigtableadmin", "cloudbuild", "cloudresourcemanager", "cloudscheduler", "iam", "logging", "monitoring", "pubsub", "run", "secretmanager", "storage",
    ])
    error_message = "Other APIs are turned on than are used."
  }
}

# Nothing builds them but this, and what is built must be what is deployed.
run "images_of_packages" {
  command = plan

  assert {
    condition = { for f, b in terraform_data.build : f => jsondecode(b.triggers_replace[0]).imageUri } == {
      for f in ["beacon", "enrich", "profile", "score"] : f => "europe-west1-docker.pkg.dev/mycompany-web/hito/hito-${f}:${substr(filesha256("tests/artifacts/${f}.zip"), 0, 32)}"
    }
    error_message = "Every package must be built."
  }
  assert {
    condition     = alltrue([for f, b in terraform_data.build : jsondecode(b.triggers_replace[0]).buildpackBuild.functionTarget == f && jsondecode(b.triggers_replace[0]).serviceAccount == "projects/mycompany-web/serviceAccounts/hito-build@mycompany-web.iam.gserviceaccount.com"])
    error_message = "Every function must be built as itself, by the account that may build."
  }
  assert {
    condition = [google_storage_bucket_iam_member.build.bucket, google_storage_bucket_iam_member.build.role, google_artifact_registry_repository_iam_member.build.repository, google_artifact_registry_repository_iam_member.build.role, google_project_iam_member.build.role] == [
      "hito-source-mycompany-web", "roles/storage.objectViewer", "hito", "roles/artifactregistry.writer", "roles/logging.logWriter",
    ]
    error_message = "What builds may read sources, write images and logs, and nothing else."
  }
}

# What each function may do: these and no other rights.
run "least_privilege" {
  command = plan

  assert {
    condition = module.beacon.policy == {
      ReadProjects = "roles/storage.objectViewer on bucket hito-projects-mycompany-web"
      OpenTable    = "projects/mycompany-web/roles/hito_open on instance projects/mycompany-web/instances/hito-table"
      WriteBooks   = "roles/bigtable.user on table projects/mycompany-web/instances/hito-table/tables/hito"
      PublishRaw   = "roles/pubsub.publisher on topic projects/mycompany-web/topics/hito-raw"
    }
    error_message = "The beacon's rights are others."
  }
  assert {
    condition = module.enrich.policy == {
      ReadProjects    = "roles/storage.objectViewer on bucket hito-projects-mycompany-web"
      OpenTable       = "projects/mycompany-web/roles/hito_open on instance projects/mycompany-web/instances/hito-table"
      WriteBooks      = "roles/bigtable.user on table projects/mycompany-web/instances/hito-table/tables/hito"
      PublishEnriched = "roles/pubsub.publisher on topic projects/mycompany-web/topics/hito-enriched"
    }
    error_message = "Enrich's rights are others."
  }
  assert {
    condition = module.score.policy == {
      ReadProjects   = "roles/storage.objectViewer on bucket hito-projects-mycompany-web"
      OpenTable      = "projects/mycompany-web/roles/hito_open on instance projects/mycompany-web/instances/hito-table"
      KeepLastGood   = "roles/storage.objectUser on bucket hito-projects-mycompany-web/lastgood/"
      FoldProfiles   = "roles/bigtable.user on table projects/mycompany-web/instances/hito-table/tables/hito"
      PublishActions = "roles/pubsub.publisher on topic projects/mycompany-web/topics/hito-actions"
    }
    error_message = "Score's rights are others."
  }
  assert {
    condition = module.profile.policy == {
      ReadProjects    = "roles/storage.objectViewer on bucket hito-projects-mycompany-web"
      OpenTable       = "projects/mycompany-web/roles/hito_open on instance projects/mycompany-web/instances/hito-table"
      ReadProfiles    = "roles/bigtable.reader on table projects/mycompany-web/instances/hito-table/tables/hito"
      PublishErasures = "roles/pubsub.publisher on topic projects/mycompany-web/topics/hito-raw"
      ReadSecretKeys  = "roles/secretmanager.secretAccessor on secret projects/mycompany-web/secrets/hito-keys"
    }
    error_message = "Profile's rights are others."
  }
  assert {
    condition = [google_service_account_iam_member.push.service_account_id, google_service_account_iam_member.push.role, google_service_account_iam_member.push.member] == [
      "projects/mycompany-web/serviceAccounts/hito-push@mycompany-web.iam.gserviceaccount.com", "roles/iam.serviceAccountOpenIdTokenCreator",
      "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
    ]
    error_message = "Pub/Sub must be able to make tokens of the push account, and of no other."
  }
}

run "firestore" {
  command = plan

  variables {
    store = "firestore"
  }

  assert {
    condition     = length(module.table) == 0 && output.table == "projects/mycompany-web/databases/hito-table"
    error_message = "There must be a database in place of the table."
  }
  assert {
    condition = { for f in ["beacon", "enrich", "score", "profile"] : f => [for name, right in { beacon = module.beacon, enrich = module.enrich, score = module.score, profile = module.profile }[f].policy : right if strcontains(right, "databases") || strcontains(right, "tables")] } == {
      beacon  = ["roles/datastore.user on database projects/mycompany-web/databases/hito-table"]
      enrich  = ["roles/datastore.user on database projects/mycompany-web/databases/hito-table"]
      score   = ["roles/datastore.user on database projects/mycompany-web/databases/hito-table"]
      profile = ["roles/datastore.viewer on database projects/mycompany-web/databases/hito-table"]
    }
    error_message = "Functions must have rights to the database alone."
  }
  assert {
    condition     = !contains(keys(local.environment), "HITO_APP_PROFILE") && local.environment.HITO_TABLE == output.table
    error_message = "Functions must be told of the database."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "firestore") && !contains(keys(google_project_service.this), "bigtable")
    error_message = "What is not used must not be turned on."
  }
  assert {
    condition     = alltrue([for key in ["table-latency", "table-system-errors"] : contains(keys(module.observability.alarms), key)])
    error_message = "The database must be watched."
  }
}

run "everything_set" {
  command = plan

  variables {
    name                = "shop-2"
    labels              = { team = "web" }
    write_keys          = { shop = ["one", "two"] }
    secret_keys         = { shop = ["a-secret-key"] }
    secret_keys_version = 2
    zone                = "europe-west1-d"
    retention_hours     = 168
    table_capacity      = { min_nodes = 3, max_nodes = 30 }
    deletion_protection = false
    encryption_key      = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
    sweep               = false
    trusted_proxies     = 1
    archive             = { expire_days = 400 }
    functions = {
      beacon = { memory_mb = 1024, cpu = 2, concurrency = 5000, warm_instances = 10 }
      enrich = { image = "europe-west1-docker.pkg.dev/mycompany-web/hito/enrich:1", workers = 4 }
      score  = { billing = "instance", canary = { stable_version = "shop-2-score-00007-abc", weight = 0.1 } }
    }
  }

  assert {
    condition     = output.streams.raw == "shop-2-raw" && output.table == "projects/mycompany-web/instances/shop-2-table/tables/shop-2" && output.queues["score"].name == "shop-2-score-dead"
    error_message = "Everything is called by the install's name."
  }
  assert {
    condition     = jsonencode(local.size.beacon) == jsonencode({ billing = "request", canary = null, concurrency = 5000, cpu = 2, image = null, memory_mb = 1024, requests_per_instance = 80, timeout_seconds = 10, warm_instances = 10, workers = 0 })
    error_message = "What is left out of a function's size must be the default."
  }
  assert {
    condition     = local.trusted_proxies == 2
    error_message = "Proxies of one's own must be believed too."
  }
  assert {
    condition     = local.size.score.canary.weight == 0.1 && local.size.score.billing == "instance" && local.size.score.memory_mb == 1024
    error_message = "A canary must not change the size."
  }
  assert {
    condition     = keys(terraform_data.build) == ["beacon", "profile", "score"] && module.enrich.build == null
    error_message = "An image of one's own is not built."
  }
  assert {
    condition     = alltrue([for b in terraform_data.build : b.triggers_replace[1] == var.encryption_key])
    error_message = "With another key there is another repository, for which all must be built anew."
  }
  assert {
    condition     = module.enrich.policy["PullRaw"] == "roles/pubsub.subscriber on subscription projects/mycompany-web/subscriptions/shop-2-raw-enrich"
    error_message = "Workers must be able to pull."
  }
  assert {
    condition     = module.enrich.policy["PublishRows"] == "roles/pubsub.publisher on topic projects/mycompany-web/topics/shop-2-rows" && output.archive_table == "mycompany-web.shop_2_archive.events"
    error_message = "Enrich must be able to write to the archive."
  }
}

# Until the hostname and its certificate are there, everything goes on as before.
run "before_a_load_balancer" {
  command = plan

  variables {
    edge = { kind = "load_balancer", close = false, domain = { name = "t.shop.example" } }
  }

  assert {
    condition     = output.beacon_url == module.beacon.url && output.profile_url == module.profile.url && startswith(module.beacon.url, "https://hito-beacon-")
    error_message = "Events must go where they arrive."
  }
  assert {
    condition     = local.trusted_proxies == 1
    error_message = "Whoever goes around the load balancer could say that he is somebody else."
  }
  assert {
    condition     = output.edge_target != null && length(module.firewall) == 1
    error_message = "The load balancer must be made, so that its certificate can be."
  }
}

# What stands in front adds itself to who sent a request.
run "behind_a_load_balancer" {
  command = plan

  variables {
    edge = { kind = "load_balancer", domain = { name = "t.shop.example" } }
  }

  assert {
    condition     = local.trusted_proxies == 2
    error_message = "Every visitor would have the load balancer's address."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "compute")
    error_message = "A load balancer is Compute Engine's."
  }
  assert {
    condition     = output.beacon_url == "https://t.shop.example" && output.profile_url == "https://t.shop.example"
    error_message = "Both functions must be behind the one hostname."
  }
  assert {
    condition     = length(module.firewall) == 1
    error_message = "A load balancer must have a firewall."
  }
}

# Everything that can get stuck is watched, by the names that there are on AWS, and a few more.
run "watched" {
  command = plan

  variables {
    archive = {}
    notify  = { team = { address = "team@shop.example" } }
    quiet   = ["score-age"]
  }

  assert {
    condition = toset(keys(module.observability.alarms)) == toset(concat(
      ["beacon-5xx", "beacon-unreachable", "profile-5xx", "score-sweep", "beacon-refused", "quarantine", "score-window-evictions", "latency-burn-fast", "latency-burn-slow"],
      [for f in setproduct(["beacon", "enrich", "score", "profile"], ["throttles", "instances", "duration", "errors-logged"]) : join("-", f)],
      [for f in setproduct(["enrich", "score"], ["errors", "iterator-age", "age", "stalled", "given-up"]) : join("-", f)],
      ["actions-dead-letters", "archive-dead-letters", "enrich-redrive-dead-letters", "enrich-redrive-age", "score-redrive-dead-letters", "score-redrive-age"],
      ["raw-write-throttles", "enriched-write-throttles", "enriched-archive-age"],
      ["table-cpu", "table-hottest-node", "table-storage", "table-latency", "table-system-errors"],
    ))
    error_message = "Something is not watched, or nobody knows of it."
  }
  assert {
    condition     = module.observability.alarms["score-iterator-age"] == "hito-score-iterator-age"
    error_message = "Alarms must be told apart by the install."
  }
  assert {
    condition     = !strcontains(output.next_steps, "Nobody is told") && local.instances.beacon == 100
    error_message = "Who is told must be said."
  }
  assert {
    condition     = length(module.budget) == 0 && !contains(keys(google_project_service.this), "billingbudgets")
    error_message = "No budget was asked for."
  }
}

run "budget" {
  command = plan

  variables {
    budget    = { billing_account = "01AB23-45CD67-89EF01", monthly = 500, emails = ["team@shop.example"], labelled = true }
    functions = { score = { concurrency = 300, requests_per_instance = 50 } }
  }

  assert {
    condition     = module.budget[0].name == "hito" && contains(keys(google_project_service.this), "billingbudgets")
    error_message = "The budget must be made, and its service be on."
  }
  assert {
    condition     = strcontains(output.next_steps, "Nobody is told of alarms yet") && local.instances.score == 6
    error_message = "Nobody is told, and a function that may have fewer instances must be watched by that."
  }
}
