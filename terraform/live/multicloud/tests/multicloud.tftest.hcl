# What stands before both clouds, and what each is told of the other. The installs have providers of their own, which a mock here does
# not reach: that both halves are what live/aws and live/gcp make alone, infra/terraformtest looks at.

mock_provider "aws" {
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn                       = "arn:aws:acm:us-east-1:123456789012:certificate/abc"
      domain_validation_options = [{ domain_name = "t.shop.example", resource_record_name = "_a.t.shop.example.", resource_record_type = "CNAME", resource_record_value = "_b.acm-validations.aws." }]
    }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:hito-edge-alerts" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:123456789012:key/1" }
  }
}

mock_provider "google" {
  mock_resource "google_certificate_manager_dns_authorization" {
    defaults = { dns_resource_record = [{ name = "_acme-challenge.t.shop.example.", type = "CNAME", data = "x.authorize.certificatemanager.goog." }] }
  }
}

override_module {
  target = module.aws
  outputs = {
    beacon_url  = "https://t.shop.example"
    profile_url = "https://t.shop.example"
    edge_target = { name = "d111.cloudfront.net", zone = "Z2FDTNDATAQYW2" }
    dashboard   = "https://console.aws.amazon.com/cloudwatch/home"
    next_steps  = "Send an event."
    peer = {
      streams    = { raw = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-raw", enriched = "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched" }
      identities = { beacon = "arn:aws:iam::123456789012:role/hito-peer-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-peer-relay-eu-west-1" }
      callers    = { beacon = "arn:aws:iam::123456789012:role/hito-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-relay-eu-west-1" }
    }
  }
}

override_module {
  target = module.gcp
  outputs = {
    beacon_url  = "https://t.shop.example"
    profile_url = "https://t.shop.example"
    edge_target = { ipv4 = "203.0.113.1", ipv6 = "2001:db8::1" }
    dashboard   = "https://console.cloud.google.com/monitoring"
    next_steps  = "Send an event."
    peer = {
      streams    = { raw = "projects/mycompany-web/topics/hito-raw", enriched = "projects/mycompany-web/topics/hito-enriched" }
      identities = { beacon = "//iam.googleapis.com/x#hito-peer-beacon@mycompany-web.iam.gserviceaccount.com", relay = "//iam.googleapis.com/x#hito-peer-relay@mycompany-web.iam.gserviceaccount.com" }
      callers    = { beacon = "100000000000000000001", relay = "100000000000000000002" }
    }
  }
}

variables {
  aws = { account = "123456789012", region = "eu-west-1" }
  gcp = { account = "mycompany-web", project_number = "123456789012", region = "europe-west1" }
}

run "without_a_domain" {
  command = plan

  assert {
    condition     = output.beacon_url == null && length(module.dns) == 0 && length(module.observability) == 0 && length(google_project_service.certificatemanager) == 0
    error_message = "Without a hostname nothing stands before the clouds."
  }
  assert {
    condition     = output.peers.aws.callers.beacon == "100000000000000000001" && output.peers.gcp.streams.raw == "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-raw"
    error_message = "Each cloud must be able to go on alone, told of the other."
  }
}

run "with_a_domain" {
  variables {
    domain  = { name = "t.shop.example", zone = "Z0123456789" }
    weights = { aws = 90, gcp = 10 }
    notify  = { team = { address = "team@shop.example" } }
  }

  assert {
    condition     = output.beacon_url == "https://t.shop.example" && keys(module.dns[0].health_checks) == ["aws", "gcp"]
    error_message = "Both clouds must be behind the hostname."
  }
  assert {
    condition     = keys(module.observability[0].alarms) == ["aws-unreachable", "gcp-unreachable"] && module.observability[0].topic_arn == "arn:aws:sns:us-east-1:123456789012:hito-edge-alerts"
    error_message = "Somebody must be told that a cloud is lost."
  }
}

run "bad" {
  command = plan

  variables {
    name    = "a-name-of-nineteen1"
    labels  = { Install = "mine" }
    weights = { aws = 0, gcp = 0 }
    notify  = { chat = { protocol = "pubsub", address = "projects/p/topics/t" } }
  }
  expect_failures = [var.name, var.labels, var.weights, var.notify]
}
