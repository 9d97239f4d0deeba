# A log that keeps records for a while, whoever has read them: a Pub/Sub topic.

resource "google_pubsub_topic" "this" {
  project      = var.account
  name         = var.name
  kms_key_name = var.encryption_key
  labels       = var.labels

  # Of the topic, not of a subscription: so that any of them can go back in time.
  message_retention_duration = "${var.retention_hours * 3600}s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}
