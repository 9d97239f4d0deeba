mock_provider "aws" {
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/hito/1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:aws-waf-logs-hito" }
  }
}

variables {
  name = "hito"
}

run "defaults" {
  assert {
    condition     = aws_wafv2_web_acl.this.scope == "CLOUDFRONT" && toset([for r in aws_wafv2_web_acl.this.rule : r.name if try(length(r.action[0].block), 0) > 0]) == toset(["rate-per-address", "body-too-long"])
    error_message = "A flood and a body far too long are blocked, nothing else."
  }
  assert {
    condition     = one([for r in aws_wafv2_web_acl.this.rule : length(r.override_action[0].count) if r.name == "aws-common"]) == 1
    error_message = "AWS' common rules only count by default."
  }
  assert {
    condition     = startswith(aws_cloudwatch_log_group.this.name, "aws-waf-logs-") && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "The log must have the name WAF insists on, and an end."
  }
  assert {
    condition     = toset(flatten([for f in aws_wafv2_web_acl_logging_configuration.this.redacted_fields : [for h in f.single_header : h.name]])) == toset(["authorization", "x-write-key", "cookie"])
    error_message = "Keys must stay out of the log."
  }
}

run "blocking" {
  variables {
    common_rules         = "block"
    requests_per_address = 500
  }
  assert {
    condition     = one([for r in aws_wafv2_web_acl.this.rule : r.statement[0].rate_based_statement[0].limit if r.name == "rate-per-address"]) == 500
    error_message = "The rate must be as given."
  }
  assert {
    condition     = one([for r in aws_wafv2_web_acl.this.rule : length(r.override_action[0].none) if r.name == "aws-common"]) == 1
    error_message = "The common rules must block."
  }
  assert {
    condition = contains(one([for r in aws_wafv2_web_acl.this.rule :
      [for o in r.statement[0].managed_rule_group_statement[0].rule_action_override : o.name] if r.name == "aws-common"
    ]), "SizeRestrictions_BODY")
    error_message = "A batch is longer than the 8 KB that the common rules let through."
  }
}

run "off" {
  variables {
    common_rules = "off"
  }
  assert {
    condition     = length([for r in aws_wafv2_web_acl.this.rule : r if r.name == "aws-common"]) == 0
    error_message = "The common rules must be off."
  }
}

run "bad_settings" {
  command = plan
  variables {
    name                 = "-"
    common_rules         = "maybe"
    requests_per_address = 10
    log_retention_days   = 0
  }
  expect_failures = [var.name, var.common_rules, var.requests_per_address, var.log_retention_days]
}
