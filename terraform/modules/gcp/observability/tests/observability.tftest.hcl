mock_provider "google" {
  mock_resource "google_monitoring_dashboard" {
    defaults = { id = "projects/123456789012/dashboards/abc-1" }
  }
}

variables {
  account        = "mycompany-web"
  project_number = "123456789012"
  name           = "hito"
  notify         = { team = { address = "team@shop.example" } }
  functions = {
    beacon  = { name = "hito-beacon", timeout_seconds = 10, public = true }
    enrich  = { name = "hito-enrich", timeout_seconds = 30, stream = "hito-raw", subscription = "hito-raw-enrich" }
    score   = { name = "hito-score", timeout_seconds = 60, instances = 40, stream = "hito-enriched", subscription = "hito-enriched-score" }
    profile = { name = "hito-profile", timeout_seconds = 30, instances = 1, public = true }
  }
  streams = { raw = "hito-raw", enriched = "hito-enriched" }
  queues = {
    actions       = { name = "hito-actions", dead_letter_name = "hito-actions-dead", consumed = false }
    score-redrive = { name = "hito-score-dead", dead_letter_name = "hito-score-parked" }
  }
  tables   = { table = { name = "hito", instance = "hito-table" } }
  archives = { enriched = "hito-archive" }
  check    = { host = "t.shop.example", path = "/v1/projects/demo/settings" }
  sweep    = true
}

# Two clouds.
run "relay" {
  variables {
    functions = {
      beacon = { name = "hito-beacon", timeout_seconds = 10, public = true }
      relay  = { name = "hito-relay", timeout_seconds = 60, stream = "hito-enriched", subscription = "hito-enriched-relay" }
    }
  }

  assert {
    condition     = length(setsubtract(["relay-lag", "relay-errors", "beacon-failing-over"], keys(output.alarms))) == 0 && length(setintersection(["relay-iterator-age", "relay-age", "relay-stalled", "relay-given-up"], keys(output.alarms))) == 0
    error_message = "Relay may be behind for a while, and not for long."
  }
  assert {
    condition     = startswith(google_monitoring_alert_policy.this["relay-lag"].documentation[0].content, "[page]") && strcontains(google_monitoring_alert_policy.this["relay-errors"].documentation[0].content, "/partition.md")
    error_message = "An hour's lag must wake somebody, and what heals by itself nobody."
  }
}

run "alarms" {
  # As on AWS (its tests have the same list), but for the table, whose capacity is nodes.
  assert {
    condition = length(setsubtract([
      "beacon-5xx", "profile-5xx", "beacon-refused", "quarantine", "score-window-evictions",
      "enrich-errors", "score-errors", "beacon-throttles", "beacon-duration", "beacon-errors-logged",
      "enrich-iterator-age", "score-iterator-age", "enrich-stalled", "score-stalled",
      "actions-dead-letters", "score-redrive-dead-letters", "score-redrive-age", "raw-write-throttles", "enriched-write-throttles",
      "table-system-errors", "enriched-archive-age", "latency-burn-fast", "latency-burn-slow",
      "table-cpu", "table-hottest-node", "table-storage", "table-latency", "beacon-unreachable", "score-sweep",
      "beacon-instances", "score-instances", "enrich-age", "score-age", "enrich-given-up", "score-given-up",
    ], keys(output.alarms))) == 0
    error_message = "Something is not watched."
  }
  assert {
    condition     = length(setintersection(["beacon-iterator-age", "beacon-stalled", "beacon-given-up"], keys(output.alarms))) == 0
    error_message = "The beacon reads no stream."
  }
  assert {
    condition     = length(setintersection(["beacon-errors", "profile-errors"], keys(output.alarms))) == 0
    error_message = "What a beacon fails at is told once, by beacon-5xx."
  }
  assert {
    condition     = !contains(keys(output.alarms), "profile-instances")
    error_message = "One instance of one must not alarm."
  }
  assert {
    condition     = !contains(keys(output.alarms), "actions-age")
    error_message = "What nobody takes from must not alarm for its age."
  }
  assert {
    condition = alltrue([for key, a in google_monitoring_alert_policy.this :
      can(regex("^\\[(page|ticket)\\] .+ Runbook: https://.+/docs/runbooks/[a-z0-9-]+\\.md$", a.documentation[0].content)) &&
      startswith(a.documentation[0].subject, substr(a.documentation[0].content, 0, 6)) && endswith(a.documentation[0].content, a.documentation[0].links[0].url)
    ])
    error_message = "Every alarm must say whether it wakes, and lead to a runbook."
  }
  assert {
    condition     = alltrue([for a in google_monitoring_alert_policy.this : fileexists("../../../../docs/runbooks/${reverse(split("/", a.documentation[0].links[0].url))[0]}")])
    error_message = "Every alarm must lead to a runbook that there is."
  }
  assert {
    condition     = alltrue([for a in google_monitoring_alert_policy.this : (a.severity == "CRITICAL") == startswith(a.documentation[0].content, "[page]") && a.user_labels.severity == (a.severity == "CRITICAL" ? "page" : "ticket")])
    error_message = "What wakes must be critical."
  }
  assert {
    condition     = alltrue([for a in google_monitoring_alert_policy.this : a.notification_channels == tolist([google_monitoring_notification_channel.this["team"].id]) && contains(a.alert_strategy[0].notification_prompts, "CLOSED")])
    error_message = "Every alarm must tell, and tell when it is over."
  }
  assert {
    condition = alltrue([for a in google_monitoring_alert_policy.this : alltrue([for p in a.conditions[0].condition_prometheus_query_language :
      p.disable_metric_validation && tonumber(trimsuffix(p.duration, "s")) % 60 == 0
    ])])
    error_message = "A metric of logs is not known yet when its alarm is made."
  }
}

