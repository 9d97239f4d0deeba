# What stands between the internet and the functions: nothing, or a global load balancer under a hostname of yours.
#
# Behind it the functions take no calls but its own and Google's. Nothing listens on port 80: a redirect would come after a key
# went over the wire in the clear.

locals {
  balanced = var.kind == "load_balancer"

  # What the read side answers; everything else is the beacon's.
  profile_paths = ["/v1/profiles/*", "/v1/ledger", "/v1/quarantine"]

  # Made of what is known before anything exists, so that a plan shows what leads where.
  backend = { for key in keys(var.functions) : key => "projects/${var.account}/global/backendServices/${var.name}-${key}" }
  groups  = { for key in keys(var.functions) : key => "projects/${var.account}/regions/${var.region}/networkEndpointGroups/${var.name}-${key}" }

  # A certificate is for one hostname and cannot be changed while it is used: another hostname has another one.
  managed     = local.balanced ? "${var.name}-${substr(sha256(var.domain.name), 0, 8)}" : null
  certificate = local.balanced ? coalesce(var.domain.certificate, "projects/${var.account}/global/sslCertificates/${local.managed}") : null
}

resource "google_compute_region_network_endpoint_group" "this" {
  for_each = local.balanced ? var.functions : {}

  project               = var.account
  region                = var.region
  name                  = "${var.name}-${each.key}"
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = each.value.name
  }
}

resource "google_compute_backend_service" "this" {
  for_each = local.balanced ? var.functions : {}

  project               = var.account
  name                  = "${var.name}-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = var.firewall

  backend {
    group = local.groups[each.key]
  }

  # Of every so many requests; those that were refused are in the firewall's own log.
  log_config {
    enable      = var.log_sample > 0
    sample_rate = var.log_sample
  }

  depends_on = [google_compute_region_network_endpoint_group.this]
}

resource "google_compute_url_map" "this" {
  count = local.balanced ? 1 : 0

  project         = var.account
  name            = var.name
  default_service = local.backend["beacon"]

  host_rule {
    hosts        = [var.domain.name]
    path_matcher = "functions"
  }

  path_matcher {
    name            = "functions"
    default_service = local.backend["beacon"]

    path_rule {
      paths   = local.profile_paths
      service = local.backend["profile"]
    }
  }

  depends_on = [google_compute_backend_service.this]
}

resource "google_compute_managed_ssl_certificate" "this" {
  count = local.balanced && try(var.domain.certificate, null) == null ? 1 : 0

  project = var.account
  name    = local.managed

  managed {
    domains = [var.domain.name]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_target_https_proxy" "this" {
  count = local.balanced ? 1 : 0

  project          = var.account
  name             = var.name
  url_map          = google_compute_url_map.this[0].id
  ssl_certificates = startswith(local.certificate, "//") ? null : [local.certificate]
  certificate_map  = startswith(local.certificate, "//") ? local.certificate : null
  ssl_policy       = var.domain.ssl_policy
  quic_override    = "ENABLE"

  depends_on = [google_compute_managed_ssl_certificate.this]
}

resource "google_compute_global_address" "this" {
  for_each = local.balanced ? toset(["IPV4", "IPV6"]) : toset([])

  project    = var.account
  name       = "${var.name}-${lower(each.key)}"
  ip_version = each.key
  labels     = var.labels
}

resource "google_compute_global_forwarding_rule" "this" {
  for_each = google_compute_global_address.this

  project               = var.account
  name                  = "${var.name}-${lower(each.key)}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = each.value.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.this[0].id
  labels                = var.labels
}

resource "google_dns_record_set" "this" {
  for_each = try(var.domain.zone, null) == null ? {} : google_compute_global_address.this

  project      = var.account
  managed_zone = var.domain.zone
  name         = "${var.domain.name}."
  type         = each.key == "IPV4" ? "A" : "AAAA"
  ttl          = 300
  rrdatas      = [each.value.address]
}
