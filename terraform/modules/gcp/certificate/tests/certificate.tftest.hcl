mock_provider "google" {
  mock_resource "google_certificate_manager_dns_authorization" {
    defaults = {
      id                  = "projects/mycompany-web/locations/global/dnsAuthorizations/hito"
      dns_resource_record = [{ name = "_acme-challenge.t.shop.example.", type = "CNAME", data = "x.authorize.certificatemanager.goog." }]
    }
  }
  mock_resource "google_certificate_manager_certificate" {
    defaults = { id = "projects/mycompany-web/locations/global/certificates/hito" }
  }
}

variables {
  account = "mycompany-web"
  name    = "hito"
  domain  = "t.shop.example"
}

run "certificate" {
  assert {
    condition     = google_certificate_manager_certificate.this.managed[0].domains == tolist(["t.shop.example"]) && google_certificate_manager_certificate.this.managed[0].dns_authorizations == tolist([google_certificate_manager_dns_authorization.this.id])
    error_message = "The certificate must not wait for the hostname to lead here alone."
  }
  assert {
    condition     = google_certificate_manager_certificate_map_entry.this.map == "hito" && google_certificate_manager_certificate_map_entry.this.hostname == "t.shop.example" && google_certificate_manager_certificate_map_entry.this.certificates == tolist([google_certificate_manager_certificate.this.id])
    error_message = "The map must have the certificate for the hostname."
  }
  assert {
    condition     = output.id == "//certificatemanager.googleapis.com/projects/mycompany-web/locations/global/certificateMaps/${google_certificate_manager_certificate_map.this.name}"
    error_message = "The load balancer must find the map."
  }
  assert {
    condition     = output.proof == { name = "_acme-challenge.t.shop.example.", type = "CNAME", value = "x.authorize.certificatemanager.goog." }
    error_message = "The proof must be what Google looks for."
  }
}

run "bad" {
  command = plan

  variables {
    account = "1"
    name    = "Hito"
    domain  = "t.shop.example/"
    labels  = { Mine = "no" }
  }
  expect_failures = [var.account, var.name, var.domain, var.labels]
}
