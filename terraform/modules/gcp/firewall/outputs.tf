output "id" {
  description = "Id of the security policy; known before it exists."
  value       = "projects/${var.account}/global/securityPolicies/${var.name}"
  depends_on  = [google_compute_security_policy.this]
}
