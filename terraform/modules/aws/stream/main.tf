# A partitioned, ordered log that keeps records for a while: a Kinesis data stream.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  # Made of what is known before anything exists, so that a plan shows every policy in full.
  arn = "arn:${local.partition}:kinesis:${var.region}:${var.account}:stream/${var.name}"
}

resource "aws_kinesis_stream" "this" {
  name             = var.name
  retention_period = var.retention_hours
  shard_count      = var.shards
  encryption_type  = "KMS"
  kms_key_id       = coalesce(var.encryption_key, "alias/aws/kinesis")
  tags             = var.labels

  stream_mode_details {
    stream_mode = var.shards == null ? "ON_DEMAND" : "PROVISIONED"
  }
}

# Each consumer here is pushed records over its own 2 MB/s per shard, in some 70 ms, instead of
# sharing 2 MB/s and being polled once a second with all the others.
resource "aws_kinesis_stream_consumer" "this" {
  for_each = var.consumers

  name       = each.key
  stream_arn = aws_kinesis_stream.this.arn
}
