# What is refused.

mock_provider "google" {}

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

run "bad_1" {
  command = plan

  variables {
    account               = "123"
    project_number        = "mycompany-web"
    region                = "eu-west"
    name                  = "score"
    description           = format("%257s", "x")
    target                = "score!"
    package               = "tests/nothing.zip"
    memory_mb             = 256
    requests_per_instance = 1001
    concurrency           = 0
    environment           = { K_SERVICE = "score" }
    permissions           = { "Publish it" = { role = "roles/pubsub.publisher", kind = "topic", id = "projects/p/topics/t" } }
    stream_triggers       = { s = { stream = "hito-enriched", subscription = "hito-enriched-score" } }
    schedule_triggers     = { sweep = { minutes = 7 } }
    billing               = "month"
    canary                = { stable_version = "LATEST", weight = 0.1 }
    encryption_key        = "mine"
    labels                = { Mine = "no" }
  }

  expect_failures = [
    var.account, var.project_number, var.region, var.name, var.description, var.target, var.package,
    var.memory_mb, var.requests_per_instance, var.concurrency, var.environment, var.permissions,
    var.stream_triggers, var.schedule_triggers, var.billing, var.canary, var.encryption_key, var.labels,
  ]
}

run "bad_2" {
  command = plan

  variables {
    cpu             = 3
    image           = "score"
    environment     = { FUNCTION_TARGET = "enrich" }
    permissions     = { Everything = { role = "roles/editor", kind = "topic", id = "projects/p/topics/t" } }
    stream_triggers = { s = { stream = "projects/p/topics/t", subscription = "hito-enriched-score", max_deliveries = 4 } }
    canary          = { stable_version = "hito-score-00006-xyz", weight = 1 }
  }

  expect_failures = [var.cpu, var.image, var.environment, var.permissions, var.stream_triggers, var.canary]
}

run "bad_3" {
  command = plan

  variables {
    environment     = { PORT = "80" }
    permissions     = { Manage = { role = "roles/pubsub.admin", kind = "topic", id = "projects/p/topics/t" } }
    stream_triggers = { s = { stream = "projects/p/topics/t", subscription = "hito-enriched-score", retention_hours = 745 } }
    canary          = { stable_version = "hito-score-00006-xyz", weight = 0.001 }
  }

  expect_failures = [var.environment, var.permissions, var.stream_triggers, var.canary]
}

run "bad_kind" {
  command = plan
  variables {
    permissions = { Read = { role = "roles/viewer.everything", kind = "project", id = "mycompany-web" } }
  }
  expect_failures = [var.permissions]
}

run "bad_id" {
  command = plan
  variables {
    permissions = { Read = { role = "roles/bigtable.reader", kind = "table", id = "projects/p/instances/i" } }
  }
  expect_failures = [var.permissions]
}

run "bad_prefix" {
  command = plan
  variables {
    permissions = { Read = { role = "roles/bigtable.reader", kind = "table", id = "projects/p/instances/i/tables/t", prefix = "f/" } }
  }
  expect_failures = [var.permissions]
}

run "bad_memory_of_processors" {
  command = plan
  variables {
    cpu       = 8
    memory_mb = 2048
  }
  expect_failures = [var.cpu]
}

run "bad_warm_instances" {
  command = plan
  variables {
    concurrency    = 160
    warm_instances = 3
  }
  expect_failures = [var.warm_instances]
}

run "bad_neither" {
  command = plan
  variables {
    package = null
  }
  expect_failures = [var.package]
}

run "bad_both" {
  command = plan
  variables {
    image   = "europe-west1-docker.pkg.dev/mycompany-web/hito/score:1"
    workers = -1
  }
  expect_failures = [var.package, var.workers]
}

run "bad_no_build" {
  command = plan
  variables {
    build = null
  }
  expect_failures = [var.build]
}

run "bad_workers_of_a_package" {
  command = plan
  variables {
    workers         = 1
    stream_triggers = { s = { stream = "projects/p/topics/t", subscription = "hito-enriched-score" } }
  }
  expect_failures = [var.workers]
}

run "bad_workers_of_nothing" {
  command = plan
  variables {
    package = null
    image   = "europe-west1-docker.pkg.dev/mycompany-web/hito/score:1"
    workers = 1
  }
  expect_failures = [var.workers]
}

run "bad_canary_of_workers" {
  command = plan
  variables {
    package         = null
    image           = "europe-west1-docker.pkg.dev/mycompany-web/hito/score:1"
    workers         = 1
    stream_triggers = { s = { stream = "projects/p/topics/t", subscription = "hito-enriched-score" } }
    canary          = { stable_version = "hito-score-00006-xyz", weight = 0.1 }
  }
  expect_failures = [var.workers]
}

run "bad_nobody_pushes" {
  command = plan
  variables {
    push_account      = null
    schedule_triggers = { sweep = { minutes = 1 } }
  }
  expect_failures = [var.push_account]
}

# What is refused for another's sake is looked at once that is right.
run "bad_for_others" {
  command = plan
  variables {
    build           = { bucket = "b", repository = "hito", account = "me@example.com" }
    timeout_seconds = 601 # Pub/Sub waits no longer
    push_account    = "me@example.com"
    stream_triggers = { s = { stream = "projects/p/topics/t", subscription = "hito-enriched-score" } }
  }
  expect_failures = [var.build, var.timeout_seconds, var.push_account]
}

run "bad_timeout" {
  command = plan
  variables {
    timeout_seconds = 3601
  }
  expect_failures = [var.timeout_seconds]
}
