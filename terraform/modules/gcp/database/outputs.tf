output "name" {
  description = "Name of the database."
  value       = google_firestore_database.this.name
}

output "id" {
  description = "The database as projects/P/databases/D; known before it exists."
  value       = local.id
  # Who uses the database finds it with everything that it is to have.
  depends_on = [google_firestore_database.this, google_firestore_field.unindexed, google_firestore_field.expires]
}
