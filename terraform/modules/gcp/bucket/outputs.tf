output "name" {
  description = "Name of the bucket."
  value       = google_storage_bucket.this.name
  # Who uses the bucket finds it filled.
  depends_on = [google_storage_bucket_object.this]
}

output "objects" {
  description = "Keys of the objects that are part of the install."
  value       = keys(google_storage_bucket_object.this)
}
