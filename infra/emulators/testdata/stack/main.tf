# One of everything that moto's fixes are for. It is applied to moto alone.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = "us-east-1"
  default_tags { tags = { project = "hito" } }
}

variable "zip" { type = string }

locals { functions = toset(["beacon", "score"]) }

resource "aws_kinesis_stream" "raw" {
  name             = "raw"
  retention_period = 48
  encryption_type  = "KMS"
  kms_key_id       = "alias/aws/kinesis"
  stream_mode_details { stream_mode = "ON_DEMAND" }
}

resource "aws_dynamodb_table" "hito" {
  name         = "hito"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  dynamic "attribute" {
    for_each = ["pk", "q", "at"]
    content {
      name = attribute.value
      type = "S"
    }
  }
  global_secondary_index {
    name            = "quarantine"
    hash_key        = "q"
    range_key       = "at"
    projection_type = "ALL"
  }
  ttl {
    attribute_name = "ttl"
    enabled        = true
  }
  point_in_time_recovery { enabled = true }
  server_side_encryption { enabled = true }
}

resource "aws_sqs_queue" "dead" {
  name                    = "actions-dead"
  sqs_managed_sse_enabled = true
}

resource "aws_sqs_queue" "actions" {
  name                       = "actions"
  visibility_timeout_seconds = 180
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = 5 })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url            = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.actions.arn] })
}

resource "aws_sqs_queue_policy" "actions" {
  queue_url = aws_sqs_queue.actions.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TLS", Effect = "Deny", Principal = "*", Action = "sqs:*", Resource = aws_sqs_queue.actions.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_s3_bucket" "projects" {
  bucket        = "hito-projects"
  force_destroy = true
}

resource "aws_s3_bucket_versioning" "projects" {
  bucket = aws_s3_bucket.projects.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_public_access_block" "projects" {
  bucket                  = aws_s3_bucket.projects.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "projects" {
  bucket     = aws_s3_bucket.projects.id
  depends_on = [aws_s3_bucket_public_access_block.projects]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TLS", Effect = "Deny", Principal = "*", Action = "s3:*"
      Resource  = [aws_s3_bucket.projects.arn, "${aws_s3_bucket.projects.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_s3_object" "keys" {
  bucket     = aws_s3_bucket.projects.id
  key        = "projects/keys.yaml"
  content    = "shop: {}\n"
  depends_on = [aws_s3_bucket_policy.projects, aws_s3_bucket_versioning.projects]
}

resource "aws_secretsmanager_secret" "keys" {
  name                    = "hito-keys"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "keys" {
  secret_id     = aws_secretsmanager_secret.keys.id
  secret_string = "shop: {secret: [demo-secret]}"
}

resource "aws_iam_role" "function" {
  for_each = local.functions
  name     = each.key
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions
  name     = "hito"
  role     = aws_iam_role.function[each.key].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["dynamodb:BatchGetItem"], Resource = [aws_dynamodb_table.hito.arn] }]
  })
}

resource "aws_cloudwatch_log_group" "function" {
  for_each          = local.functions
  name              = "/hito/${each.key}"
  retention_in_days = 14
}

resource "aws_lambda_function" "function" {
  for_each                       = local.functions
  function_name                  = each.key
  role                           = aws_iam_role.function[each.key].arn
  runtime                        = "provided.al2023"
  architectures                  = ["arm64"]
  handler                        = "bootstrap"
  filename                       = var.zip
  source_code_hash               = filebase64sha256(var.zip)
  publish                        = true
  memory_size                    = 512
  timeout                        = 30
  reserved_concurrent_executions = 10
  environment { variables = { HITO_TABLE = aws_dynamodb_table.hito.name } }
  dead_letter_config { target_arn = aws_sqs_queue.dead.arn }
  tracing_config { mode = "Active" }
  ephemeral_storage { size = 1024 }
  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    application_log_level = "INFO"
    system_log_level      = "WARN"
  }
}

resource "aws_lambda_alias" "live" {
  for_each         = local.functions
  name             = "live"
  function_name    = aws_lambda_function.function[each.key].function_name
  function_version = aws_lambda_function.function[each.key].version
}

resource "aws_lambda_provisioned_concurrency_config" "beacon" {
  function_name                     = aws_lambda_alias.live["beacon"].function_name
  qualifier                         = aws_lambda_alias.live["beacon"].name
  provisioned_concurrent_executions = 2
}

resource "aws_lambda_function_url" "beacon" {
  function_name      = aws_lambda_function.function["beacon"].function_name
  qualifier          = aws_lambda_alias.live["beacon"].name
  authorization_type = "NONE"
  cors {
    allow_origins = ["*"]
    max_age       = 3600
  }
}

