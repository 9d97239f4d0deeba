# Who watches: channels that alerts go to, alarms that each lead to a runbook, an objective, a check from outside, and a dashboard.
#
# Alarms are two kinds: "page" wakes somebody, "ticket" waits until the morning. Both go to every channel that does not say which it
# takes; the kind stands first in the alarm's text, and is its severity and a label of it, so that what receives them can tell.

locals {
  # What the functions' own metrics go by: the names they have on Cloud Run.
  own_name = { for key in ["beacon", "enrich", "score", "profile", "relay"] : key => try(var.functions[key].name, key) }

  # What a channel calls its address.
  channel = {
    email  = { type = "email", label = "email_address" }
    https  = { type = "webhook_tokenauth", label = "url" }
    pubsub = { type = "pubsub", label = "topic" }
    sms    = { type = "sms", label = "number" }
  }
}

resource "google_monitoring_notification_channel" "this" {
  for_each = var.notify

  project      = var.account
  display_name = "${var.name} ${each.key}"
  type         = local.channel[each.value.protocol].type
  labels       = { (local.channel[each.value.protocol].label) = each.value.address }
  user_labels  = var.labels
}

# There is nobody to allow it to before there is a channel. Without, alerts are lost without a word.
# https://cloud.google.com/monitoring/support/notification-options#pubsub
resource "google_pubsub_topic_iam_member" "alerts" {
  for_each = { for name, n in var.notify : name => n if n.protocol == "pubsub" }

  project = split("/", each.value.address)[1]
  topic   = split("/", each.value.address)[3]
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:service-${var.project_number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"

  depends_on = [google_monitoring_notification_channel.this]
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alarms

  project      = var.account
  display_name = "${var.name}-${each.key}"
  combiner     = "OR"
  severity     = each.value.severity == "page" ? "CRITICAL" : "WARNING"
  user_labels  = merge(var.labels, { severity = each.value.severity })

  conditions {
    display_name = each.key

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = "${each.value.seconds}s"
      evaluation_interval = "60s"
      # A metric of logs is known minutes after it was made, and some of Google's with the first value.
      disable_metric_validation = true
    }
  }

  notification_channels = contains(var.quiet, each.key) ? [] : [for name, c in google_monitoring_notification_channel.this : c.id if contains(var.notify[name].severities, each.value.severity)]

  alert_strategy {
    auto_close           = "1800s"
    notification_prompts = ["OPENED", "CLOSED"]
  }

  documentation {
    subject   = "[${each.value.severity}] ${var.name}-${each.key}"
    mime_type = "text/markdown"
    content   = "[${each.value.severity}] ${each.value.says} Runbook: ${var.runbooks}/${each.value.runbook}.md"

    links {
      display_name = "Runbook"
      url          = "${var.runbooks}/${each.value.runbook}.md"
    }
  }

  depends_on = [google_logging_metric.measured, google_logging_metric.counted]
}

# A metric is known only minutes after it was defined, and what is made of it before is refused.
resource "terraform_data" "known" {
  count = contains(keys(var.functions), "score") ? 1 : 0

  triggers_replace = "projects/${var.account}/metricDescriptors/logging.googleapis.com/user/${var.name}/latency"

  provisioner "local-exec" {
    command     = "${path.module}/wait.sh"
    environment = { METRIC = self.triggers_replace }
  }

  depends_on = [google_logging_metric.measured]
}

# The promise, and what is left of its budget, as the console shows it.
resource "google_monitoring_custom_service" "this" {
  count = contains(keys(var.functions), "score") ? 1 : 0

  project      = var.account
  service_id   = var.name
  display_name = var.name
  user_labels  = var.labels
}

resource "google_monitoring_slo" "latency" {
  count = contains(keys(var.functions), "score") ? 1 : 0

  project             = var.account
  service             = google_monitoring_custom_service.this[0].service_id
  slo_id              = "${var.name}-latency"
  display_name        = "${var.slo.percent} % of the batches scored within ${var.slo.milliseconds} ms"
  goal                = var.slo.percent / 100
  rolling_period_days = 30
  user_labels         = var.labels

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type=\"logging.googleapis.com/user/${var.name}/latency\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=one_of(\"${join("\",\"", local.services.score)}\")"

      range {
        max = var.slo.milliseconds
      }
    }
  }

  depends_on = [terraform_data.known]
}

# Asks as a browser does, from all over the world, and through all that stands before the beacon. What it asks takes no event in.
resource "google_monitoring_uptime_check_config" "beacon" {
  count = var.check == null ? 0 : 1

  project      = var.account
  display_name = "${var.name}-beacon"
  period       = "60s"
  timeout      = "10s"
  user_labels  = var.labels

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.account, host = var.check.host }
  }

  http_check {
    path         = var.check.path
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  content_matchers {
    content = "Segment.io"
    matcher = "CONTAINS_STRING"
  }
}
