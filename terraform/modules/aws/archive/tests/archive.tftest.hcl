mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/hito-archive-eu-west-1" }
  }
}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito-archive"
  stream  = "hito-enriched"
  bucket  = "hito-archive-123456789012-eu-west-1"
}

run "delivery" {
  assert {
    condition     = aws_kinesis_firehose_delivery_stream.this.kinesis_source_configuration[0].kinesis_stream_arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched"
    error_message = "It must read the stream."
  }
  assert {
    condition = (
      aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].buffering_size == 128 &&
      aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].buffering_interval == 300 &&
      aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].compression_format == "UNCOMPRESSED" &&
      aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].prefix == "enriched/!{timestamp:yyyy/MM/dd/HH}/" &&
      startswith(aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].error_output_prefix, "errors/")
    )
    error_message = "Large objects by date, as they are: packs are compressed already."
  }
}

run "least_privilege" {
  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Action])) == toset([
      "kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards",
      "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:AbortMultipartUpload", "s3:PutObject",
      "logs:PutLogEvents",
    ])
    error_message = "The role may read the stream, write the bucket and log, and nothing else."
  }
  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : toset(s.Resource) if s.Sid == "Write"]) == toset([
      "arn:aws:s3:::hito-archive-123456789012-eu-west-1/enriched/*", "arn:aws:s3:::hito-archive-123456789012-eu-west-1/errors/*",
    ])
    error_message = "It may write under its own prefixes only."
  }
  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition == {
      StringEquals = { "aws:SourceAccount" = "123456789012" }
      ArnLike      = { "aws:SourceArn" = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/hito-archive" }
    }
    error_message = "Only this delivery may take on the role."
  }
}

run "own_keys" {
  command = plan
  variables {
    stream_key     = "arn:aws:kms:eu-west-1:123456789012:key/1"
    encryption_key = "arn:aws:kms:eu-west-1:123456789012:key/2"
  }
  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid => s.Resource if contains(["Decrypt", "Encrypt"], s.Sid) } == {
      Decrypt = "arn:aws:kms:eu-west-1:123456789012:key/1"
      Encrypt = "arn:aws:kms:eu-west-1:123456789012:key/2"
    }
    error_message = "It must be able to read what the stream's key encrypts, and to encrypt with the bucket's."
  }
  assert {
    condition     = aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].kms_key_arn == var.encryption_key && aws_cloudwatch_log_group.this.kms_key_id == var.encryption_key
    error_message = "Objects and log must be encrypted with the key."
  }
}

run "bad_settings" {
  command = plan
  variables {
    account            = "12345"
    region             = "Ireland"
    name               = "Archive"
    stream             = "a/b"
    bucket             = "B"
    prefix             = "errors/"
    buffer             = { megabytes = 500 }
    stream_key         = "alias/x"
    encryption_key     = "alias/x"
    log_retention_days = 2
  }
  expect_failures = [var.account, var.region, var.name, var.stream, var.bucket, var.prefix, var.buffer, var.stream_key, var.encryption_key, var.log_retention_days]
}
