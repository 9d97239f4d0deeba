# Two clouds: what an install gives the other, and what it lets it do. See install.tftest.hcl for the mocks.

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
  account              = "123456789012"
  region               = "eu-west-1"
  artifacts_dir        = "tests/artifacts"
  generate_secret_keys = false
  secret_keys          = { shop = ["a-secret-key"] }
  peer = {
    streams = { raw = "projects/mycompany-web/topics/hito-raw", enriched = "projects/mycompany-web/topics/hito-enriched" }
    identities = {
      beacon = "//iam.googleapis.com/projects/987654321/locations/global/workloadIdentityPools/hito-peer/providers/aws#hito-peer-beacon@mycompany-web.iam.gserviceaccount.com"
      relay  = "//iam.googleapis.com/projects/987654321/locations/global/workloadIdentityPools/hito-peer/providers/aws#hito-peer-relay@mycompany-web.iam.gserviceaccount.com"
    }
    callers = { beacon = "100000000000000000001", relay = "100000000000000000002" }
  }
}

run "alone" {
  command = plan

  variables {
    peer = null
  }

  assert {
    condition     = length(module.relay) == 0 && length(module.peer) == 0 && length(local.peered.beacon) + length(local.peered.relay) == 0 && !contains(keys(output.functions), "relay")
    error_message = "Without another cloud there must be nothing for it."
  }
  assert {
    condition = output.peer == {
      streams    = { raw = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-raw", enriched = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched" }
      identities = { beacon = "arn:aws:iam::123456789012:role/hito-peer-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-peer-relay-eu-west-1" }
      callers    = { beacon = "arn:aws:iam::123456789012:role/hito-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-relay-eu-west-1" }
    }
    error_message = "The other cloud must be told before anything is applied."
  }
  assert {
    condition     = output.peer.callers.beacon == module.beacon.role_arn && output.peer.streams.raw == module.raw.arn && output.peer.streams.enriched == module.enriched.arn
    error_message = "What the other cloud is told is not what there is."
  }
}

run "peered" {
  command = plan

  assert {
    condition     = output.peer.callers.relay == module.relay[0].role_arn && output.peer.identities == module.peer[0].identities
    error_message = "What the other cloud is told is not what there is."
  }
  assert {
    condition = jsonencode(local.peered) == jsonencode({
      beacon = { HITO_PEER_IDENTITY = var.peer.identities.beacon, HITO_PEER_STREAM = var.peer.streams.raw }
      relay  = { HITO_PEER_IDENTITY = var.peer.identities.relay, HITO_PEER_STREAM = var.peer.streams.enriched }
    })
    error_message = "beacon publishes on the other cloud's raw stream, and relay on its enriched one."
  }
  assert {
    condition = { for s in jsondecode(module.relay[0].policy).Statement : s.Sid => s.Action } == {
      Log         = ["logs:CreateLogStream", "logs:PutLogEvents"]
      ReadStreams = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
    }
    error_message = "Relay's rights are others: what it may in the other cloud, that one says."
  }
  assert {
    condition     = [for s in jsondecode(module.score.policy).Statement : [s.Action, s.Resource] if s.Sid == "TellPeer"] == [[["kinesis:PutRecords"], ["arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched"]]]
    error_message = "Score must be able to tell the other cloud, by its own enriched stream."
  }
  assert {
    condition     = keys(output.functions) == ["beacon", "enrich", "profile", "relay", "score"] && length(setsubtract(["relay-lag", "relay-errors", "beacon-failing-over"], keys(module.observability.alarms))) == 0
    error_message = "Relay must be known, and watched."
  }
}

run "bad" {
  command = plan

  variables {
    relay_limit = -1
    peer = {
      streams    = { raw = "hito-raw", enriched = "projects/mycompany-web/topics/hito-enriched" }
      identities = { beacon = "hito-peer-beacon@mycompany-web.iam.gserviceaccount.com", relay = "hito-peer-relay@mycompany-web.iam.gserviceaccount.com" }
      callers    = { beacon = "100000000000000000001", relay = "100000000000000000002" }
    }
  }
  expect_failures = [var.peer, var.relay_limit]
}
