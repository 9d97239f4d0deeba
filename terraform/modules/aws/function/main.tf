# A function with everything that is its own: role, log, alias, address, triggers. AWS Lambda.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  arn       = "arn:${local.partition}:lambda:${var.region}:${var.account}:function:${var.name}"
  role_arn  = "arn:${local.partition}:iam::${var.account}:role/${local.role_name}"
  # Roles are global, functions regional: two regions of an account must not meet.
  role_name = "${var.name}-${var.region}"
  log_name  = "/aws/lambda/${var.name}"
  log_arn   = "arn:${local.partition}:logs:${var.region}:${var.account}:log-group:${local.log_name}"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.encryption_key
  tags              = var.labels
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  filename                       = var.package
  source_code_hash               = filebase64sha256(var.package)
  runtime                        = "provided.al2023"
  architectures                  = ["arm64"]
  handler                        = "bootstrap"
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = coalesce(var.concurrency, -1)
  kms_key_arn                    = length(var.environment) == 0 ? null : var.encryption_key
  publish                        = true
  tags                           = var.labels

  dynamic "environment" {
    for_each = length(var.environment) == 0 ? [] : [var.environment]

    content {
      variables = environment.value
    }
  }

  logging_config {
    log_group  = aws_cloudwatch_log_group.this.name
    log_format = "JSON"
    # Not above INFO: measurements are lines without a level, which counts as INFO.
    application_log_level = "INFO"
    # A start and a report line per invocation would cost more than the invocation: about 1 KB at $0.50
    # a GB, against $0.20 a million; at load that is about a tenth of the bill. Durations, errors and
    # throttles are metrics anyway, and the report of a call that fails or is killed comes with WARN.
    system_log_level = "WARN"
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  # The function must not run before it may, nor stay when it may not.
  depends_on = [aws_iam_role_policy.this]
}

# What everything calls. A new version gets all calls at once or, with canary, some of them.
resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "What is called."
  function_name    = aws_lambda_function.this.function_name
  function_version = var.canary == null ? aws_lambda_function.this.version : var.canary.stable_version

  dynamic "routing_config" {
    for_each = local.canary

    content {
      additional_version_weights = { (aws_lambda_function.this.version) = routing_config.value }
    }
  }
}

locals {
  # Nothing to route while the newest version is the stable one, or may have no calls.
  canary = [for c in var.canary == null ? [] : [var.canary] : c.weight if c.weight > 0 && c.stable_version != aws_lambda_function.this.version]
}

resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = var.warm_instances > 0 ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.warm_instances
}
