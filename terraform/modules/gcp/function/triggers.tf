# What calls the function: streams, its own dead letters, and schedules. All of it with a token of the push account.

locals {
  streams = length(local.bounded) > 0
  bounded = { for name, t in var.stream_triggers : name => t if t.gives_up }
  pushed  = var.workers == 0
  dead    = "${var.name}-dead"
  parked  = "${var.name}-parked"
  # How long Pub/Sub waits for an answer, before it sends again.
  answer_seconds = max(10, var.timeout_seconds)
}

resource "google_pubsub_subscription" "stream" {
  for_each = var.stream_triggers

  project                    = var.account
  name                       = each.value.subscription
  topic                      = each.value.stream
  ack_deadline_seconds       = local.answer_seconds
  message_retention_duration = "${each.value.retention_hours * 3600}s"
  labels                     = var.labels

  # Without, as for workers and while it is not enabled, messages wait.
  dynamic "push_config" {
    for_each = local.pushed && each.value.enabled ? [local.address] : []

    content {
      push_endpoint = "${push_config.value}/"

      oidc_token {
        service_account_email = var.push_account
        audience              = var.name
      }

      # The body is the message's data as it is, a third smaller than as base64 in JSON, and nothing to parse.
      no_wrapper {
        write_metadata = true
      }
    }
  }

  # Never: a stream that was quiet for a month still has its reader.
  expiration_policy {
    ttl = ""
  }

  # What never gives up is not there to be fast.
  retry_policy {
    minimum_backoff = each.value.gives_up ? "1s" : "10s"
    maximum_backoff = "600s"
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.gives_up ? [each.value.max_deliveries] : []

    content {
      dead_letter_topic     = "projects/${var.account}/topics/${local.dead}"
      max_delivery_attempts = dead_letter_policy.value
    }
  }

  # What is moved to a topic without a subscription is lost, and without the right to publish not moved.
  depends_on = [google_cloud_run_v2_service_iam_member.invoker, google_pubsub_subscription.dead, google_pubsub_topic_iam_member.dead]
}

# Dead letters come again, slowly: by then an outage may be over, and what is to blame itself goes into quarantine.
resource "google_pubsub_topic" "dead" {
  count = local.streams ? 1 : 0

  project      = var.account
  name         = local.dead
  kms_key_name = var.encryption_key
  labels       = var.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "dead" {
  count = local.streams ? 1 : 0

  project                    = var.account
  name                       = local.dead
  topic                      = google_pubsub_topic.dead[0].name
  ack_deadline_seconds       = local.answer_seconds
  message_retention_duration = "${31 * 24 * 3600}s" # the longest there is
  labels                     = var.labels

  # In its envelope, which says how often it was delivered.
  push_config {
    push_endpoint = "${local.address}/dead-letter"

    oidc_token {
      service_account_email = var.push_account
      audience              = var.name
    }
  }

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "60s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = "projects/${var.account}/topics/${local.parked}"
    max_delivery_attempts = 5
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker, google_pubsub_subscription.parked, google_pubsub_topic_iam_member.parked]
}

# What even that did not help waits for somebody to look.
resource "google_pubsub_topic" "parked" {
  count = local.streams ? 1 : 0

  project      = var.account
  name         = local.parked
  kms_key_name = var.encryption_key
  labels       = var.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "parked" {
  count = local.streams ? 1 : 0

  project                    = var.account
  name                       = local.parked
  topic                      = google_pubsub_topic.parked[0].name
  ack_deadline_seconds       = 60
  message_retention_duration = "${31 * 24 * 3600}s"
  labels                     = var.labels

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub itself moves dead letters: it publishes them to the one topic, and acknowledges them at the other's
# subscription. https://cloud.google.com/pubsub/docs/dead-letter-topics#grant_permissions

resource "google_pubsub_topic_iam_member" "dead" {
  count = local.streams ? 1 : 0

  project = var.account
  topic   = google_pubsub_topic.dead[0].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub
}

resource "google_pubsub_topic_iam_member" "parked" {
  count = local.streams ? 1 : 0

  project = var.account
  topic   = google_pubsub_topic.parked[0].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "stream" {
  for_each = local.bounded

  project      = var.account
  subscription = google_pubsub_subscription.stream[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "dead" {
  count = local.streams ? 1 : 0

  project      = var.account
  subscription = google_pubsub_subscription.dead[0].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "worker" {
  for_each = local.pushed ? {} : var.stream_triggers

  project      = var.account
  subscription = google_pubsub_subscription.stream[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.member

  depends_on = [google_service_account.this]
}

resource "google_cloud_scheduler_job" "this" {
  for_each = var.schedule_triggers

  project          = var.account
  region           = var.region
  name             = "${var.name}-${each.key}"
  description      = "Calls ${var.name} every ${each.value.minutes == 1 ? "minute" : "${each.value.minutes} minutes"}."
  time_zone        = "Etc/UTC"
  schedule         = each.value.minutes < 60 ? "*/${each.value.minutes} * * * *" : each.value.minutes < 1440 ? "0 */${each.value.minutes / 60} * * *" : "0 0 * * *"
  paused           = !each.value.enabled
  attempt_deadline = "${max(15, min(1800, var.timeout_seconds))}s" # Cloud Scheduler's least and most

  # What could not be called for before the next time is due is not called for any more.
  retry_config {
    retry_count          = 2
    max_retry_duration   = "${max(60, each.value.minutes * 60)}s"
    min_backoff_duration = "5s"
  }

  http_target {
    http_method = "POST"
    uri         = "${local.address}/${each.key}"

    oidc_token {
      service_account_email = var.push_account
      audience              = var.name
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker]
}
