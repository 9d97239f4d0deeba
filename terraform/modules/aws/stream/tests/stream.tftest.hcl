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

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account         = "1234"
    region          = "Ireland"
    name            = "Hito Raw"
    shards          = 1.5
    retention_hours = 12
    encryption_key  = "alias/mine"
    consumers       = ["a consumer"]
    labels          = { "aws:mine" = "no" }
  }

  expect_failures = [
    var.account, var.region, var.name, var.shards, var.retention_hours,
    var.encryption_key, var.consumers, var.labels,
  ]
}
