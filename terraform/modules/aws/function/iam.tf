# The function's own role: what var.permissions lists, and what its log and triggers need.

locals {
  streams = values(var.stream_triggers)

  statements = merge(
    {
      Log = {
        actions    = ["logs:CreateLogStream", "logs:PutLogEvents"]
        resources  = ["${local.log_arn}:log-stream:*"]
        conditions = {}
      }
    },
    length(local.streams) == 0 ? {} : {
      # ListStreams and DescribeLimits, which AWS' managed policy also grants, are not needed.
      ReadStreams = {
        actions    = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        resources  = distinct(local.streams[*].stream)
        conditions = {}
      }
    },
    alltrue([for s in local.streams : !s.gives_up]) ? {} : {
      GiveUp = {
        actions    = ["sqs:SendMessage"]
        resources  = distinct([for s in local.streams : s.failure_queue if s.gives_up])
        conditions = {}
      }
    },
    alltrue([for s in local.streams : s.consumer == null]) ? {} : {
      # What follows a consumer's name in its ARN is the second it was created in.
      SubscribeToStreams = {
        actions    = ["kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard"]
        resources  = [for s in local.streams : "${s.stream}/consumer/${s.consumer.name}:*" if s.consumer != null]
        conditions = {}
      }
    },
    length(var.queue_triggers) == 0 ? {} : {
      ReceiveMessages = {
        actions    = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        resources  = distinct(values(var.queue_triggers)[*].queue)
        conditions = {}
      }
    },
    var.encryption_key == null ? {} : {
      UseKey = {
        actions    = ["kms:Decrypt", "kms:GenerateDataKey"]
        resources  = [var.encryption_key]
        conditions = {}
      }
    },
    var.tracing == false ? {} : {
      # X-Ray knows no resources.
      Trace = {
        actions    = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        resources  = ["*"]
        conditions = {}
      }
    },
    var.permissions,
  )
}

resource "aws_iam_role" "this" {
  name        = local.role_name
  description = "What the function ${var.name} may do."
  tags        = var.labels

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

locals {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for sid, s in local.statements : {
      for key, value in {
        Sid       = sid
        Effect    = "Allow"
        Action    = sort(s.actions)
        Resource  = sort(s.resources)
        Condition = length(s.conditions) == 0 ? null : s.conditions
      } : key => value if value != null
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = var.name
  role   = aws_iam_role.this.id
  policy = local.policy
}
