mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/hito-score-eu-west-1" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:hito-score", version = "7" }
  }
  mock_resource "aws_lambda_alias" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:hito-score:live" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:123456789012:rule/hito-score-sweep" }
  }
  mock_resource "aws_lambda_function_url" {
    defaults = { function_url = "https://abc.lambda-url.eu-west-1.on.aws/" }
  }
}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito-score"
  package = "tests/package.zip"
}

run "function" {
  assert {
    condition     = aws_lambda_function.this.architectures == tolist(["arm64"]) && aws_lambda_function.this.runtime == "provided.al2023" && aws_lambda_function.this.handler == "bootstrap"
    error_message = "A function is a bootstrap for arm64."
  }
  assert {
    condition     = aws_lambda_function.this.source_code_hash == filebase64sha256("tests/package.zip") && aws_lambda_function.this.publish
    error_message = "A new package must become a new version."
  }
  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == -1 && length(aws_lambda_provisioned_concurrency_config.live) == 0
    error_message = "By default nothing is reserved and nothing kept warm."
  }
  assert {
    condition     = aws_lambda_alias.live.function_version == "7" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "By default the newest version gets all calls."
  }
  assert {
    condition     = output.alias_arn == "arn:aws:lambda:eu-west-1:123456789012:function:hito-score:live" && output.arn == aws_lambda_function.this.arn && output.role_arn == aws_iam_role.this.arn
    error_message = "ARNs that are known before are not the real ones."
  }
  assert {
    condition     = output.url == null && length(aws_cloudformation_stack.public) == 0
    error_message = "Without url the function has no address."
  }
}

run "log" {
  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/hito-score" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "The log must be kept for a while, not for ever."
  }
  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_format == "JSON" && aws_lambda_function.this.logging_config[0].log_group == aws_cloudwatch_log_group.this.name
    error_message = "The function must log JSON to its own log group."
  }
  assert {
    condition     = aws_lambda_function.this.logging_config[0].system_log_level == "WARN"
    error_message = "A start and a report line per call cost more than the call."
  }
  assert {
    condition     = aws_lambda_function.this.logging_config[0].application_log_level == "INFO"
    error_message = "Above INFO Lambda drops the measurements, and with them alarms."
  }
}

run "least_privilege" {
  assert {
    condition     = aws_lambda_function.this.role == aws_iam_role.this.arn && aws_iam_role.this.name == "hito-score-eu-west-1"
    error_message = "The function must have its own role."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal == { Service = "lambda.amazonaws.com" }
    error_message = "Only Lambda may take the role."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.this.policy).Statement == [{
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/hito-score:log-stream:*"]
    }]
    error_message = "A function without permissions may write its own log, and nothing else."
  }
}

run "permissions" {
  variables {
    permissions = {
      ReadProfiles = {
        actions    = ["dynamodb:GetItem", "dynamodb:BatchGetItem"]
        resources  = ["arn:aws:dynamodb:eu-west-1:123456789012:table/hito"]
        conditions = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["f/*"] } }
      }
    }
  }

  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s if s.Sid == "ReadProfiles"] == [{
      Sid       = "ReadProfiles"
      Effect    = "Allow"
      Action    = ["dynamodb:BatchGetItem", "dynamodb:GetItem"]
      Resource  = ["arn:aws:dynamodb:eu-west-1:123456789012:table/hito"]
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["f/*"] } }
    }]
    error_message = "A permission must be granted as it is given, with its conditions."
  }
}

