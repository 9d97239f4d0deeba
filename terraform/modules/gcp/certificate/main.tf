# A certificate of a hostname, for a load balancer. The hostname's owner shows whose it is by a record of its own, and not by where
# the hostname leads: that may be another cloud too. The record stays, so that Google renews the certificate.
# https://cloud.google.com/certificate-manager/docs/domain-authorization

locals {
  # Made of what is known before anything exists.
  map = "projects/${var.account}/locations/global/certificateMaps/${var.name}"
}

resource "google_certificate_manager_dns_authorization" "this" {
  project     = var.account
  name        = var.name
  description = "Whose ${var.domain} is."
  domain      = var.domain
  labels      = var.labels
}

resource "google_certificate_manager_certificate" "this" {
  project     = var.account
  name        = var.name
  description = "Certificate of ${var.domain}."
  labels      = var.labels

  managed {
    domains            = [var.domain]
    dns_authorizations = [google_certificate_manager_dns_authorization.this.id]
  }
}

resource "google_certificate_manager_certificate_map" "this" {
  project     = var.account
  name        = var.name
  description = "What the load balancer of ${var.name} shows."
  labels      = var.labels
}

resource "google_certificate_manager_certificate_map_entry" "this" {
  project      = var.account
  name         = var.name
  description  = "Certificate of ${var.domain}."
  map          = google_certificate_manager_certificate_map.this.name
  hostname     = var.domain
  certificates = [google_certificate_manager_certificate.this.id]
  labels       = var.labels
}
