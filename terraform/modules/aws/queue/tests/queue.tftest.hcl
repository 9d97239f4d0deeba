mock_provider "aws" {}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito-actions"
}

run "dead_letters" {
  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-west-1:123456789012:hito-actions-dead", maxReceiveCount = 5 }
    error_message = "What fails five times must go to the dead-letter queue."
  }
  assert {
    condition     = aws_sqs_queue.dead.name == "hito-actions-dead" && aws_sqs_queue.dead.message_retention_seconds == 1209600
    error_message = "Dead letters must be kept as long as can be."
  }
  assert {
    condition = jsondecode(aws_sqs_queue.dead.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-west-1:123456789012:hito-actions"]
    }
    error_message = "Only the queue itself may send to its dead-letter queue."
  }
}

run "encrypted" {
  assert {
    condition     = alltrue([for q in [aws_sqs_queue.this, aws_sqs_queue.dead] : q.sqs_managed_sse_enabled && q.kms_master_key_id == null])
    error_message = "Both queues must be encrypted."
  }
  assert {
    condition = alltrue([for q in [aws_sqs_queue.this, aws_sqs_queue.dead] : anytrue([
      for s in jsondecode(q.policy).Statement : s.Effect == "Deny" && s.Action == "sqs:*" && s.Condition.Bool["aws:SecureTransport"] == "false"
    ])])
    error_message = "Both queues must refuse what does not come by TLS."
  }
}

run "own_key" {
  command = plan

  variables {
    encryption_key = "arn:aws:kms:eu-west-1:123456789012:key/1234"
  }

  assert {
    condition     = alltrue([for q in [aws_sqs_queue.this, aws_sqs_queue.dead] : q.kms_master_key_id == var.encryption_key])
    error_message = "Both queues must use the key."
  }
}

run "settings" {
  command = plan

  variables {
    retention_hours    = 24
    visibility_seconds = 60
    max_deliveries     = 10
  }

  assert {
    condition     = aws_sqs_queue.this.message_retention_seconds == 86400 && aws_sqs_queue.this.visibility_timeout_seconds == 60
    error_message = "Retention is in hours, visibility in seconds."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy).maxReceiveCount == 10
    error_message = "max_deliveries must bound deliveries."
  }
  assert {
    condition     = output.url == "https://sqs.eu-west-1.amazonaws.com/123456789012/hito-actions" && output.arn == "arn:aws:sqs:eu-west-1:123456789012:hito-actions"
    error_message = "The URL and the ARN must be SQS' own."
  }
}

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account            = "hito"
    region             = "eu"
    name               = "hito.fifo"
    retention_hours    = 337
    visibility_seconds = 43201
    max_deliveries     = 0
    encryption_key     = "1234"
    labels             = { "AWS:mine" = "no" }
  }

  expect_failures = [
    var.account, var.region, var.name, var.retention_hours, var.visibility_seconds,
    var.max_deliveries, var.encryption_key, var.labels,
  ]
}
