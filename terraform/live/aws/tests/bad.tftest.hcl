# What is refused, each by a message that says what to do.

mock_provider "aws" {
  mock_resource "aws_kinesis_stream" {
    defaults = { arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/x" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/x" }
  }
}

mock_provider "aws" {
  alias = "us_east_1"
}

# Not used, since no key is made up, and so it asks nobody.
provider "aws" {
  alias                       = "keys"
  region                      = "eu-west-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  account       = "123456789012"
  region        = "eu-west-1"
  artifacts_dir = "tests/artifacts"
  # Mocks know no ephemeral resources.
  generate_secret_keys = false
  secret_keys          = { shop = ["a-secret-key"] }
}

run "bad_at_once" {
  command = plan
  variables {
    account             = "1"
    region              = "Frankfurt"
    name                = "a-name-that-is-too-long"
    labels              = { install = "mine" }
    functions           = { act = { memory_mb = 512 } }
    trusted_proxies     = -1
    secret_keys_version = 0
    shards              = { raw = 0, enriched = 1 }
    retention_hours     = 12
    encryption_key      = "mine"
    log_retention_days  = 31
    write_keys          = { shop = [] }
  }
  expect_failures = [
    var.account, var.region, var.name, var.labels, var.functions,
    var.trusted_proxies, var.secret_keys_version, var.shards, var.retention_hours, var.encryption_key,
    var.log_retention_days, var.write_keys,
  ]
}

run "bad_together" {
  command = plan
  variables {
    artifacts_dir = "tests"
    functions     = { beacon = { timeout_seconds = 301 } }
    secret_keys   = { shop = ["short"] }
    retry_hours   = 13
  }
  expect_failures = [var.artifacts_dir, var.functions, var.secret_keys, var.retry_hours]
}

run "bad_warm_canary" {
  command = plan
  variables {
    functions = { score = { warm_instances = 2, canary = { stable_version = "3", weight = 0.1 } } }
  }
  expect_failures = [var.functions]
}

run "bad_too_many_labels" {
  command = plan
  variables {
    labels = { for i in range(10) : "label-${i}" => "x" }
  }
  expect_failures = [var.labels]
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
