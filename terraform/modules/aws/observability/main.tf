# Who watches: a topic that alerts go to, alarms that each lead to a runbook, and a dashboard.
#
# Alarms are two kinds: "page" wakes somebody, "ticket" waits until the morning. Both go to the topic; the kind stands first in
# the alarm's description, so that what receives them can tell.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  topic_arn = "arn:${local.partition}:sns:${var.region}:${var.account}:${local.topic}"
  topic     = "${var.name}-alerts"
  alarm_arn = "arn:${local.partition}:cloudwatch:${var.region}:${var.account}:alarm:${var.name}-"
}

resource "aws_sns_topic" "alerts" {
  name              = local.topic
  display_name      = var.name
  kms_master_key_id = var.encryption_key != null ? var.encryption_key : aws_kms_key.alerts[0].arn
  tags              = var.labels
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account }, ArnLike = { "aws:SourceArn" = "${local.alarm_arn}*" } }
      },
      {
        Sid       = "OnlyEncrypted"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "alerts" {
  for_each = var.notify

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = each.value.protocol
  endpoint  = each.value.address
}

resource "aws_kms_key" "alerts" {
  count = var.encryption_key == null ? 1 : 0

  description             = "Alerts of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  tags                    = var.labels

  # In a key's policy, "*" as the resource is this key.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administer"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${var.account}:root" } # whoever the account's own policies let
        Action = [
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateGrant", "kms:Decrypt", "kms:DeleteAlias", "kms:DescribeKey",
          "kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Encrypt",
          "kms:GenerateDataKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListGrants",
          "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:RevokeGrant", "kms:ScheduleKeyDeletion",
          "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
        ]
        Resource = "*"
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
      },
    ]
  })
}

# A line of the log that says ERROR is something nobody handled: each function has a metric of them.
resource "aws_cloudwatch_log_metric_filter" "errors" {
  for_each = var.functions

  name           = "${var.name}-${each.key}-errors-logged"
  log_group_name = each.value.log_group_name
  pattern        = "{ $.level = \"ERROR\" }"

  metric_transformation {
    namespace = var.namespace
    name      = "errors_logged_${each.value.name}" # a filter cannot set a dimension to a constant
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "[${each.value.severity}] ${each.value.says} Runbook: ${var.runbooks}/${each.value.runbook}.md"
  comparison_operator = try(each.value.below, false) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = try(each.value.breaching, each.value.periods)
  treat_missing_data  = each.value.missing
  tags                = merge(var.labels, { severity = each.value.severity })

  # What only feeds a composite alarm is silent itself.
  actions_enabled = !contains(var.quiet, each.key)
  alarm_actions   = try(each.value.silent, false) ? [] : [aws_sns_topic.alerts.arn]
  ok_actions      = try(each.value.silent, false) ? [] : [aws_sns_topic.alerts.arn]

  # One metric...
  namespace   = try(each.value.expression, null) == null ? each.value.metrics.m.namespace : null
  metric_name = try(each.value.expression, null) == null ? each.value.metrics.m.name : null
  dimensions  = try(each.value.expression, null) == null ? each.value.metrics.m.dimensions : null
  period      = try(each.value.expression, null) == null ? each.value.period : null
  statistic   = try(each.value.expression, null) == null ? each.value.metrics.m.statistic : null

  # ... or arithmetic over several.
  dynamic "metric_query" {
    for_each = try(each.value.expression, null) == null ? {} : each.value.metrics
    content {
      id = metric_query.key
      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.statistic
        period      = each.value.period
      }
    }
  }

  dynamic "metric_query" {
    for_each = try(each.value.expression, null) == null ? [] : [each.value.expression]
    content {
      id          = "alarm"
      label       = each.key
      expression  = metric_query.value
      return_data = true
    }
  }
}

# Too much of the budget went in the long window, and it is still going in the short one.
resource "aws_cloudwatch_composite_alarm" "burn" {
  for_each = local.burns

  alarm_name        = "${var.name}-latency-burn-${each.key}"
  alarm_description = "[${each.value.severity}] The budget of scored latency is spent ${each.value.rate} times too fast, over ${each.value.long / 60} and over ${each.value.short / 60} minutes. Runbook: ${var.runbooks}/latency-burn.md"
  alarm_rule        = join(" AND ", [for w in ["long", "short"] : "ALARM(\"${aws_cloudwatch_metric_alarm.this["latency-burn-${each.key}-${w}"].alarm_name}\")"])
  actions_enabled   = !contains(var.quiet, "latency-burn-${each.key}")
  alarm_actions     = [aws_sns_topic.alerts.arn]
  ok_actions        = [aws_sns_topic.alerts.arn]
  tags              = merge(var.labels, { severity = each.value.severity })
}