run "queries" {
  assert {
    condition     = endswith(google_monitoring_alert_policy.this["score-duration"].conditions[0].condition_prometheus_query_language[0].query, " > 48000") && strcontains(google_monitoring_alert_policy.this["score-iterator-age"].conditions[0].condition_prometheus_query_language[0].query, "subscription_id=\"hito-enriched-score\"}) > 60 ")
    error_message = "Durations are in milliseconds, ages in seconds."
  }
  assert {
    condition     = alltrue([for key, a in google_monitoring_alert_policy.this : can(regex("\"hito[\"-]", a.conditions[0].condition_prometheus_query_language[0].query)) if key != "beacon-unreachable"]) # which has a hostname
    error_message = "Another install's metrics must not alarm here."
  }
  assert {
    condition = alltrue(flatten([for a in google_monitoring_alert_policy.this : [
      for s in regexall("[a-z_]+:[a-z_]+(\\{[^}]*\\})?", a.conditions[0].condition_prometheus_query_language[0].query) : startswith(s[0], "{monitored_resource=\"")
    ]]))
    error_message = "Every query must name the kind of resource: metrics of logs have many."
  }
  # What an alarm counts of its own must be counted.
  assert {
    condition = length(setsubtract(
      flatten([for a in google_monitoring_alert_policy.this : [for m in regexall("user_hito_([a-z0-9_]+?)(?:_sum|_count|_bucket)?\\{", a.conditions[0].condition_prometheus_query_language[0].query) : m[0]]]),
      concat(keys(google_logging_metric.measured), keys(google_logging_metric.counted)),
    )) == 0
    error_message = "An alarm watches what nobody measures."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["score-instances"].conditions[0].condition_prometheus_query_language[0].query == "max(sum by (revision_name) (run_googleapis_com:container_instance_count{monitored_resource=\"cloud_run_revision\",service_name=\"hito-score\",state=\"active\"})) >= 40"
    error_message = "A version's instances are what is limited."
  }
  # 14.4 times the budget of one percent is 14.4 percent: the slowest of these are too slow, within an hour and within five minutes.
  assert {
    condition = google_monitoring_alert_policy.this["latency-burn-fast"].conditions[0].condition_prometheus_query_language[0].query == join(" and ", flatten([for w in ["3600s", "300s"] : [
      "histogram_quantile(0.856, sum by (le) (increase(logging_googleapis_com:user_hito_latency_bucket{monitored_resource=\"cloud_run_revision\",function=~\"hito-score(-worker)?\"}[${w}]))) > 1000",
      "sum(increase(logging_googleapis_com:user_hito_latency_count{monitored_resource=\"cloud_run_revision\",function=~\"hito-score(-worker)?\"}[${w}])) >= 20",
    ]]))
    error_message = "Both windows must burn, and have batches enough."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["latency-burn-fast"].severity == "CRITICAL" && google_monitoring_alert_policy.this["latency-burn-slow"].severity == "WARNING"
    error_message = "What burns fast wakes."
  }
}

