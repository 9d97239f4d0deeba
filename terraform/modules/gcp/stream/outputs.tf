output "name" {
  description = "Name of the stream."
  value       = google_pubsub_topic.this.name
}

output "id" {
  description = "The stream as projects/P/topics/T; known before it exists."
  value       = "projects/${var.account}/topics/${var.name}"
  depends_on  = [google_pubsub_topic.this]
}
