# What the functions tell in their logs, as metrics: by the names that they have on AWS too, behind the install's.
# https://cloud.google.com/logging/docs/logs-based-metrics

locals {
  # Workers are services of their own.
  services = { for key, f in var.functions : key => f.stream == null ? [f.name] : [f.name, "${f.name}-worker"] }

  # Who measures what. A line has one number of each name: see infra/gcp/cloudlogging.
  measured = { for name, m in {
    requests            = { unit = "1", of = ["beacon", "profile"], says = "Requests" }
    requests_refused    = { unit = "1", of = ["beacon"], says = "Requests of which nothing was accepted" }
    request_bytes       = { unit = "By", of = ["beacon"], says = "Bytes that came" }
    request_time        = { unit = "ms", of = ["profile"], says = "How long a read took" }
    unreflected         = { unit = "1", of = ["profile"], says = "Reads that waited for an event in vain" }
    events_received     = { unit = "1", of = ["beacon"], says = "Events accepted" }
    events_quarantined  = { unit = "1", of = ["beacon"], says = "Events that cannot be processed" }
    events_duplicate    = { unit = "1", of = ["beacon", "score"], says = "Events that were there already" }
    events_failed_over  = { unit = "1", of = ["beacon"], says = "Events that the other cloud's stream took" }
    publish_hedged      = { unit = "1", of = ["beacon"], says = "Requests for which both clouds' streams were asked, since one was slow" }
    stream_given_up     = { unit = "1", of = ["beacon"], says = "Requests for which the other cloud's stream was asked first" }
    events_enriched     = { unit = "1", of = ["enrich"], says = "Events passed on" }
    bots                = { unit = "1", of = ["enrich"], says = "Events of bots" }
    lag                 = { unit = "ms", of = ["enrich"], says = "How long ago the beacon took a batch's oldest event" }
    latency             = { unit = "ms", of = ["score"], says = "How long ago the beacon took a batch's slowest event, once it is in its profile" }
    events_scored       = { unit = "1", of = ["score"], says = "Events that are in their profiles" }
    events_suppressed   = { unit = "1", of = ["score"], says = "Events of who was erased" }
    events_redelivered  = { unit = "1", of = ["score"], says = "Events that came again" }
    window_evictions    = { unit = "1", of = ["score"], says = "Message ids that left the dedupe window before their time" }
    save_conflicts      = { unit = "1", of = ["score"], says = "Profiles that somebody else saved meanwhile" }
    transitions         = { unit = "1", of = ["score"], says = "Segments entered and left" }
    fragments_swept     = { unit = "1", of = ["score"], says = "Profiles decided anew" }
    events_relayed      = { unit = "1", of = ["relay"], says = "Events that the other cloud has" }
    relay_lag           = { unit = "ms", of = ["relay"], says = "How long ago the oldest event was accepted that was shipped to the other cloud" }
    records_unread      = { unit = "1", of = ["relay"], says = "Records that relay cannot read, and passes over" }
    records_redelivered = { unit = "1", of = ["enrich", "score"], says = "Records of messages that come again" }
    records_quarantined = { unit = "1", of = ["enrich", "score"], says = "Records that cannot be processed" }
  } : name => merge(m, { services = flatten([for key in m.of : lookup(local.services, key, [])]) }) }

  # What is promised stands on a boundary, so that what is within is counted exactly. (Texts of one length sort as numbers do.)
  milliseconds = [for b in sort(distinct([for b in concat(
    [1, 2, 5, 10, 20, 50, 100, 150, 200, 300, 400, 500, 700, 1000, 1400, 2000, 3000, 5000, 7000, 10000, 20000, 30000],
    [60000, 120000, 300000, 600000, 1800000, 3600000, 14400000, 86400000],
    [var.slo.milliseconds],
  ) : format("%012.3f", b)])) : tonumber(b)]
  # Of the others sums matter, which are exact in any buckets.
  bounds = { ms = local.milliseconds, "1" = [0, 1, 10, 100, 1000, 10000], By = [0, 100, 1000, 10000, 100000, 1000000] }

  # What Cloud Run itself tells, of every call, whoever answers it.
  all_services = flatten(values(local.services))
  calls        = "log_id(\"run.googleapis.com/requests\")"
  counted = length(var.functions) == 0 ? {} : {
    # A line of the log that says ERROR is something nobody handled; Cloud Run's own tell of memory and of instances that ended.
    errors_logged = { filter = "severity>=ERROR AND NOT ${local.calls}", says = "Errors in the log" }
    # Of what reached no instance Cloud Run's own metrics say nothing.
    calls_failed    = { filter = "${local.calls} AND httpRequest.status>=500", says = "Calls answered 5xx, also by Cloud Run itself" }
    calls_throttled = { filter = "${local.calls} AND httpRequest.status=429", says = "Calls for which there was no instance" }
  }
}

resource "google_logging_metric" "measured" {
  for_each = { for name, m in local.measured : name => m if length(m.services) > 0 }

  project          = var.account
  name             = "${var.name}/${each.key}"
  description      = "${each.value.says}."
  filter           = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"${join("\" OR \"", each.value.services)}\") AND jsonPayload.hito.${each.key}:*"
  value_extractor  = "EXTRACT(jsonPayload.hito.${each.key})"
  label_extractors = { function = "EXTRACT(jsonPayload.function)" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit

    labels {
      key         = "function"
      value_type  = "STRING"
      description = "Name of the function's service"
    }
  }

  bucket_options {
    explicit_buckets {
      bounds = local.bounds[each.value.unit]
    }
  }
}

resource "google_logging_metric" "counted" {
  for_each = local.counted

  project          = var.account
  name             = "${var.name}/${each.key}"
  description      = "${each.value.says}."
  filter           = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"${join("\" OR \"", local.all_services)}\") AND ${each.value.filter}"
  label_extractors = { function = "EXTRACT(resource.labels.service_name)" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "function"
      value_type  = "STRING"
      description = "Name of the function's service"
    }
  }
}

# Cloud Run logs every call. Of those that went well the functions' own metrics tell all there is, and keeping them would cost
# more than the calls. https://cloud.google.com/logging/docs/routing/overview#exclusions
resource "google_logging_project_exclusion" "calls" {
  count = length(var.functions) == 0 ? 0 : 1

  project     = var.account
  name        = "${var.name}-calls"
  description = "Calls of ${var.name}'s functions that went well."
  filter      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"${join("\" OR \"", local.all_services)}\") AND ${local.calls} AND httpRequest.status<400"
}