run "metrics" {
  assert {
    condition     = google_logging_metric.measured["events_scored"].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"hito-score\" OR \"hito-score-worker\") AND jsonPayload.hito.events_scored:*" && google_logging_metric.measured["events_scored"].value_extractor == "EXTRACT(jsonPayload.hito.events_scored)"
    error_message = "Numbers must be read where the functions write them, of workers too."
  }
  assert {
    condition     = alltrue([for m in google_logging_metric.measured : startswith(m.name, "hito/") && m.metric_descriptor[0].value_type == "DISTRIBUTION" && [for l in m.metric_descriptor[0].labels : l.key] == ["function"] && keys(m.label_extractors) == tolist(["function"])])
    error_message = "Metrics must be the install's, and be told apart by function only."
  }
  assert {
    condition     = alltrue([for m in google_logging_metric.measured : alltrue([for i, b in slice(m.bucket_options[0].explicit_buckets[0].bounds, 1, length(m.bucket_options[0].explicit_buckets[0].bounds)) : b > m.bucket_options[0].explicit_buckets[0].bounds[i]])])
    error_message = "Bounds must go up."
  }
  assert {
    condition     = google_logging_metric.counted["errors_logged"].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"hito-beacon\" OR \"hito-enrich\" OR \"hito-enrich-worker\" OR \"hito-profile\" OR \"hito-score\" OR \"hito-score-worker\") AND severity>=ERROR AND NOT log_id(\"run.googleapis.com/requests\")"
    error_message = "A call that failed is no line of the log."
  }
  assert {
    condition     = endswith(google_logging_project_exclusion.calls[0].filter, " AND log_id(\"run.googleapis.com/requests\") AND httpRequest.status<400") && strcontains(google_logging_project_exclusion.calls[0].filter, "\"hito-beacon\"")
    error_message = "Calls that went well must not be kept, and only those, and only the install's."
  }
}

run "objective" {
  assert {
    condition     = google_monitoring_slo.latency[0].goal == 0.99 && google_monitoring_slo.latency[0].rolling_period_days == 30 && google_monitoring_slo.latency[0].service == "hito"
    error_message = "The promise is for a month."
  }
  assert {
    condition     = google_monitoring_slo.latency[0].request_based_sli[0].distribution_cut[0].range[0].max == 1000 && strcontains(google_monitoring_slo.latency[0].request_based_sli[0].distribution_cut[0].distribution_filter, "metric.type=\"logging.googleapis.com/user/${google_logging_metric.measured["latency"].name}\"") && contains(google_logging_metric.measured["latency"].bucket_options[0].explicit_buckets[0].bounds, 1000)
    error_message = "What is within the time promised must be counted exactly."
  }
}

run "from_outside" {
  assert {
    condition = (
      google_monitoring_uptime_check_config.beacon[0].monitored_resource[0].labels.host == "t.shop.example" && google_monitoring_uptime_check_config.beacon[0].http_check[0].path == "/v1/projects/demo/settings" &&
      google_monitoring_uptime_check_config.beacon[0].http_check[0].use_ssl && google_monitoring_uptime_check_config.beacon[0].http_check[0].validate_ssl && google_monitoring_uptime_check_config.beacon[0].content_matchers[0].content == "Segment.io"
    )
    error_message = "The beacon must be asked as a browser does, and the certificate be looked at."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["beacon-unreachable"].severity == "CRITICAL" && strcontains(google_monitoring_alert_policy.this["beacon-unreachable"].conditions[0].condition_prometheus_query_language[0].query, "host=\"t.shop.example\"")
    error_message = "That no beacon arrives must wake somebody."
  }
}

