# What an install is, from the plan alone: two inputs, everything else by default.

mock_provider "aws" {
  mock_resource "aws_kinesis_stream" {
    defaults = { arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/x" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/x" }
  }
}

mock_provider "aws" {
  alias = "us_east_1"
}

# Not used, since no key is made up, and so it asks nobody.
provider "aws" {
  alias                       = "keys"
  region                      = "eu-west-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  account       = "123456789012"
  region        = "eu-west-1"
  artifacts_dir = "tests/artifacts"
  # Mocks know no ephemeral resources.
  generate_secret_keys = false
  secret_keys          = { shop = ["a-secret-key"] }
}

run "defaults" {
  command = plan

  assert {
    condition     = output.streams == { raw = "hito-raw", enriched = "hito-enriched" } && output.table == "hito" && output.secret == "hito-keys"
    error_message = "Everything is called by the install's name."
  }
  assert {
    condition     = output.projects_bucket == "hito-projects-123456789012-eu-west-1"
    error_message = "A bucket's name must be nobody else's."
  }
  assert {
    condition     = keys(output.queues) == ["actions", "enrich", "score"] && alltrue([for q in values(output.queues) : q.dead_letter_name == "${q.name}-dead"])
    error_message = "Every queue must have its dead-letter queue."
  }
  assert {
    condition     = module.projects.objects == ["projects/keys.yaml", "projects/shop.yaml"]
    error_message = "Rules and public keys must be uploaded."
  }
  assert {
    condition     = length(distinct([for f in values(output.functions) : f.role_name])) == 4
    error_message = "Every function must have its own role."
  }
  assert {
    condition     = keys(module.raw.consumer_arns) == ["enrich"] && keys(module.enriched.consumer_arns) == ["score"]
    error_message = "Streams must be pushed, or an event takes two seconds."
  }
}

