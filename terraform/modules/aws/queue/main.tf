# A queue, and the dead-letter queue that takes what nobody managed to handle: SQS.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  domain    = startswith(var.region, "cn-") ? "amazonaws.com.cn" : "amazonaws.com"

  dead_letter_name = "${var.name}-dead"
  # Made of what is known before anything exists, so that a plan shows every policy in full.
  arn             = "arn:${local.partition}:sqs:${var.region}:${var.account}:${var.name}"
  dead_letter_arn = "arn:${local.partition}:sqs:${var.region}:${var.account}:${local.dead_letter_name}"
  url             = "https://sqs.${var.region}.${local.domain}/${var.account}/${var.name}"
}

resource "aws_sqs_queue" "this" {
  name                       = var.name
  message_retention_seconds  = var.retention_hours * 3600
  visibility_timeout_seconds = var.visibility_seconds
  receive_wait_time_seconds  = 20
  tags                       = var.labels

  sqs_managed_sse_enabled           = var.encryption_key == null ? true : null
  kms_master_key_id                 = var.encryption_key
  kms_data_key_reuse_period_seconds = var.encryption_key == null ? null : 3600

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge(local.only_encrypted, { Resource = local.arn })]
  })

  redrive_policy = jsonencode({
    deadLetterTargetArn = local.dead_letter_arn
    maxReceiveCount     = var.max_deliveries
  })

  depends_on = [aws_sqs_queue.dead]
}

resource "aws_sqs_queue" "dead" {
  name = local.dead_letter_name
  # The longest there is: a message keeps the age it had in the queue before.
  message_retention_seconds = 14 * 24 * 3600
  tags                      = var.labels

  sqs_managed_sse_enabled           = var.encryption_key == null ? true : null
  kms_master_key_id                 = var.encryption_key
  kms_data_key_reuse_period_seconds = var.encryption_key == null ? null : 3600

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge(local.only_encrypted, { Resource = local.dead_letter_arn })]
  })

  # Of this queue only: nobody else's failures end up here.
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arn]
  })
}

locals {
  only_encrypted = {
    Sid       = "OnlyEncrypted"
    Effect    = "Deny"
    Principal = { AWS = "*" }
    Action    = "sqs:*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }
}
