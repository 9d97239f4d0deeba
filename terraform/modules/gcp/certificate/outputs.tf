output "id" {
  description = "Id of the map that has the certificate, as a load balancer takes it: //certificatemanager.googleapis.com/projects/P/locations/global/certificateMaps/M. Known before it exists."
  value       = "//certificatemanager.googleapis.com/${local.map}"
  depends_on  = [google_certificate_manager_certificate_map_entry.this]
}

output "proof" {
  description = "Record that shows whose the hostname is, to be made wherever its zone is: name, type and value."
  value = {
    name  = try(google_certificate_manager_dns_authorization.this.dns_resource_record[0].name, null)
    type  = "CNAME"
    value = try(google_certificate_manager_dns_authorization.this.dns_resource_record[0].data, null)
  }
}