resource "aws_lambda_permission" "url" {
  statement_id           = "url"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.function["beacon"].function_name
  qualifier              = aws_lambda_alias.live["beacon"].name
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_function_event_invoke_config" "score" {
  function_name          = aws_lambda_function.function["score"].function_name
  maximum_retry_attempts = 1
}

resource "aws_lambda_event_source_mapping" "stream" {
  event_source_arn                   = aws_kinesis_stream.raw.arn
  function_name                      = aws_lambda_alias.live["score"].arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 500
  maximum_batching_window_in_seconds = 1
  parallelization_factor             = 2
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = 5
  maximum_record_age_in_seconds      = 3600
  function_response_types            = ["ReportBatchItemFailures"]
  destination_config {
    on_failure { destination_arn = aws_sqs_queue.dead.arn }
  }
}

resource "aws_lambda_event_source_mapping" "queue" {
  event_source_arn        = aws_sqs_queue.actions.arn
  function_name           = aws_lambda_alias.live["score"].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
  scaling_config { maximum_concurrency = 5 }
}

resource "aws_appautoscaling_target" "beacon" {
  service_namespace  = "lambda"
  resource_id        = "function:${aws_lambda_alias.live["beacon"].function_name}:live"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  min_capacity       = 2
  max_capacity       = 20
}

resource "aws_codedeploy_app" "hito" {
  name             = "hito"
  compute_platform = "Lambda"
}

resource "aws_codedeploy_deployment_config" "slow" {
  deployment_config_name = "slow"
  compute_platform       = "Lambda"
  traffic_routing_config {
    type = "TimeBasedLinear"
    time_based_linear {
      interval   = 2
      percentage = 10
    }
  }
}

resource "aws_codedeploy_deployment_group" "score" {
  app_name               = aws_codedeploy_app.hito.name
  deployment_group_name  = "score"
  service_role_arn       = aws_iam_role.function["score"].arn
  deployment_config_name = aws_codedeploy_deployment_config.slow.deployment_config_name
  deployment_style {
    deployment_option = "WITH_TRAFFIC_CONTROL"
    deployment_type   = "BLUE_GREEN"
  }
  auto_rollback_configuration {
    enabled = true
    events  = ["DEPLOYMENT_FAILURE"]
  }
  alarm_configuration {
    enabled = true
    alarms  = [aws_cloudwatch_metric_alarm.age.alarm_name]
  }
}

resource "aws_sns_topic" "alarms" { name = "alarms" }

resource "aws_cloudwatch_metric_alarm" "age" {
  alarm_name          = "age"
  namespace           = "AWS/Lambda"
  metric_name         = "IteratorAge"
  dimensions          = { FunctionName = aws_lambda_function.function["score"].function_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  threshold           = 60000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "quarantined" {
  alarm_name          = "quarantined"
  evaluation_periods  = 1
  threshold           = 0.01
  comparison_operator = "GreaterThanThreshold"
  metric_query {
    id          = "share"
    expression  = "bad / all"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { bad = "quarantined", all = "accepted" }
    content {
      id = metric_query.key
      metric {
        namespace   = "hito"
        metric_name = metric_query.value
        period      = 60
        stat        = "Sum"
        dimensions  = { function = "beacon" }
      }
    }
  }
}

resource "aws_cloudwatch_composite_alarm" "all" {
  alarm_name        = "all"
  alarm_description = "Anything"
  alarm_rule        = "ALARM(${aws_cloudwatch_metric_alarm.age.alarm_name}) OR ALARM(${aws_cloudwatch_metric_alarm.quarantined.alarm_name})"
  alarm_actions     = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_log_metric_filter" "panics" {
  name           = "panics"
  log_group_name = aws_cloudwatch_log_group.function["score"].name
  pattern        = "panic"
  metric_transformation {
    name      = "panics"
    namespace = "hito"
    value     = "1"
  }
}

resource "aws_cloudwatch_dashboard" "hito" {
  dashboard_name = "hito"
  dashboard_body = jsonencode({ widgets = [{ type = "text", x = 0, y = 0, width = 6, height = 2, properties = { markdown = "hito" } }] })
}

resource "aws_xray_sampling_rule" "hito" {
  rule_name      = "hito"
  priority       = 100
  version        = 1
  reservoir_size = 1
  fixed_rate     = 0.01
  host           = "*"
  http_method    = "*"
  url_path       = "*"
  service_name   = "hito-*"
  service_type   = "*"
  resource_arn   = "*"
}

resource "aws_xray_group" "hito" {
  group_name        = "hito"
  filter_expression = "service(\"hito\")"
}

resource "aws_budgets_budget" "month" {
  name         = "hito"
  budget_type  = "COST"
  limit_amount = "100"
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  notification {
    comparison_operator        = "GREATER_THAN"
    notification_type          = "ACTUAL"
    threshold                  = 80
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = ["ops@example.com"]
  }
}