# What each function may do: these and no other rights. Actions by name of the statement.
run "least_privilege" {
  command = plan

  assert {
    condition = { for s in jsondecode(module.beacon.policy).Statement : s.Sid => s.Action } == {
      Log          = ["logs:CreateLogStream", "logs:PutLogEvents"]
      ReadProjects = ["s3:GetObject"]
      WriteBooks   = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
      PublishRaw   = ["kinesis:PutRecords"]
    }
    error_message = "The beacon's rights are others."
  }
  assert {
    condition = { for s in jsondecode(module.enrich.policy).Statement : s.Sid => s.Action } == {
      Log                = ["logs:CreateLogStream", "logs:PutLogEvents"]
      ReadStreams        = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
      SubscribeToStreams = ["kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard"]
      GiveUp             = ["sqs:SendMessage"]
      ReceiveMessages    = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      ReadProjects       = ["s3:GetObject"]
      WriteBooks         = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
      PublishEnriched    = ["kinesis:PutRecords"]
    }
    error_message = "Enrich's rights are others."
  }
  assert {
    condition = { for s in jsondecode(module.score.policy).Statement : s.Sid => s.Action } == {
      Log                = ["logs:CreateLogStream", "logs:PutLogEvents"]
      ReadStreams        = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
      SubscribeToStreams = ["kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard"]
      GiveUp             = ["sqs:SendMessage"]
      ReceiveMessages    = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      ReadProjects       = ["s3:GetObject"]
      KeepLastGood       = ["s3:PutObject"]
      WriteBooks         = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
      FoldProfiles       = ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      SweepProfiles      = ["dynamodb:Scan"]
      PublishActions     = ["sqs:SendMessage"]
    }
    error_message = "Score's rights are others."
  }
  assert {
    condition = { for s in jsondecode(module.profile.policy).Statement : s.Sid => s.Action } == {
      Log             = ["logs:CreateLogStream", "logs:PutLogEvents"]
      ReadProjects    = ["s3:GetObject"]
      ReadProfiles    = ["dynamodb:BatchGetItem"]
      ListQuarantine  = ["dynamodb:Query"]
      PublishErasures = ["kinesis:PutRecords"]
      ReadSecretKeys  = ["secretsmanager:GetSecretValue"]
    }
    error_message = "Profile's rights are others."
  }

  # On what.
  assert {
    condition = alltrue([for p in [module.beacon.policy, module.enrich.policy, module.score.policy, module.profile.policy] : alltrue([
      for s in jsondecode(p).Statement : alltrue([for r in s.Resource : startswith(r, "arn:aws:")])
    ])])
    error_message = "No right may be about everything."
  }
  assert {
    condition     = [for s in jsondecode(module.beacon.policy).Statement : s.Resource if s.Sid == "PublishRaw"] == [["arn:aws:kinesis:eu-west-1:123456789012:stream/hito-raw"]]
    error_message = "The beacon may write to the raw stream only."
  }
  assert {
    condition     = [for s in jsondecode(module.enrich.policy).Statement : s.Resource if s.Sid == "PublishEnriched"] == [["arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched"]]
    error_message = "Enrich may write to the enriched stream only."
  }
  assert {
    condition     = [for s in jsondecode(module.score.policy).Statement : s.Resource if s.Sid == "KeepLastGood"] == [["arn:aws:s3:::hito-projects-123456789012-eu-west-1/lastgood/*"]]
    error_message = "Score must not change what is configured."
  }
  assert {
    condition = [for s in concat([for p in [module.beacon.policy, module.enrich.policy, module.score.policy] : jsondecode(p).Statement]...) : s.Condition
    if s.Sid == "WriteBooks"] == [for i in range(3) : { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["l/*", "q/*"] } }]
    error_message = "Books and quarantine must be all of the table that the beacon and enrich write."
  }
  assert {
    condition     = [for s in jsondecode(module.score.policy).Statement : s.Condition if s.Sid == "FoldProfiles"] == [{ "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["f/*"] } }]
    error_message = "Score must not delete what is booked."
  }
}

run "everything_set" {
  command = plan

  variables {
    name                = "shop-2"
    labels              = { team = "web" }
    write_keys          = { shop = ["one", "two"] }
    fan_out             = false
    shards              = { raw = 40, enriched = 80 }
    retention_hours     = 168
    retry_hours         = 84
    table_capacity      = { read_min = 100, read_max = 40000, write_min = 100, write_max = 40000 }
    deletion_protection = false
    encryption_key      = "arn:aws:kms:eu-west-1:123456789012:key/1234"
    tracing             = true
    log_retention_days  = 90
    trusted_proxies     = 1
    functions = {
      beacon = { memory_mb = 256, concurrency = 500, warm_instances = 10 }
      score  = { canary = { stable_version = "6", weight = 0.1 } }
    }
  }

  assert {
    condition     = output.streams.raw == "shop-2-raw" && output.table == "shop-2" && output.queues["score"].name == "shop-2-score-redrive"
    error_message = "Everything is called by the install's name."
  }
  assert {
    condition     = jsonencode(local.size.beacon) == jsonencode({ memory_mb = 256, timeout_seconds = 10, concurrency = 500, warm_instances = 10, canary = null })
    error_message = "What is left out of a function's size must be the default."
  }
  assert {
    condition     = local.trusted_proxies == 1
    error_message = "Proxies of one's own must be believed."
  }
  assert {
    condition     = local.size.score.canary.weight == 0.1 && local.size.score.memory_mb == 1769
    error_message = "A canary must not change the size."
  }
  assert {
    condition     = length(module.raw.consumer_arns) == 0 && !anytrue([for s in jsondecode(module.score.policy).Statement : s.Sid == "SubscribeToStreams"])
    error_message = "Without fan_out nothing is registered, nor allowed."
  }
  assert {
    condition = alltrue([for p in [module.beacon.policy, module.enrich.policy, module.score.policy, module.profile.policy] : anytrue([
      for s in jsondecode(p).Statement : s.Action == ["kms:Decrypt", "kms:GenerateDataKey"] && s.Resource == [var.encryption_key]
    ])])
    error_message = "Every function must be allowed to use the key."
  }
}

# By CloudFront visitors' addresses are in a header, which trusted_proxies need not say.
run "cloudfront" {
  command = plan

  variables {
    edge = { kind = "cloudfront", domain = { name = "t.shop.example", certificate = "arn:aws:acm:us-east-1:123456789012:certificate/abc" } }
  }

  assert {
    condition     = local.trusted_proxies == 1
    error_message = "Every visitor would have CloudFront's address."
  }
  assert {
    condition     = output.beacon_url == "https://t.shop.example" && output.profile_url == "https://t.shop.example" && strcontains(output.next_steps, "https://t.shop.example/v1/track")
    error_message = "Events must be sent by the hostname in front, past no firewall."
  }
}
