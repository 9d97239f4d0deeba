# A queue, and the dead-letter queue that takes what nobody managed to handle: SQS.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  suffix    = startswith(var.region, "cn-") ? "amazonaws.com.cn" : "amazonaws.com"

  dead_letter_name = "${var.name}-dead"
  arn              = "arn:${local.partition}:sqs:${var.region}:${var.account}:${var.name}"
  dead_letter_arn  = "arn:${local.partition}:sqs:${var.region}:${var.account}:${local.dead_letter_name}"
  # As SQS itself names it, so that who is told the URL in its environment shows it in the plan.
  url = "https://sqs.${var.region}.${local.suffix}/${var.account}/${var.name}"
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

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.max_deliveries
  })
}

resource "aws_sqs_queue" "dead" {
  name = local.dead_letter_name
  # The longest there is: a message keeps the age it had in the queue before.
  message_retention_seconds = 14 * 24 * 3600
  tags                      = var.labels

  sqs_managed_sse_enabled           = var.encryption_key == null ? true : null
  kms_master_key_id                 = var.encryption_key
  kms_data_key_reuse_period_seconds = var.encryption_key == null ? null : 3600
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this.arn]
  })
}

resource "aws_sqs_queue_policy" "this" {
  for_each = {
    main = { url = aws_sqs_queue.this.id, arn = local.arn }
    dead = { url = aws_sqs_queue.dead.id, arn = local.dead_letter_arn }
  }

  queue_url = each.value.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyEncrypted"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = "sqs:*"
      Resource  = each.value.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