# A database of Firestore's in place of a table.
run "documents" {
  variables {
    tables = { table = { name = "hito-table" } }
  }
  assert {
    condition     = [for key in keys(output.alarms) : key if startswith(key, "table-")] == ["table-latency", "table-system-errors"]
    error_message = "The database must be watched."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["table-latency"].conditions[0].condition_prometheus_query_language[0].query, "database_id=\"hito-table\"") && endswith(google_monitoring_alert_policy.this["table-latency"].conditions[0].condition_prometheus_query_language[0].query, " > 0.2")
    error_message = "Its latencies are in seconds."
  }
}

run "dashboard" {
  assert {
    condition     = output.dashboard_url == "https://console.cloud.google.com/monitoring/dashboards/builder/abc-1?project=mycompany-web"
    error_message = "The dashboard must be found."
  }
  assert {
    condition     = strcontains(google_monitoring_dashboard.this.dashboard_json, "le=~\\\"1000(") && contains(google_logging_metric.measured["latency"].bucket_options[0].explicit_buckets[0].bounds, 1000)
    error_message = "What is within the time promised must be counted exactly."
  }
  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles[0].widget.incidentList.policyNames) == length(google_monitoring_alert_policy.this)
    error_message = "The dashboard must have every alarm of the install, and no other."
  }
  assert {
    condition = alltrue([for tile in slice(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles, 1, length(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles)) :
      length(tile.widget.xyChart.dataSets) > 0 && tile.xPos + tile.width <= 48
    ])
    error_message = "A graph shows nothing, or stands outside."
  }
  assert {
    condition = length(setsubtract(
      [for m in regexall("user_hito_([a-z0-9_]+?)(?:_sum|_count|_bucket)?\\{", google_monitoring_dashboard.this.dashboard_json) : m[0]],
      concat(keys(google_logging_metric.measured), keys(google_logging_metric.counted)),
    )) == 0
    error_message = "The dashboard shows what nobody measures."
  }
}

run "settings" {
  variables {
    name = "shop-2"
    notify = {
      team  = { address = "team@shop.example" }
      pager = { protocol = "https", address = "https://events.pager.example/1", severities = ["page"] }
      chat  = { protocol = "pubsub", address = "projects/mycompany-chat/topics/alerts" }
      night = { protocol = "sms", address = "+491701234567" }
    }
    quiet         = ["beacon-5xx", "latency-burn-slow"]
    check         = null
    sweep         = false
    load_balancer = "shop-2"
    functions = {
      beacon  = { name = "shop-2-beacon", timeout_seconds = 10 }
      score   = { name = "shop-2-score", timeout_seconds = 30, stream = "shop-2-enriched", subscription = "shop-2-enriched-score" }
      profile = { name = "shop-2-profile", timeout_seconds = 30 }
    }
    slo        = { milliseconds = 2500, percent = 95 }
    thresholds = { beacon_5xx_percent = 2 }
    runbooks   = "https://wiki.shop.example/docs/runbooks"
    labels     = { install = "shop-2" }
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this["beacon-5xx"].notification_channels) == 0 && length(google_monitoring_alert_policy.this["latency-burn-slow"].notification_channels) == 0 && length(google_monitoring_alert_policy.this["latency-burn-fast"].notification_channels) == 4
    error_message = "Quiet alarms tell nobody, others do."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this["beacon-refused"].notification_channels) == 3
    error_message = "What waits until the morning must not wake whom pages do."
  }
  assert {
    condition     = !contains(keys(output.alarms), "beacon-unreachable") && !contains(keys(output.alarms), "score-sweep")
    error_message = "What was not asked for must not alarm."
  }
  assert {
    condition = { for name, c in google_monitoring_notification_channel.this : name => "${c.type} ${jsonencode(c.labels)}" } == {
      team  = "email {\"email_address\":\"team@shop.example\"}"
      pager = "webhook_tokenauth {\"url\":\"https://events.pager.example/1\"}"
      chat  = "pubsub {\"topic\":\"projects/mycompany-chat/topics/alerts\"}"
      night = "sms {\"number\":\"+491701234567\"}"
    }
    error_message = "Everybody must be told in their own way."
  }
  assert {
    condition     = { for name, m in google_pubsub_topic_iam_member.alerts : name => "${m.project} ${m.topic} ${m.role} ${m.member}" } == { chat = "mycompany-chat alerts roles/pubsub.publisher serviceAccount:service-123456789012@gcp-sa-monitoring-notification.iam.gserviceaccount.com" }
    error_message = "Alerts must be able to get to the topic, or they are lost without a word."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["beacon-5xx"].conditions[0].condition_prometheus_query_language[0].query, "url_map_name=\"shop-2\",backend_target_name=\"shop-2-beacon\",response_code_class=\"500\"") && strcontains(google_monitoring_alert_policy.this["beacon-5xx"].conditions[0].condition_prometheus_query_language[0].query, "> 2 and")
    error_message = "Behind a load balancer its answers count."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["profile-5xx"].conditions[0].condition_prometheus_query_language[0].query, "backend_target_name=\"shop-2-profile\"")
    error_message = "A load balancer tells beacons from reads."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["latency-burn-slow"].conditions[0].condition_prometheus_query_language[0].query, "histogram_quantile(0.7, ") && strcontains(google_monitoring_alert_policy.this["latency-burn-slow"].conditions[0].condition_prometheus_query_language[0].query, "logging_googleapis_com:user_shop_2_latency_bucket")
    error_message = "Six times the budget of five percent is thirty; PromQL writes - as _."
  }
  assert {
    condition     = contains(google_logging_metric.measured["latency"].bucket_options[0].explicit_buckets[0].bounds, 2500) && google_logging_metric.measured["latency"].name == "shop-2/latency"
    error_message = "What is promised must stand on a bound."
  }
  assert {
    condition     = endswith(google_monitoring_alert_policy.this["quarantine"].documentation[0].content, "https://wiki.shop.example/docs/runbooks/quarantine.md")
    error_message = "Runbooks may be elsewhere."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["beacon-5xx"].user_labels == tomap({ install = "shop-2", severity = "page" }) && google_monitoring_notification_channel.this["team"].user_labels.install == "shop-2" && google_monitoring_slo.latency[0].user_labels.install == "shop-2"
    error_message = "Everything must say of which install it is."
  }
}

