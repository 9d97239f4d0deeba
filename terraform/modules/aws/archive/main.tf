# A copy of a stream's records for good: Kinesis Data Firehose into a bucket.
#
# A record's data is a pack, a binary frame that says its own length, so an object is packs one after the other, nothing
# between them, and nothing to compress: packs are compressed already. Firehose polls each shard once a second, and shares
# the shard's 2 MB/s with the other readers that poll.

locals {
  partition  = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  domain     = startswith(var.region, "cn-") ? "amazonaws.com.cn" : "amazonaws.com"
  arn        = "arn:${local.partition}:firehose:${var.region}:${var.account}:deliverystream/${var.name}"
  stream_arn = "arn:${local.partition}:kinesis:${var.region}:${var.account}:stream/${var.stream}"
  bucket_arn = "arn:${local.partition}:s3:::${var.bucket}"
  log_group  = "/aws/kinesisfirehose/${var.name}"
  log_arn    = "arn:${local.partition}:logs:${var.region}:${var.account}:log-group:${local.log_group}:log-stream:delivery"
}

resource "aws_iam_role" "this" {
  name        = "${var.name}-${var.region}" # roles are global, deliveries regional
  description = "What the delivery ${var.name} may do."
  tags        = var.labels

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # Nobody else's delivery may borrow the role.
      Condition = { StringEquals = { "aws:SourceAccount" = var.account }, ArnLike = { "aws:SourceArn" = local.arn } }
    }]
  })
}

# https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html
resource "aws_iam_role_policy" "this" {
  name = var.name
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        Resource = local.stream_arn
      },
      {
        Sid      = "FindOut"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = local.bucket_arn
      },
      {
        Sid      = "Write"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
        Resource = ["${local.bucket_arn}/${var.prefix}*", "${local.bucket_arn}/errors/*"]
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = "logs:PutLogEvents"
        Resource = local.log_arn
      },
      ],
      var.stream_key == null ? [] : [{
        Sid       = "Decrypt"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.stream_key
        Condition = { StringEquals = { "kms:ViaService" = "kinesis.${var.region}.${local.domain}" } }
      }],
      var.encryption_key == null ? [] : [{
        Sid       = "Encrypt"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.encryption_key
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.${local.domain}" } }
    }])
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.encryption_key
  tags              = var.labels
}

resource "aws_cloudwatch_log_stream" "this" {
  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.this.name
}

# Firehose itself keeps nothing that would have to be encrypted: reading from a stream, it takes over the stream's encryption.
resource "aws_kinesis_firehose_delivery_stream" "this" {
  name        = var.name
  destination = "extended_s3"
  tags        = var.labels

  kinesis_source_configuration {
    kinesis_stream_arn = local.stream_arn
    role_arn           = aws_iam_role.this.arn
  }

  extended_s3_configuration {
    role_arn            = aws_iam_role.this.arn
    bucket_arn          = local.bucket_arn
    prefix              = "${var.prefix}!{timestamp:yyyy/MM/dd/HH}/"
    error_output_prefix = "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"
    file_extension      = ".pack"
    buffering_size      = var.buffer.megabytes
    buffering_interval  = var.buffer.seconds
    compression_format  = "UNCOMPRESSED"
    kms_key_arn         = var.encryption_key # null: the bucket encrypts with its own default

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.this.name
      log_stream_name = aws_cloudwatch_log_stream.this.name
    }
  }

  # It looks whether it may read as soon as it is made.
  depends_on = [aws_iam_role_policy.this]
}