run "stream_trigger" {
  variables {
    stream_triggers = {
      enriched = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched", batch_size = 500, parallelism = 4, failure_queue = "arn:aws:sqs:eu-west-1:123456789012:hito-score-redrive" }
    }
  }

  assert {
    condition     = aws_lambda_event_source_mapping.stream["enriched"].function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "Partial answers must be on."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream["enriched"].bisect_batch_on_function_error
    error_message = "A batch that fails whole must be halved."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream["enriched"].maximum_retry_attempts == 5 && aws_lambda_event_source_mapping.stream["enriched"].maximum_record_age_in_seconds == 3600
    error_message = "Retries must be bounded, by number and by age."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream["enriched"].destination_config[0].on_failure[0].destination_arn == "arn:aws:sqs:eu-west-1:123456789012:hito-score-redrive"
    error_message = "What is given up must be told to the failure queue."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream["enriched"].function_name == aws_lambda_alias.live.arn && aws_lambda_event_source_mapping.stream["enriched"].starting_position == "TRIM_HORIZON"
    error_message = "Triggers must call the alias, and miss nothing."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream["enriched"].event_source_arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched" && aws_lambda_event_source_mapping.stream["enriched"].batch_size == 500 && aws_lambda_event_source_mapping.stream["enriched"].parallelization_factor == 4
    error_message = "The trigger must be as it is given."
  }
  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid => s.Resource if s.Sid != "Log" } == {
      ReadStreams = ["arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched"]
      GiveUp      = ["arn:aws:sqs:eu-west-1:123456789012:hito-score-redrive"]
    }
    error_message = "The role must read the stream, tell the failure queue, and no more."
  }
}

run "pushed_stream_trigger" {
  variables {
    stream_triggers = {
      enriched = {
        stream        = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched"
        consumer      = { name = "score", arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched/consumer/score:1764000000" }
        failure_queue = "arn:aws:sqs:eu-west-1:123456789012:hito-score-redrive"
      }
    }
  }

  assert {
    condition     = aws_lambda_event_source_mapping.stream["enriched"].event_source_arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched/consumer/score:1764000000"
    error_message = "A consumer must be what calls."
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "SubscribeToStreams"] == [["arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched/consumer/score:*"]]
    error_message = "The role must subscribe as this consumer only."
  }
}

run "queue_trigger" {
  variables {
    queue_triggers = { redrive = { queue = "arn:aws:sqs:eu-west-1:123456789012:hito-score-redrive", batch_size = 1 } }
  }

  assert {
    condition     = aws_lambda_event_source_mapping.queue["redrive"].function_response_types == toset(["ReportBatchItemFailures"]) && aws_lambda_event_source_mapping.queue["redrive"].batch_size == 1
    error_message = "Partial answers must be on for queues too."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.queue["redrive"].scaling_config[0].maximum_concurrency == 2
    error_message = "A queue must not take all the function's calls."
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "ReceiveMessages"] == [["arn:aws:sqs:eu-west-1:123456789012:hito-score-redrive"]]
    error_message = "The role must receive from this queue only."
  }
}

run "schedule_trigger" {
  variables {
    schedule_triggers = { sweep = { minutes = 1 }, report = { minutes = 60 } }
  }

  assert {
    condition     = aws_cloudwatch_event_rule.this["sweep"].schedule_expression == "rate(1 minute)" && aws_cloudwatch_event_rule.this["report"].schedule_expression == "rate(60 minutes)"
    error_message = "One minute is singular, others are plural: EventBridge insists."
  }
  assert {
    condition     = aws_cloudwatch_event_target.this["sweep"].arn == aws_lambda_alias.live.arn && aws_cloudwatch_event_target.this["sweep"].retry_policy[0].maximum_event_age_in_seconds == 60
    error_message = "A schedule must call the alias, and not when the next time is due."
  }
  assert {
    condition     = aws_lambda_permission.schedule["sweep"].principal == "events.amazonaws.com" && aws_lambda_permission.schedule["sweep"].source_arn == aws_cloudwatch_event_rule.this["sweep"].arn && aws_lambda_permission.schedule["sweep"].qualifier == "live"
    error_message = "Only this schedule may call, and only the alias."
  }
  assert {
    condition     = aws_lambda_function_event_invoke_config.live[0].maximum_retry_attempts == 1
    error_message = "A call that fails must not be repeated for hours."
  }
}

run "rare_schedule" {
  command = plan
  variables {
    schedule_triggers = { report = { minutes = 1440 } }
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.live[0].maximum_event_age_in_seconds == 21600
    error_message = "Lambda keeps a call for six hours at most."
  }
}