run "little_to_watch" {
  command = plan
  variables {
    notify    = {}
    functions = {}
    streams   = {}
    queues    = {}
    tables    = {}
    archives  = {}
    check     = null
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this) == 0 && length(google_logging_metric.measured) == 0 && length(google_logging_metric.counted) == 0 && length(google_logging_project_exclusion.calls) == 0 && length(google_monitoring_slo.latency) == 0 && length(google_monitoring_uptime_check_config.beacon) == 0
    error_message = "What is not there is not watched."
  }
}

run "bad_protocol" {
  command = plan
  variables {
    notify = { team = { protocol = "http", address = "http://x" } }
  }
  expect_failures = [var.notify]
}

run "bad_address" {
  command = plan
  variables {
    notify = { team = { address = "team" } }
  }
  expect_failures = [var.notify]
}

run "bad_severity" {
  command = plan
  variables {
    notify = { team = { address = "team@shop.example", severities = ["critical"] } }
  }
  expect_failures = [var.notify]
}

run "bad_topic" {
  command = plan
  variables {
    notify = { team = { protocol = "pubsub", address = "alerts" } }
  }
  expect_failures = [var.notify]
}

run "stream_without_subscription" {
  command = plan
  variables {
    functions = { score = { name = "s", timeout_seconds = 30, stream = "hito-enriched" } }
  }
  expect_failures = [var.functions]
}

run "impossible_burn" {
  command = plan
  variables {
    slo = { percent = 90 } # 14.4 times ten percent
  }
  expect_failures = [var.slo]
}

run "bad_windows" {
  command = plan
  variables {
    slo = { burns = { odd = { rate = 2, long = 300, short = 310 } } }
  }
  expect_failures = [var.slo]
}

run "bad_settings" {
  command = plan
  variables {
    account        = "123456789012"
    project_number = "mycompany-web"
    name           = "Hito"
    runbooks       = "http://wiki/"
    check          = { host = "https://t.shop.example", path = "/" }
    thresholds     = { table_cpu_percent = 100 }
    functions      = { beacon = { name = "b", timeout_seconds = 0 } }
    labels         = { Install = "hito" }
  }
  expect_failures = [var.account, var.project_number, var.name, var.runbooks, var.check, var.thresholds, var.functions, var.labels]
}
