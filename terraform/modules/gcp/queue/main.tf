# A queue, and the dead-letter queue that takes what nobody managed to handle: two Pub/Sub topics with a pull
# subscription each.

locals {
  dead_letter_name = "${var.name}-dead"
  # Made of what is known before anything exists, so that a plan shows every name in full.
  id                  = "projects/${var.account}/topics/${var.name}"
  dead_letter_id      = "projects/${var.account}/topics/${local.dead_letter_name}"
  subscription_id     = "projects/${var.account}/subscriptions/${var.name}"
  pubsub              = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  dead_letter_seconds = 31 * 24 * 3600 # the longest there is
}

resource "google_pubsub_topic" "this" {
  project      = var.account
  name         = var.name
  kms_key_name = var.encryption_key
  labels       = var.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "this" {
  project                    = var.account
  name                       = var.name
  topic                      = google_pubsub_topic.this.name
  ack_deadline_seconds       = var.visibility_seconds
  message_retention_duration = "${var.retention_hours * 3600}s"
  labels                     = var.labels

  # Never: a queue that nobody has asked for a month is not one to delete.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = local.dead_letter_id
    max_delivery_attempts = var.max_deliveries
  }

  # What is moved to a topic without a subscription is lost, and without the right to publish not moved.
  depends_on = [google_pubsub_subscription.dead, google_pubsub_topic_iam_member.dead]
}

resource "google_pubsub_topic" "dead" {
  project      = var.account
  name         = local.dead_letter_name
  kms_key_name = var.encryption_key
  labels       = var.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "dead" {
  project                    = var.account
  name                       = local.dead_letter_name
  topic                      = google_pubsub_topic.dead.name
  ack_deadline_seconds       = var.visibility_seconds
  message_retention_duration = "${local.dead_letter_seconds}s"
  labels                     = var.labels

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub itself moves dead letters: it publishes them to the one topic, and acknowledges them at the other's
# subscription. https://cloud.google.com/pubsub/docs/dead-letter-topics#grant_permissions

resource "google_pubsub_topic_iam_member" "dead" {
  project = var.account
  topic   = google_pubsub_topic.dead.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "this" {
  project      = var.account
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub
}
