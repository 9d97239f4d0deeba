# What calls the function: streams, queues, schedules, and HTTP.

resource "aws_lambda_event_source_mapping" "stream" {
  for_each = var.stream_triggers

  function_name     = aws_lambda_alias.live.arn
  event_source_arn  = each.value.consumer == null ? each.value.stream : each.value.consumer.arn
  starting_position = each.value.start
  enabled           = each.value.enabled
  tags              = var.labels

  batch_size                         = each.value.batch_size
  maximum_batching_window_in_seconds = each.value.window_seconds
  parallelization_factor             = each.value.parallelism

  # What failed is named by its position, so that only that and what follows comes again; a batch that
  # fails without an answer is halved until what breaks it is alone.
  function_response_types        = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error = true

  # No record holds up its shard for ever: after these bounds, where it stands goes to the failure queue. -1 is no bound.
  maximum_retry_attempts        = each.value.gives_up ? each.value.retries : -1
  maximum_record_age_in_seconds = each.value.gives_up ? each.value.retry_seconds : -1

  dynamic "destination_config" {
    for_each = each.value.gives_up ? [each.value.failure_queue] : []

    content {
      on_failure {
        destination_arn = destination_config.value
      }
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_lambda_event_source_mapping" "queue" {
  for_each = var.queue_triggers

  function_name           = aws_lambda_alias.live.arn
  event_source_arn        = each.value.queue
  enabled                 = each.value.enabled
  batch_size              = each.value.batch_size
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = var.labels

  maximum_batching_window_in_seconds = each.value.window_seconds

  scaling_config {
    maximum_concurrency = each.value.concurrency
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = var.schedule_triggers

  name                = "${var.name}-${each.key}"
  description         = "Calls ${var.name} every ${each.value.minutes == 1 ? "minute" : "${each.value.minutes} minutes"}."
  schedule_expression = each.value.minutes == 1 ? "rate(1 minute)" : "rate(${each.value.minutes} minutes)"
  state               = each.value.enabled ? "ENABLED" : "DISABLED"
  tags                = var.labels
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = var.schedule_triggers

  rule = aws_cloudwatch_event_rule.this[each.key].name
  arn  = aws_lambda_alias.live.arn

  # What could not be called for before the next time is due is not called for any more.
  retry_policy {
    maximum_event_age_in_seconds = max(60, each.value.minutes * 60)
    maximum_retry_attempts       = 2
  }

  depends_on = [aws_lambda_permission.schedule]
}

resource "aws_lambda_permission" "schedule" {
  for_each = var.schedule_triggers

  statement_id  = "schedule-${each.key}"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}

# A schedule's calls are asynchronous: Lambda would repeat one that fails for six hours.
resource "aws_lambda_function_event_invoke_config" "live" {
  count = length(var.schedule_triggers) > 0 ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_retry_attempts       = 1
  maximum_event_age_in_seconds = min(21600, max(60, [for t in values(var.schedule_triggers) : t.minutes * 60]...)) # Lambda's most
}

# CORS is left to the function, which knows it per project: Lambda's own would answer in its place.
resource "aws_lambda_function_url" "this" {
  count = var.url == null ? 0 : 1

  function_name      = aws_lambda_function.this.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = var.url.public ? "NONE" : "AWS_IAM"
  invoke_mode        = "BUFFERED"
}

# A public URL needs two permissions since October 2025. The provider grants the first,
# lambda:InvokeFunctionUrl, with the URL. The second, lambda:InvokeFunction, must be bound to calls that
# come by the URL (without, any AWS account could invoke the function past it), and the provider's
# aws_lambda_permission cannot say so before its version 6.28. CloudFormation can.
# https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
resource "aws_cloudformation_stack" "public" {
  count = try(var.url.public, false) ? 1 : 0

  name = "${var.name}-public-url"
  tags = var.labels

  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "Lets everybody call ${var.name} by its URL, and by nothing else."
    Resources = {
      Permission = {
        Type = "AWS::Lambda::Permission"
        Properties = {
          FunctionName          = "${local.arn}:live"
          Action                = "lambda:InvokeFunction"
          Principal             = "*"
          InvokedViaFunctionUrl = true
        }
      }
    }
  })

  depends_on = [aws_lambda_alias.live, aws_lambda_function_url.this]
}