run "public_url" {
  variables {
    url = {}
  }

  assert {
    condition     = aws_lambda_function_url.this[0].authorization_type == "NONE" && aws_lambda_function_url.this[0].qualifier == "live" && length(aws_lambda_function_url.this[0].cors) == 0
    error_message = "The alias must be public, and CORS the function's."
  }
  assert {
    condition     = output.url == "https://abc.lambda-url.eu-west-1.on.aws"
    error_message = "The address must be without a path."
  }
  assert {
    condition = jsondecode(aws_cloudformation_stack.public[0].template_body).Resources.Permission.Properties == {
      FunctionName          = "arn:aws:lambda:eu-west-1:123456789012:function:hito-score:live"
      Action                = "lambda:InvokeFunction"
      Principal             = "*"
      InvokedViaFunctionUrl = true
    }
    error_message = "Everybody may call the function by its URL, and by nothing else."
  }
}

run "private_url" {
  variables {
    url = { public = false }
  }

  assert {
    condition     = aws_lambda_function_url.this[0].authorization_type == "AWS_IAM" && length(aws_cloudformation_stack.public) == 0
    error_message = "An address that is not public must ask for signed requests."
  }
}

run "canary" {
  variables {
    canary = { stable_version = "6", weight = 0.1 }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "6" && aws_lambda_alias.live.routing_config[0].additional_version_weights == tomap({ "7" = 0.1 })
    error_message = "A tenth of the calls must go to the newest version."
  }
}

run "canary_rolled_back_warm" {
  command = plan
  variables {
    canary         = { stable_version = "6", weight = 0 }
    warm_instances = 5
  }

  assert {
    condition     = length(aws_lambda_alias.live.routing_config) == 0 && aws_lambda_provisioned_concurrency_config.live[0].provisioned_concurrent_executions == 5
    error_message = "Going back to a version must be possible with instances kept warm."
  }
}

run "canary_rolled_back" {
  variables {
    canary = { stable_version = "6", weight = 0 }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "6" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "No call must go to the newest version."
  }
}

run "canary_of_itself" {
  variables {
    canary = { stable_version = "7", weight = 0.1 }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "7" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "A version cannot share calls with itself."
  }
}

run "sizes" {
  variables {
    memory_mb       = 1769
    timeout_seconds = 60
    concurrency     = 100
    warm_instances  = 5
    environment     = { HITO_LOG = "json" }
  }

  assert {
    condition     = aws_lambda_function.this.memory_size == 1769 && aws_lambda_function.this.timeout == 60 && aws_lambda_function.this.reserved_concurrent_executions == 100
    error_message = "Sizes must be used."
  }
  assert {
    condition     = aws_lambda_provisioned_concurrency_config.live[0].provisioned_concurrent_executions == 5 && aws_lambda_provisioned_concurrency_config.live[0].qualifier == "live"
    error_message = "The alias must be kept warm."
  }
  assert {
    condition     = aws_lambda_function.this.environment[0].variables["HITO_LOG"] == "json"
    error_message = "The environment must be given."
  }
}

run "options" {
  variables {
    tracing        = true
    encryption_key = "arn:aws:kms:eu-west-1:123456789012:key/1234"
    environment    = { HITO_LOG = "json" }
  }

  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "Active"
    error_message = "Options must be used."
  }
  assert {
    condition     = aws_lambda_function.this.kms_key_arn == var.encryption_key && aws_cloudwatch_log_group.this.kms_key_id == var.encryption_key
    error_message = "The key must encrypt the environment and the log."
  }
  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid => s.Resource if s.Sid != "Log" } == {
      UseKey = ["arn:aws:kms:eu-west-1:123456789012:key/1234"]
      Trace  = ["*"]
    }
    error_message = "Every option must bring its right, and X-Ray's alone is about everything."
  }
}

# What holds its place whatever happens.
run "never_gives_up" {
  variables {
    stream_triggers = { enriched = { stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched", gives_up = false } }
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.stream["enriched"].maximum_retry_attempts == -1 &&
      aws_lambda_event_source_mapping.stream["enriched"].maximum_record_age_in_seconds == -1 &&
      length(aws_lambda_event_source_mapping.stream["enriched"].destination_config) == 0
    )
    error_message = "There must be no bound of tries, and none of age."
  }
  assert {
    condition     = [for s in jsondecode(output.policy).Statement : s.Sid] == ["Log", "ReadStreams"]
    error_message = "What gives up nothing needs no right to say so."
  }
}
