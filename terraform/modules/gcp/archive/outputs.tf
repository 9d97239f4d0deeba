output "name" {
  description = "Name of the archive's subscription."
  value       = google_pubsub_subscription.this.name
}

output "stream_id" {
  description = "The stream of rows as projects/P/topics/T; known before it exists."
  value       = "projects/${var.account}/topics/${var.stream}"
  depends_on  = [google_pubsub_subscription.this] # else what is sent first is lost
}

output "table" {
  description = "The table as project.dataset.table; known before it exists."
  value       = "${var.account}.${local.dataset}.${local.table}"
  depends_on  = [google_bigquery_table.this]
}

output "dead_letter_name" {
  description = "Name of the topic, and subscription, of rows that do not fit."
  value       = google_pubsub_subscription.dead.name
}
