mock_provider "aws" {}

variables {
  name     = "hito"
  zone     = "Z0123456789"
  hostname = "t.shop.example"
  targets = {
    aws = { weight = 90, alias = { name = "d111.cloudfront.net", zone = "Z2FDTNDATAQYW2" } }
    gcp = { weight = 10, ipv4 = "203.0.113.1", ipv6 = "2001:db8::1" }
  }
}

run "records" {
  assert {
    condition = { for key, r in aws_route53_record.this : key => [r.name, r.type, r.set_identifier, r.weighted_routing_policy[0].weight] } == {
      aws-A = ["t.shop.example", "A", "aws", 90], aws-AAAA = ["t.shop.example", "AAAA", "aws", 90]
      gcp-A = ["t.shop.example", "A", "gcp", 10], gcp-AAAA = ["t.shop.example", "AAAA", "gcp", 10]
    }
    error_message = "Both kinds of address must be weighed the same."
  }
  assert {
    condition     = aws_route53_record.this["gcp-A"].records == toset(["203.0.113.1"]) && aws_route53_record.this["gcp-AAAA"].records == toset(["2001:db8::1"]) && aws_route53_record.this["gcp-A"].ttl == 60
    error_message = "Addresses must be told, for a minute."
  }
  assert {
    condition     = aws_route53_record.this["aws-AAAA"].alias[0].name == "d111.cloudfront.net" && aws_route53_record.this["aws-A"].alias[0].zone_id == "Z2FDTNDATAQYW2" && length(aws_route53_record.this["gcp-A"].alias) == 0
    error_message = "What AWS has must be an alias."
  }
  assert {
    condition     = alltrue([for key, r in aws_route53_record.this : r.health_check_id == aws_route53_health_check.this[r.set_identifier].id])
    error_message = "A cloud that does not answer must be left."
  }
}

run "health" {
  assert {
    condition = jsonencode({ for key, c in aws_route53_health_check.this : key => [c.type, c.fqdn, c.ip_address, c.resource_path, c.port, c.enable_sni, c.request_interval * c.failure_threshold] }) == jsonencode({
      aws = ["HTTPS", "d111.cloudfront.net", null, "/health", 443, true, 30]
      gcp = ["HTTPS", "t.shop.example", "203.0.113.1", "/health", 443, true, 30]
    })
    error_message = "Each cloud must be asked itself, not whatever the hostname leads to."
  }
  assert {
    condition     = output.health_checks == { for key, c in aws_route53_health_check.this : key => c.id }
    error_message = "Alarms need the checks' ids."
  }
}

run "moved" {
  variables {
    targets = {
      aws = { weight = 0, alias = { name = "d111.cloudfront.net", zone = "Z2FDTNDATAQYW2" } }
      gcp = { weight = 100, ipv4 = "203.0.113.1", ipv6 = "2001:db8::1" }
    }
    ttl_seconds = 30
    proofs      = { gcp = { name = "_acme-challenge.t.shop.example.", type = "CNAME", value = "x.authorize.certificatemanager.goog." } }
  }

  assert {
    condition     = [for t in ["A", "AAAA"] : aws_route53_record.this["aws-${t}"].weighted_routing_policy[0].weight] == [0, 0] && aws_route53_record.this["gcp-A"].ttl == 30
    error_message = "A cloud must be able to have no traffic, and stay for when the other does not answer."
  }
  assert {
    condition     = aws_route53_record.proof["gcp"].records == toset(["x.authorize.certificatemanager.goog."])
    error_message = "Whose the hostname is must be told."
  }
}

run "bad" {
  command = plan

  variables {
    name        = "Hito"
    zone        = "shop.example"
    hostname    = "https://t.shop.example"
    targets     = { aws = { weight = 256, ipv4 = "203.0.113.1" } }
    health_path = "healthz"
    ttl_seconds = 5
    labels      = { "aws:mine" = "no" }
  }
  expect_failures = [var.name, var.zone, var.hostname, var.targets, var.health_path, var.ttl_seconds, var.labels]
}

run "bad_reserved_path" {
  command = plan

  variables {
    health_path = "/healthz"
  }
  expect_failures = [var.health_path]
}

run "bad_no_traffic" {
  command = plan

  variables {
    targets = { aws = { weight = 0, ipv4 = "203.0.113.1", ipv6 = "2001:db8::1" } }
  }
  expect_failures = [var.targets]
}
