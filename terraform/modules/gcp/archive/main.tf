# A copy of a stream's records for good: a Pub/Sub topic of rows, and a BigQuery table that Pub/Sub itself writes them to.
#
# A row may be there twice, as its record may come twice: message_id tells. What does not fit the table ends in the dead
# letters, and is kept there for 31 days.

locals {
  dataset = replace(var.name, "-", "_")
  table   = "events"
  dead    = "${var.name}-dead"
  pubsub  = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  # Fields of a row as infra/gcp/bigquery makes it; of JSON columns it has the text.
  columns = [
    { name = "project", type = "STRING", mode = "REQUIRED", description = "Project of the event" },
    { name = "message_id", type = "STRING", mode = "REQUIRED", description = "Identity of the event" },
    { name = "type", type = "STRING", mode = "NULLABLE", description = "track, page, screen, identify, group or alias" },
    { name = "name", type = "STRING", mode = "NULLABLE", description = "Name of what was done: of the event, page or screen" },
    { name = "user_id", type = "STRING", mode = "NULLABLE", description = "Who did it, if known" },
    { name = "anonymous_id", type = "STRING", mode = "NULLABLE", description = "Which browser or device did it" },
    { name = "group_id", type = "STRING", mode = "NULLABLE", description = "Which group it is about" },
    { name = "timestamp", type = "TIMESTAMP", mode = "NULLABLE", description = "When it was done" },
    { name = "received_at", type = "TIMESTAMP", mode = "REQUIRED", description = "When the beacon took it" },
    { name = "origin", type = "STRING", mode = "NULLABLE", description = "Which install took it" },
    { name = "context", type = "JSON", mode = "NULLABLE", description = "Circumstances, as they were sent" },
    { name = "properties", type = "JSON", mode = "NULLABLE", description = "What belongs to it, as it was sent" },
    { name = "traits", type = "JSON", mode = "NULLABLE", description = "What is told of who did it, as it was sent" },
    { name = "enriched", type = "JSON", mode = "NULLABLE", description = "What was found out" },
  ]
}

resource "google_bigquery_dataset" "this" {
  project                    = var.account
  dataset_id                 = local.dataset
  location                   = var.region
  description                = "Enriched events of ${var.name}."
  delete_contents_on_destroy = !var.deletion_protection
  labels                     = var.labels

  # Else every viewer of the project reads all events. Who is to read them is granted the table.
  access {
    role          = "OWNER"
    special_group = "projectOwners"
  }

  dynamic "default_encryption_configuration" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "this" {
  project             = var.account
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = local.table
  description         = "A row for every enriched event; now and then two, with the same message_id."
  deletion_protection = var.deletion_protection
  schema              = jsonencode(local.columns)
  clustering          = ["project", "name", "user_id"]
  labels              = var.labels

  time_partitioning {
    type          = "DAY"
    field         = "received_at"
    expiration_ms = var.expire_days == null ? null : var.expire_days * 24 * 3600 * 1000
  }

  dynamic "encryption_configuration" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]

    content {
      kms_key_name = encryption_configuration.value
    }
  }
}

resource "google_pubsub_topic" "this" {
  project      = var.account
  name         = var.stream
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
  message_retention_duration = "${7 * 24 * 3600}s"
  labels                     = var.labels

  bigquery_config {
    table            = "${var.account}.${google_bigquery_table.this.dataset_id}.${google_bigquery_table.this.table_id}"
    use_table_schema = true
    # A row may say more than the table has columns for, as while one is new and the other is not.
    drop_unknown_fields = true
  }

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # About four hours of tries.
  dead_letter_policy {
    dead_letter_topic     = "projects/${var.account}/topics/${local.dead}"
    max_delivery_attempts = 30
  }

  # It looks whether it may write as soon as it is made. What is moved to a topic without a subscription is lost, and
  # without the right to publish not moved.
  depends_on = [google_bigquery_table_iam_member.this, google_pubsub_subscription.dead, google_pubsub_topic_iam_member.dead]
}

resource "google_pubsub_topic" "dead" {
  project      = var.account
  name         = local.dead
  kms_key_name = var.encryption_key
  labels       = var.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "dead" {
  project                    = var.account
  name                       = local.dead
  topic                      = google_pubsub_topic.dead.name
  ack_deadline_seconds       = 60
  message_retention_duration = "${31 * 24 * 3600}s" # the longest there is
  labels                     = var.labels

  expiration_policy {
    ttl = ""
  }
}

# https://cloud.google.com/pubsub/docs/create-bigquery-subscription#assign_bigquery_service_account
resource "google_bigquery_table_iam_member" "this" {
  project    = var.account
  dataset_id = google_bigquery_table.this.dataset_id
  table_id   = google_bigquery_table.this.table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub
}

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
