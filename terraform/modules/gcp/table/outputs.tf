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
