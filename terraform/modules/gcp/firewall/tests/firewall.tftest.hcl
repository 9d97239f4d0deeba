mock_provider "google" {}

variables {
  account = "hito-test"
  name    = "hito"
}

run "counts_by_default" {
  assert {
    condition     = alltrue([for r in google_compute_security_policy.this.rule : r.preview if r.priority < 1000])
    error_message = "Google's rules only report unless they are to block."
  }
  assert {
    condition     = [for r in google_compute_security_policy.this.rule : r.rate_limit_options[0].exceed_action if r.action == "throttle"] == ["deny(429)"]
    error_message = "Too many requests are told to come again."
  }
  assert {
    condition     = [for r in google_compute_security_policy.this.rule : r.action if r.priority == 2147483647] == ["allow"]
    error_message = "Beacons come from everywhere."
  }
  assert {
    condition     = output.id == "projects/hito-test/global/securityPolicies/hito"
    error_message = "The id must be known in the plan."
  }
}

run "blocks" {
  variables {
    common_rules         = "block"
    requests_per_address = 500
  }
  assert {
    condition     = length([for r in google_compute_security_policy.this.rule : r if r.priority < 1000 && r.preview == false]) == 3
    error_message = "Google's rules must block."
  }
  assert {
    condition     = [for r in google_compute_security_policy.this.rule : r.rate_limit_options[0].rate_limit_threshold[0].count if r.action == "throttle"] == [500]
    error_message = "The rate is what was asked for."
  }
}

run "off" {
  variables {
    common_rules = "off"
  }
  assert {
    condition     = length([for r in google_compute_security_policy.this.rule : r if r.priority < 1000]) == 0
    error_message = "Without Google's rules there are none."
  }
}

run "bad" {
  command = plan
  variables {
    account              = "1"
    name                 = "Hito"
    requests_per_address = 1
    common_rules         = "some"
    labels               = { "A" = "b" }
  }
  expect_failures = [var.account, var.name, var.requests_per_address, var.common_rules, var.labels]
}
