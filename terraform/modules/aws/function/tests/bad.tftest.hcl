# What is refused.

mock_provider "aws" {}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito-score"
  package = "tests/package.zip"
}

run "bad_account" {
  command = plan
  variables {
    account = "123"
  }
  expect_failures = [var.account]
}

run "bad_region" {
  command = plan
  variables {
    region = "eu-west"
  }
  expect_failures = [var.region]
}

run "bad_name" {
  command = plan
  variables {
    name = "score!"
  }
  expect_failures = [var.name]
}

run "bad_description" {
  command = plan
  variables {
    description = format("%257s", "x")
  }
  expect_failures = [var.description]
}

run "bad_memory" {
  command = plan
  variables {
    memory_mb = 64
  }
  expect_failures = [var.memory_mb]
}

run "bad_timeout" {
  command = plan
  variables {
    timeout_seconds = 901
  }
  expect_failures = [var.timeout_seconds]
}

run "bad_concurrency" {
  command = plan
  variables {
    concurrency = -1
  }
  expect_failures = [var.concurrency]
}

run "bad_environment" {
  command = plan
  variables {
    environment = { AWS_REGION = "eu-west-1" }
  }
  expect_failures = [var.environment]
}

run "bad_permission_name" {
  command = plan
  variables {
    permissions = { "Read it" = { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::b/k"] } }
  }
  expect_failures = [var.permissions]
}

run "bad_all_actions" {
  command = plan
  variables {
    permissions = { Read = { actions = ["s3:*"], resources = ["arn:aws:s3:::b/k"] } }
  }
  expect_failures = [var.permissions]
}

run "bad_some_actions" {
  command = plan
  variables {
    permissions = { Read = { actions = ["s3:Get*"], resources = ["arn:aws:s3:::b/k"] } }
  }
  expect_failures = [var.permissions]
}

run "bad_all_resources" {
  command = plan
  variables {
    permissions = { Read = { actions = ["s3:GetObject"], resources = ["*"] } }
  }
  expect_failures = [var.permissions]
}

run "bad_no_resources" {
  command = plan
  variables {
    permissions = { Read = { actions = ["s3:GetObject"], resources = [] } }
  }
  expect_failures = [var.permissions]
}

run "bad_trigger_batch" {
  command = plan
  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", batch_size = 10001 } }
  }
  expect_failures = [var.stream_triggers]
}

run "bad_trigger_window" {
  command = plan
  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", window_seconds = 0.3 } }
  }
  expect_failures = [var.stream_triggers]
}

run "bad_trigger_parallelism" {
  command = plan
  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", parallelism = 11 } }
  }
  expect_failures = [var.stream_triggers]
}

run "bad_trigger_without_bound" {
  command = plan
  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", retries = -1 } }
  }
  expect_failures = [var.stream_triggers]
}

run "bad_trigger_without_age" {
  command = plan
  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", retry_seconds = -1 } }
  }
  expect_failures = [var.stream_triggers]
}

run "bad_trigger_start" {
  command = plan
  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", start = "NOW" } }
  }
  expect_failures = [var.stream_triggers]
}

run "bad_queue_batch" {
  command = plan
  variables {
    queue_triggers = { q = { queue = "arn:aws:sqs:eu-west-1:123456789012:q", batch_size = 100 } }
  }
  expect_failures = [var.queue_triggers]
}

run "bad_queue_window" {
  command = plan
  variables {
    queue_triggers = { q = { queue = "arn:aws:sqs:eu-west-1:123456789012:q", window_seconds = 301 } }
  }
  expect_failures = [var.queue_triggers]
}

run "bad_queue_concurrency" {
  command = plan
  variables {
    queue_triggers = { q = { queue = "arn:aws:sqs:eu-west-1:123456789012:q", concurrency = 1 } }
  }
  expect_failures = [var.queue_triggers]
}

run "bad_canary" {
  command = plan
  variables {
    canary = { stable_version = "$LATEST", weight = 0.1 }
  }
  expect_failures = [var.canary]
}

run "bad_canary_weight" {
  command = plan
  variables {
    canary = { stable_version = "6", weight = 1 }
  }
  expect_failures = [var.canary]
}

run "bad_dead_letter_queue" {
  command = plan
  variables {
    dead_letter_queue = "hito-dead"
  }
  expect_failures = [var.dead_letter_queue]
}

run "bad_log_level" {
  command = plan
  variables {
    log_level = "LOUD"
  }
  expect_failures = [var.log_level]
}

run "bad_log_retention" {
  command = plan
  variables {
    log_retention_days = 31
  }
  expect_failures = [var.log_retention_days]
}

run "bad_key" {
  command = plan
  variables {
    encryption_key = "mine"
  }
  expect_failures = [var.encryption_key]
}

run "bad_label" {
  command = plan
  variables {
    labels = { "aws:mine" = "no" }
  }
  expect_failures = [var.labels]
}

run "bad_package" {
  command = plan
  variables {
    package = "tests/nothing.zip"
  }
  expect_failures = [var.package]
}

run "bad_warm_instances" {
  command = plan
  variables {
    concurrency    = 5
    warm_instances = 6
  }
  expect_failures = [var.warm_instances]
}

run "bad_schedule" {
  command = plan
  variables {
    schedule_triggers = { sweep = { minutes = 0.5 } }
  }
  expect_failures = [var.schedule_triggers]
}

run "bad_trigger_names" {
  command = plan
  variables {
    stream_triggers = { same = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q" } }
    queue_triggers  = { same = { queue = "arn:aws:sqs:eu-west-1:123456789012:q" } }
  }
  expect_failures = [var.queue_triggers]
}
