# What is refused, each by a message that says what to do.

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

run "bad_at_once" {
  command = plan
  variables {
    account             = "123456789012"
    project_number      = "mycompany-web"
    region              = "Frankfurt"
    name                = "a-name-that-is-too-long"
    labels              = { install = "mine" }
    functions           = { act = { memory_mb = 512 } }
    trusted_proxies     = -1
    secret_keys_version = 0
    retention_hours     = 745
    encryption_key      = "mine"
    write_keys          = { shop = [] }
    archive             = { expire_days = 0 }
    store               = "datastore"
  }
  expect_failures = [
    var.account, var.project_number, var.region, var.name, var.labels, var.functions, var.trusted_proxies,
    var.secret_keys_version, var.retention_hours, var.encryption_key, var.write_keys, var.archive, var.store,
  ]
}

run "bad_together" {
  command = plan
  variables {
    artifacts_dir = "tests"
    secret_keys   = { shop = ["short"] }
  }
  expect_failures = [var.artifacts_dir, var.secret_keys]
}

run "bad_timeout" {
  command = plan
  variables {
    functions = { beacon = { timeout_seconds = 301 } }
  }
  expect_failures = [var.functions]
}

run "bad_workers_without_image" {
  command = plan
  variables {
    functions = { score = { workers = 2 } }
  }
  expect_failures = [var.functions]
}

run "bad_workers_of_http" {
  command = plan
  variables {
    functions = { beacon = { workers = 2, image = "europe-west1-docker.pkg.dev/mycompany-web/hito/beacon:1" } }
  }
  expect_failures = [var.functions]
}

run "bad_secret_of_nobody" {
  command = plan
  variables {
    secret_keys = { bar = ["a-secret-key"] }
  }
  expect_failures = [var.secret_keys]
}

run "bad_key_twice" {
  command = plan
  variables {
    write_keys = { shop = ["one", "one"] }
  }
  expect_failures = [var.write_keys]
}

run "bad_project_without_file" {
  command = plan
  variables {
    write_keys = { shop = ["one"], bar = ["two"] }
  }
  expect_failures = [var.write_keys]
}

run "bad_project_called_keys" {
  command = plan
  variables {
    write_keys = { keys = ["one"] }
  }
  expect_failures = [var.write_keys]
}

run "bad_no_projects" {
  command = plan
  variables {
    projects_dir = "tests"
  }
  expect_failures = [var.projects_dir]
}

run "bad_table" {
  command = plan
  variables {
    zone           = "europe-west4-a"
    table_capacity = { min_nodes = 1, max_nodes = 11 }
  }
  expect_failures = [var.zone, var.table_capacity]
}

run "bad_canary_of_workers" {
  command = plan
  variables {
    functions = { score = { workers = 2, image = "europe-west1-docker.pkg.dev/mycompany-web/hito/score:1", canary = { stable_version = "hito-score-00007-abc", weight = 0.1 } } }
  }
  expect_failures = [var.functions]
}

run "bad_threshold" {
  command = plan
  variables {
    thresholds = { iterator_age = 60 }
  }
  expect_failures = [var.thresholds]
}
