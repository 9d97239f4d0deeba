# What is refused.

mock_provider "aws" {}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito-score"
  package = "tests/package.zip"
}

run "bad_1" {
  command = plan

  variables {
    account            = "123"
    region             = "eu-west"
    name               = "score!"
    description        = format("%257s", "x")
    memory_mb          = 64
    timeout_seconds    = 901
    concurrency        = -1
    environment        = { AWS_REGION = "eu-west-1" }
    permissions        = { "Read it" = { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::b/k"] } }
    stream_triggers    = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", batch_size = 10001 } }
    canary             = { stable_version = "$LATEST", weight = 0.1 }
    log_retention_days = 31
    encryption_key     = "mine"
    labels             = { "aws:mine" = "no" }
    package            = "tests/nothing.zip"
    schedule_triggers  = { sweep = { minutes = 0.5 } }
  }

  expect_failures = [
    var.account, var.region, var.name, var.description, var.memory_mb,
    var.timeout_seconds, var.concurrency, var.environment, var.permissions, var.stream_triggers,
    var.canary, var.log_retention_days,
    var.encryption_key, var.labels, var.package, var.schedule_triggers,
  ]
}

run "bad_gives_up_to_nowhere" {
  command = plan

  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s" } }
  }

  expect_failures = [var.stream_triggers]
}

run "bad_gives_up_and_does_not" {
  command = plan

  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", gives_up = false, failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q" } }
  }

  expect_failures = [var.stream_triggers]
}

run "bad_2" {
  command = plan

  variables {
    permissions     = { Read = { actions = ["s3:*"], resources = ["arn:aws:s3:::b/k"] } }
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", window_seconds = 0.3 } }
    canary          = { stable_version = "6", weight = 1 }
  }

  expect_failures = [var.permissions, var.stream_triggers, var.canary]
}

run "bad_3" {
  command = plan

  variables {
    permissions     = { Read = { actions = ["s3:Get*"], resources = ["arn:aws:s3:::b/k"] } }
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", parallelism = 11 } }
  }

  expect_failures = [var.permissions, var.stream_triggers]
}

run "bad_4" {
  command = plan

  variables {
    permissions     = { Read = { actions = ["s3:GetObject"], resources = ["*"] } }
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", retries = -1 } }
  }

  expect_failures = [var.permissions, var.stream_triggers]
}

run "bad_5" {
  command = plan

  variables {
    permissions     = { Read = { actions = ["s3:GetObject"], resources = [] } }
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", retry_seconds = -1 } }
  }

  expect_failures = [var.permissions, var.stream_triggers]
}

run "bad_6" {
  command = plan

  variables {
    stream_triggers = { s = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q", start = "NOW" } }
  }

  expect_failures = [var.stream_triggers]
}

run "bad_warm_instances" {
  command = plan
  variables {
    concurrency    = 5
    warm_instances = 6
  }
  expect_failures = [var.warm_instances]
}

# Lambda refuses it, after everything else was changed.
run "bad_warm_canary" {
  command = plan
  variables {
    warm_instances = 2
    canary         = { stable_version = "6", weight = 0.1 }
  }
  expect_failures = [var.warm_instances]
}

run "bad_trigger_names" {
  command = plan
  variables {
    stream_triggers = { same = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s", failure_queue = "arn:aws:sqs:eu-west-1:123456789012:q" } }
    queue_triggers  = { same = { queue = "arn:aws:sqs:eu-west-1:123456789012:q" } }
  }
  expect_failures = [var.queue_triggers]
}

run "bad_queue_1" {
  command = plan

  variables {
    queue_triggers = { q = { queue = "arn:aws:sqs:eu-west-1:123456789012:q", batch_size = 100 } }
  }

  expect_failures = [var.queue_triggers]
}

run "bad_queue_2" {
  command = plan

  variables {
    queue_triggers = { q = { queue = "arn:aws:sqs:eu-west-1:123456789012:q", window_seconds = 301 } }
  }

  expect_failures = [var.queue_triggers]
}

run "bad_queue_3" {
  command = plan

  variables {
    queue_triggers = { q = { queue = "arn:aws:sqs:eu-west-1:123456789012:q", concurrency = 1 } }
  }

  expect_failures = [var.queue_triggers]
}
