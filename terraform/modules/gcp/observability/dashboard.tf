# One page, read from the top: does anything alarm, is the promise kept, what comes in, what holds it up.

locals {
  # A graph is a title, lines (label: query), and what is promised if anything is.
  graphs = concat(
    [for graph in [
      {
        title = "Beacon to profile, ms", promised = var.slo.milliseconds
        lines = { for label, q in { p50 = 0.5, p99 = 0.99, "p99.9" = 0.999 } : label => "histogram_quantile(${q}, sum by (le) (increase(${local.metric}latency_bucket{${local.own.score}}[5m])))" }
      },
      {
        title = "Within ${var.slo.milliseconds} ms, %", promised = var.slo.percent
        # What is promised stands on a boundary of the buckets: see metrics.tf.
        lines = { "batches in time" = "100 * sum(increase(${local.metric}latency_bucket{${local.own.score},le=~\"${var.slo.milliseconds}(\\\\.0)?\"}[5m])) / sum(increase(${local.metric}latency_count{${local.own.score}}[5m]))" }
      },
    ] : graph if contains(keys(var.functions), "score")],
    [
      {
        title = "Events"
        lines = { for m in [
          ["beacon", "events_received"], ["beacon", "events_quarantined"], ["beacon", "events_duplicate"], ["enrich", "events_enriched"],
          ["enrich", "bots"], ["score", "events_scored"], ["score", "events_duplicate"], ["score", "events_suppressed"],
        ] : "${m[0]} ${m[1]}" => "sum(increase(${local.metric}${m[1]}_sum{${local.own[m[0]]}}[1m]))" if contains(keys(var.functions), m[0]) }
      },
      {
        title = "Beacons"
        lines = contains(keys(var.functions), "beacon") ? merge(
          { for m in ["requests", "requests_refused", "events_failed_over", "stream_given_up"] : m => "sum(increase(${local.metric}${m}_sum{${local.own.beacon}}[1m]))" },
          { "in front: failed" = replace(local.answered.beacon.part, "[5m]", "[1m]"), "in front: all" = replace(local.answered.beacon.whole, "[5m]", "[1m]") },
        ) : {}
      },
      {
        title = "Behind, s"
        lines = { for key, f in local.consumes : key => "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription[f.subscription]}})" }
      },
      {
        title = "Behind, messages"
        lines = { for key, f in local.consumes : key => "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.subscription[f.subscription]}})" }
      },
      {
        title = "Pushes"
        lines = merge(
          { for key, f in local.consumes : key => "sum(increase(pubsub_googleapis_com:subscription_push_request_count{${local.subscription[f.subscription]}}[1m]))" },
          { for key, f in local.consumes : "${key} refused" => "sum(increase(pubsub_googleapis_com:subscription_push_request_count{${local.subscription[f.subscription]},response_class!=\"ack\"}[1m]))" },
        )
      },
      {
        title = "To the other cloud: lag p99, ms, and events"
        lines = contains(keys(var.functions), "relay") ? {
          relay_lag      = "histogram_quantile(0.99, sum by (le) (increase(${local.metric}relay_lag_bucket{${local.own.relay}}[5m])))"
          events_relayed = "sum(increase(${local.metric}events_relayed_sum{${local.own.relay}}[1m]))"
        } : {}
      },
      {
        title = "Scoring"
        lines = contains(keys(var.functions), "score") ? { for m in ["transitions", "events_redelivered", "save_conflicts", "window_evictions", "fragments_swept"] :
        m => "sum(increase(${local.metric}${m}_sum{${local.own.score}}[1m]))" } : {}
      },
      {
        title = "Reads"
        lines = contains(keys(var.functions), "profile") ? merge(
          { for m in ["requests", "unreflected"] : m => "sum(increase(${local.metric}${m}_sum{${local.own.profile}}[1m]))" },
          { "p99, ms" = "histogram_quantile(0.99, sum by (le) (increase(${local.metric}request_time_bucket{${local.own.profile}}[5m])))" },
        ) : {}
      },
    ],
    [for graph in [
      ["Calls", "sum(increase(run_googleapis_com:request_count{%s}[1m]))"],
      ["Instances at work", "sum(run_googleapis_com:container_instance_count{%s,state=\"active\"})"],
      ["Duration p99, ms", "histogram_quantile(0.99, sum by (le) (increase(run_googleapis_com:request_latencies_bucket{%s}[5m])))"],
      ["Memory p99", "histogram_quantile(0.99, sum by (le) (increase(run_googleapis_com:container_memory_utilizations_bucket{%s}[5m])))"],
    ] : { title = graph[0], lines = { for key, f in var.functions : key => format(graph[1], local.run[key]) } }],
    [for graph in [["Failed calls", "calls_failed"], ["Throttled calls", "calls_throttled"], ["Errors logged", "errors_logged"]] : {
      title = graph[0]
      lines = { for key, f in var.functions : key => "sum(increase(${local.metric}${graph[1]}{${local.own[key]}}[1m]))" }
    }],
    [
      {
        title = "Streams, messages in and requests refused"
        lines = merge(
          { for key, name in var.streams : "${key} messages" => "sum(increase(pubsub_googleapis_com:topic_message_sizes_count{${local.topic[name]}}[1m]))" },
          { for key, name in var.streams : "${key} refused" => "sum(increase(pubsub_googleapis_com:topic_send_request_count{${local.topic[name]},response_class!=\"success\"}[1m]))" },
        )
      },
      {
        title = "Tables, use of processors and storage"
        lines = merge([for key, t in local.bigtables : {
          "${key} processors"   = "max(bigtable_googleapis_com:cluster_cpu_load{${local.cluster[key]}})"
          "${key} hottest node" = "max(bigtable_googleapis_com:cluster_cpu_load_hottest_node{${local.cluster[key]}})"
          "${key} storage"      = "max(bigtable_googleapis_com:cluster_storage_utilization{${local.cluster[key]}})"
        }]...)
      },
      {
        title = "Tables, requests, errors and nodes"
        lines = merge([for key, t in local.bigtables : {
          "${key} requests" = "sum(increase(bigtable_googleapis_com:server_request_count{${local.table[key]}}[1m]))"
          "${key} errors"   = "sum(increase(bigtable_googleapis_com:server_error_count{${local.table[key]}}[1m]))"
          "${key} nodes"    = "sum(bigtable_googleapis_com:cluster_node_count{${local.cluster[key]}})"
        }]...)
      },
      {
        title = "Databases, requests and errors"
        lines = merge([for key, d in local.database : {
          "${key} requests" = "sum(increase(firestore_googleapis_com:api_request_count{${d}}[1m]))"
          "${key} errors"   = "sum(increase(firestore_googleapis_com:api_request_count{${d},${local.database_failed}}[1m]))"
        }]...)
      },
      {
        title = "Queues, messages and dead letters"
        lines = merge(
          { for key, q in var.queues : key => "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.subscription[q.name]}})" },
          { for key, q in var.queues : "${key} dead" => "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.subscription[q.dead_letter_name]}})" },
        )
      },
      {
        title = "Archive, age of what is not written, s"
        lines = { for key, name in var.archives : key => "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription[name]}})" }
      },
    ],
  )

  widgets = concat(
    [{
      xPos = 0, yPos = 0, width = 48, height = 12
      widget = {
        title        = "Alarms"
        incidentList = { policyNames = [for a in google_monitoring_alert_policy.this : a.name] }
      }
    }],
    [for i, graph in [for g in local.graphs : g if length(g.lines) > 0] : {
      xPos = (i % 3) * 16, yPos = 12 + floor(i / 3) * 16, width = 16, height = 16
      widget = {
        title = graph.title
        xyChart = {
          dataSets   = [for label, query in graph.lines : { plotType = "LINE", targetAxis = "Y1", legendTemplate = label, timeSeriesQuery = { prometheusQuery = query } }]
          thresholds = [for value in [try(graph.promised, null)] : { value = value, label = "promised" } if value != null]
          yAxis      = { scale = "LINEAR" }
        }
      }
    }],
  )
}

resource "google_monitoring_dashboard" "this" {
  project = var.account
  dashboard_json = jsonencode({
    displayName  = var.name
    mosaicLayout = { columns = 48, tiles = local.widgets }
  })
}
