# Two clouds: what an install gives the other, and what it lets it do.

mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { unique_id = "100000000000000000001" }
  }
}

mock_provider "google" {
  alias = "billing"
}

variables {
  account        = "mycompany-web"
  project_number = "987654321"
  region         = "europe-west1"
  artifacts_dir  = "tests/artifacts"
  peer = {
    streams    = { raw = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-raw", enriched = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched" }
    identities = { beacon = "arn:aws:iam::123456789012:role/hito-peer-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-peer-relay-eu-west-1" }
    callers    = { beacon = "arn:aws:iam::123456789012:role/hito-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-relay-eu-west-1" }
  }
}

run "alone" {
  command = plan

  variables {
    peer = null
  }

  assert {
    condition     = length(module.relay) == 0 && length(module.peer) == 0 && length(local.peered.beacon) + length(local.peered.relay) == 0 && output.peer == null && !contains(local.packaged, "relay")
    error_message = "Without another cloud there must be nothing for it."
  }
  assert {
    condition     = length(google_project_service.peer) == 0
    error_message = "What is not used must not be turned on."
  }
}

run "peered" {
  command = plan

  assert {
    condition     = output.peer.streams == { raw = module.raw.id, enriched = module.enriched.id } && output.peer.identities == module.peer[0].identities
    error_message = "What the other cloud is told is not what there is."
  }
  assert {
    condition = jsonencode(local.peered) == jsonencode({
      beacon = { HITO_PEER_STREAM = var.peer.streams.raw, HITO_PEER_IDENTITY = var.peer.identities.beacon, HITO_PEER_REGION = "eu-west-1" }
      relay  = { HITO_PEER_STREAM = var.peer.streams.enriched, HITO_PEER_IDENTITY = var.peer.identities.relay, HITO_PEER_REGION = "eu-west-1" }
    })
    error_message = "beacon publishes on the other cloud's raw stream, and relay on its enriched one."
  }
  assert {
    condition     = module.relay[0].policy == {} && module.score.policy["TellPeer"] == "roles/pubsub.publisher on topic projects/mycompany-web/topics/hito-enriched"
    error_message = "Relay may do nothing here; score must be able to tell the other cloud, by its own enriched stream."
  }
  assert {
    condition     = module.relay[0].subscriptions == { enriched = "hito-enriched-relay" } && module.relay[0].dead_letter_name == null && contains(keys(terraform_data.build), "relay")
    error_message = "Relay must be built, and never give up."
  }
  assert {
    condition     = keys(output.functions) == ["beacon", "enrich", "profile", "relay", "score"] && length(setsubtract(["relay-lag", "relay-errors", "beacon-failing-over"], keys(module.observability.alarms))) == 0
    error_message = "Relay must be known, and watched."
  }
  assert {
    condition     = keys(google_project_service.peer) == ["iamcredentials", "sts"]
    error_message = "Without these services nobody can show who they are."
  }
}

run "bad" {
  command = plan

  variables {
    relay_limit = 0.5
    name        = "a-name-of-nineteen1"
    peer = {
      streams    = { raw = "hito-raw", enriched = "hito-enriched" }
      identities = { beacon = "hito-peer-beacon", relay = "hito-peer-relay" }
      callers    = { beacon = "arn:aws:iam::123456789012:role/hito-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-relay-eu-west-1" }
    }
  }
  expect_failures = [var.peer, var.relay_limit]
}
