mock_provider "aws" {
  mock_resource "aws_kinesis_stream" {
    defaults = { arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-raw" }
  }
}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito-raw"
}

run "on_demand_and_encrypted_by_default" {
  assert {
    condition     = aws_kinesis_stream.this.stream_mode_details[0].stream_mode == "ON_DEMAND" && aws_kinesis_stream.this.shard_count == null
    error_message = "A stream without shards must be on demand."
  }
  assert {
    condition     = aws_kinesis_stream.this.encryption_type == "KMS" && aws_kinesis_stream.this.kms_key_id == "alias/aws/kinesis"
    error_message = "A stream must be encrypted."
  }
  assert {
    condition     = aws_kinesis_stream.this.retention_period == 24 && length(aws_kinesis_stream_consumer.this) == 0
    error_message = "Defaults must cost nothing more."
  }
  assert {
    condition     = output.arn == aws_kinesis_stream.this.arn
    error_message = "The ARN that is known before is not the stream's."
  }
}

run "provisioned" {
  command = plan

  variables {
    shards          = 40
    retention_hours = 168
    encryption_key  = "arn:aws:kms:eu-west-1:123456789012:key/1234"
    labels          = { team = "web" }
  }

  assert {
    condition     = aws_kinesis_stream.this.stream_mode_details[0].stream_mode == "PROVISIONED" && aws_kinesis_stream.this.shard_count == 40
    error_message = "shards must be provisioned."
  }
  assert {
    condition     = aws_kinesis_stream.this.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/1234" && aws_kinesis_stream.this.retention_period == 168
    error_message = "The key and retention given must be used."
  }
  assert {
    condition     = aws_kinesis_stream.this.tags["team"] == "web"
    error_message = "Labels must be put on the stream."
  }
}

run "consumers" {
  variables {
    consumers = ["enrich", "archive"]
  }

  assert {
    condition     = keys(output.consumer_arns) == ["archive", "enrich"] && aws_kinesis_stream_consumer.this["enrich"].stream_arn == aws_kinesis_stream.this.arn
    error_message = "Every consumer must be registered with the stream."
  }
}

run "china" {
  command = plan

  variables {
    region = "cn-north-1"
  }

  assert {
    condition     = output.arn == "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/hito-raw"
    error_message = "China is a partition of its own."
  }
}

run "bad_account" {
  command = plan
  variables {
    account = "1234"
  }
  expect_failures = [var.account]
}

run "bad_region" {
  command = plan
  variables {
    region = "Ireland"
  }
  expect_failures = [var.region]
}

run "bad_name" {
  command = plan
  variables {
    name = "Hito Raw"
  }
  expect_failures = [var.name]
}

run "bad_shards" {
  command = plan
  variables {
    shards = 1.5
  }
  expect_failures = [var.shards]
}

run "bad_retention" {
  command = plan
  variables {
    retention_hours = 12
  }
  expect_failures = [var.retention_hours]
}

run "bad_key" {
  command = plan
  variables {
    encryption_key = "alias/mine"
  }
  expect_failures = [var.encryption_key]
}

run "bad_consumer" {
  command = plan
  variables {
    consumers = ["a consumer"]
  }
  expect_failures = [var.consumers]
}

run "bad_label" {
  command = plan
  variables {
    labels = { "aws:mine" = "no" }
  }
  expect_failures = [var.labels]
}
