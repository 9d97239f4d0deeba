mock_provider "google" {
  mock_resource "google_compute_url_map" {
    defaults = { id = "projects/hito-test/global/urlMaps/hito" }
  }
  mock_resource "google_compute_global_address" {
    defaults = { id = "projects/hito-test/global/addresses/a", address = "203.0.113.9" }
  }
  mock_resource "google_compute_target_https_proxy" {
    defaults = { id = "projects/hito-test/global/targetHttpsProxies/hito" }
  }
}

variables {
  account = "hito-test"
  region  = "europe-west1"
  name    = "hito"
  functions = {
    beacon  = { name = "hito-beacon", url = "https://hito-beacon-123.europe-west1.run.app" }
    profile = { name = "hito-profile", url = "https://hito-profile-123.europe-west1.run.app/" }
  }
}

run "nothing_unless_asked_for" {
  assert {
    condition     = length(google_compute_url_map.this) == 0 && length(google_compute_global_forwarding_rule.this) == 0 && length(google_dns_record_set.this) == 0
    error_message = "Nothing may stand in front by default."
  }
  assert {
    condition     = output.urls == { beacon = "https://hito-beacon-123.europe-west1.run.app", profile = "https://hito-profile-123.europe-west1.run.app" } && output.target == null
    error_message = "Without a load balancer the functions' own URLs are where they are reached."
  }
}

run "load_balancer" {
  variables {
    kind       = "load_balancer"
    domain     = { name = "t.shop.example", zone = "shop", ssl_policy = "projects/hito-test/global/sslPolicies/modern" }
    firewall   = "projects/hito-test/global/securityPolicies/hito"
    log_sample = 0.01
  }
  assert {
    condition     = google_compute_url_map.this[0].default_service == "projects/hito-test/global/backendServices/hito-beacon" && google_compute_url_map.this[0].path_matcher[0].default_service == "projects/hito-test/global/backendServices/hito-beacon"
    error_message = "Everything but the read side goes to the beacon."
  }
  assert {
    condition = { for r in google_compute_url_map.this[0].path_matcher[0].path_rule : r.service => r.paths } == {
      "projects/hito-test/global/backendServices/hito-profile" = toset(["/v1/profiles/*", "/v1/ledger", "/v1/quarantine"])
    }
    error_message = "The read side goes to the profile."
  }
  assert {
    condition     = { for key, g in google_compute_region_network_endpoint_group.this : key => g.cloud_run[0].service } == { beacon = "hito-beacon", profile = "hito-profile" }
    error_message = "Behind it are the functions."
  }
  assert {
    condition     = alltrue([for b in google_compute_backend_service.this : b.security_policy == "projects/hito-test/global/securityPolicies/hito" && b.log_config[0].sample_rate == 0.01])
    error_message = "The firewall stands before both functions."
  }
  assert {
    condition     = google_compute_target_https_proxy.this[0].ssl_policy == "projects/hito-test/global/sslPolicies/modern" && alltrue([for r in google_compute_global_forwarding_rule.this : r.port_range == "443"])
    error_message = "The policy for TLS is the one given, and nothing listens on port 80."
  }
  assert {
    condition     = google_compute_managed_ssl_certificate.this[0].managed[0].domains == tolist(["t.shop.example"]) && length(google_dns_record_set.this) == 2
    error_message = "The certificate and the records are the hostname's."
  }
  assert {
    condition     = output.urls == { beacon = "https://t.shop.example", profile = "https://t.shop.example" }
    error_message = "Both are reached by the hostname."
  }
}

run "another_hostname" {
  variables {
    kind   = "load_balancer"
    domain = { name = "events.shop.example" }
  }
  assert {
    condition     = google_compute_managed_ssl_certificate.this[0].name == "hito-${substr(sha256("events.shop.example"), 0, 8)}" && google_compute_target_https_proxy.this[0].ssl_certificates == tolist(["projects/hito-test/global/sslCertificates/${google_compute_managed_ssl_certificate.this[0].name}"])
    error_message = "Another hostname's certificate must be another one, or it could not be made while the first is in use."
  }
}

run "own_certificate" {
  variables {
    kind   = "load_balancer"
    domain = { name = "t.shop.example", certificate = "projects/hito-test/global/sslCertificates/mine" }
  }
  assert {
    condition     = length(google_compute_managed_ssl_certificate.this) == 0 && google_compute_target_https_proxy.this[0].ssl_certificates == tolist(["projects/hito-test/global/sslCertificates/mine"]) && length(google_dns_record_set.this) == 0
    error_message = "A certificate of one's own is used, and no record made without a zone."
  }
}

run "certificate_in_a_map" {
  variables {
    kind   = "load_balancer"
    domain = { name = "t.shop.example", certificate = "//certificatemanager.googleapis.com/projects/hito-test/locations/global/certificateMaps/hito" }
  }
  assert {
    condition     = google_compute_target_https_proxy.this[0].certificate_map == var.domain.certificate && google_compute_target_https_proxy.this[0].ssl_certificates == null && length(google_compute_managed_ssl_certificate.this) == 0
    error_message = "A map of certificates is told by another name."
  }
}

run "kind_is_known" {
  command = plan
  variables {
    kind = "cloudfront"
  }
  expect_failures = [var.kind]
}

run "load_balancer_needs_a_domain" {
  command = plan
  variables {
    kind = "load_balancer"
  }
  expect_failures = [var.domain]
}

run "domain_needs_a_load_balancer" {
  command = plan
  variables {
    domain = { name = "t.shop.example" }
  }
  expect_failures = [var.domain]
}

run "domain_is_a_hostname" {
  command = plan
  variables {
    kind   = "load_balancer"
    domain = { name = "https://t.shop.example/" }
  }
  expect_failures = [var.domain]
}

run "firewall_needs_a_load_balancer" {
  command = plan
  variables {
    firewall = "projects/hito-test/global/securityPolicies/hito"
  }
  expect_failures = [var.firewall]
}

run "log_sample_is_a_share" {
  command = plan
  variables {
    log_sample = 2
  }
  expect_failures = [var.log_sample]
}

run "names_and_places" {
  command = plan
  variables {
    account = "1"
    region  = "eu-west-1"
    name    = "Hito"
    labels  = { "A" = "b" }
  }
  expect_failures = [var.account, var.region, var.name, var.labels]
}
