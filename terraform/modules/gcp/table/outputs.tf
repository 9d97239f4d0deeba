output "name" {
  description = "Name of the table."
  value       = google_bigtable_table.this.name
}

output "id" {
  description = "The table as projects/P/instances/I/tables/T; known before it exists."
  value       = local.id
  # Who uses the table finds it with everything that it is to have.
  depends_on = [google_bigtable_table.this, google_bigtable_gc_policy.this, google_bigtable_app_profile.this]
}

output "instance" {
  description = "Name of the table's instance, and of its cluster."
  value       = google_bigtable_instance.this.name
}

output "app_profile" {
  description = "Name of the app profile to use the table by."
  value       = google_bigtable_app_profile.this.app_profile_id
}

output "open" {
  description = "What whoever uses the table needs besides rights on it: a role, and the instance to have it on, as permissions of a function."
  value       = { role = "projects/${var.account}/roles/${local.opener}", kind = "instance", id = "projects/${var.account}/instances/${local.instance}" }
  depends_on  = [google_project_iam_custom_role.open, google_bigtable_instance.this]
}
