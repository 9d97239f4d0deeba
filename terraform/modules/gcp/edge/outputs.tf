output "urls" {
  description = "Where each function is reached, without a slash at the end: the hostname in front, or the functions' own."
  value       = { for key, f in var.functions : key => local.balanced ? "https://${var.domain.name}" : trimsuffix(f.url, "/") }
}

output "target" {
  description = "What a hostname's records must say when domain has no zone: an IPv4 and an IPv6 address. Null without a load balancer."
  value       = local.balanced ? { for version, a in google_compute_global_address.this : lower(version) => a.address } : null
}
