output "name" {
  description = "Name of the secret."
  value       = google_secret_manager_secret.this.secret_id
}

output "id" {
  description = "The secret as projects/P/secrets/S; known before it exists."
  value       = "projects/${var.account}/secrets/${var.name}"
  depends_on  = [google_secret_manager_secret_version.this]
}
