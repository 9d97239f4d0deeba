mock_provider "aws" {}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito"
  callers = { beacon = "100000000000000000001", relay = "100000000000000000002" }
  streams = { beacon = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-raw", relay = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched" }
}

run "trust" {
  command = plan

  assert {
    condition = { for f, r in aws_iam_role.this : f => jsondecode(r.assume_role_policy).Statement } == { for f, number in var.callers : f => [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = "accounts.google.com" }
      Condition = { StringEquals = {
        "accounts.google.com:aud"  = number
        "accounts.google.com:oaud" = "arn:aws:iam::123456789012:role/hito-peer-${f}-eu-west-1"
        "accounts.google.com:sub"  = number
      } }
    }] }
    error_message = "Only the one service account may take on a role, by a token made for that role."
  }
  assert {
    condition     = output.identities == { for f, r in aws_iam_role.this : f => "arn:aws:iam::123456789012:role/${r.name}" }
    error_message = "ARNs that are known before are not the real ones."
  }
}

run "rights" {
  command = plan

  assert {
    condition = { for f, p in aws_iam_role_policy.this : f => [for s in jsondecode(p.policy).Statement : [s.Action, s.Resource]] } == {
      beacon = [[["kinesis:PutRecords"], [var.streams.beacon]]]
      relay  = [[["kinesis:PutRecords"], [var.streams.relay]]]
    }
    error_message = "Each may publish on its one stream, and nothing else."
  }
}

run "own_key" {
  command = plan

  variables {
    encryption_key = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition     = alltrue([for p in aws_iam_role_policy.this : [for s in jsondecode(p.policy).Statement : [s.Action, s.Resource] if s.Sid == "UseKey"] == [[["kms:GenerateDataKey"], [var.encryption_key]]]])
    error_message = "Who publishes on a stream with a key of its own must be able to use it."
  }
}

run "bad" {
  command = plan

  variables {
    account        = "1"
    region         = "Frankfurt"
    name           = "a-name-that-is-too-long"
    callers        = { beacon = "beacon@mycompany-web.iam.gserviceaccount.com", relay = "*" }
    streams        = { beacon = "arn:aws:kinesis:eu-west-1:123456789012:stream/*", relay = "*" }
    encryption_key = "mine"
    labels         = { "aws:mine" = "no" }
  }
  expect_failures = [var.account, var.region, var.name, var.callers, var.streams, var.encryption_key, var.labels]
}

run "bad_one_for_both" {
  command = plan

  variables {
    callers = { beacon = "100000000000000000001", relay = "100000000000000000001" }
  }
  expect_failures = [var.callers]
}
