# The firewall before CloudFront: WAF. It must be made in us-east-1, wherever the rest is: hand this module that provider.
# (An HTTP API of API Gateway takes no firewall; its throttle is all there is.)

resource "aws_wafv2_web_acl" "this" {
  name        = var.name
  description = "In front of ${var.name}"
  scope       = "CLOUDFRONT"
  tags        = var.labels

  default_action {
    allow {}
  }

  rule {
    name     = "rate-per-address"
    priority = 0
    action {
      block {
        custom_response {
          response_code = 429 # what SDKs send again after, where 403 makes them give up
          response_header {
            name  = "Retry-After"
            value = "60"
          }
        }
      }
    }
    statement {
      rate_based_statement {
        limit                 = var.requests_per_address
        evaluation_window_sec = 300
        aggregate_key_type    = "IP"
      }
    }
    visibility_config {
      metric_name                = "${var.name}-rate-per-address"
      cloudwatch_metrics_enabled = true
      sampled_requests_enabled   = true
    }
  }

  # A batch is 500 KB at most. A firewall sees only the beginning of a body, but a length of seven digits shows.
  rule {
    name     = "body-too-long"
    priority = 1
    action {
      block {
        custom_response {
          response_code = 413
        }
      }
    }
    statement {
      regex_match_statement {
        regex_string = "^[0-9]{7,}$"
        field_to_match {
          single_header {
            name = "content-length"
          }
        }
        text_transformation {
          priority = 0
          type     = "NONE"
        }
      }
    }
    visibility_config {
      metric_name                = "${var.name}-body-too-long"
      cloudwatch_metrics_enabled = true
      sampled_requests_enabled   = true
    }
  }

  dynamic "rule" {
    for_each = var.common_rules == "off" ? [] : [var.common_rules]
    content {
      name     = "aws-common"
      priority = 2
      override_action {
        dynamic "count" {
          for_each = rule.value == "count" ? [1] : []
          content {}
        }
        dynamic "none" {
          for_each = rule.value == "block" ? [1] : []
          content {}
        }
      }
      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = "AWSManagedRulesCommonRuleSet"
          dynamic "rule_action_override" {
            for_each = var.only_count
            content {
              name = rule_action_override.value
              action_to_use {
                count {}
              }
            }
          }
        }
      }
      visibility_config {
        metric_name                = "${var.name}-aws-common"
        cloudwatch_metrics_enabled = true
        sampled_requests_enabled   = true
      }
    }
  }

  visibility_config {
    metric_name                = var.name
    cloudwatch_metrics_enabled = true
    sampled_requests_enabled   = true
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "aws-waf-logs-${var.name}" # WAF insists on the prefix
  retention_in_days = var.log_retention_days
  tags              = var.labels
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.this.arn]

  # Keys and what beacons carry in the query stay out of the log.
  dynamic "redacted_fields" {
    for_each = ["authorization", "x-write-key", "cookie"]
    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }
  redacted_fields {
    query_string {}
  }

  # What was let through without a remark is in the functions' metrics.
  logging_filter {
    default_behavior = "DROP"
    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"
      condition {
        action_condition {
          action = "BLOCK"
        }
      }
      condition {
        action_condition {
          action = "COUNT"
        }
      }
    }
  }
}
