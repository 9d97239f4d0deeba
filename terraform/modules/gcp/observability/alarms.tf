# Every alarm, by name, as a query that has an answer when something is wrong (PromQL). No data is no answer: nothing happened. A
# function that stopped acknowledges nothing: that is what stalled is for.
#
# seconds is how long it must be wrong. Metrics come once a minute, so that windows have at least three: what went wrong once is
# out of a window of 3 minutes before 5 are over.

locals {
  # Metrics of logs have resources of many kinds, so that a query has to name the kind.
  # https://cloud.google.com/monitoring/promql/promql-mapping
  metric = "logging_googleapis_com:user_${replace(var.name, "-", "_")}_"
  own    = { for key, name in local.own_name : key => "monitored_resource=\"cloud_run_revision\",function${try(var.functions[key].stream, null) == null ? "=\"${name}\"" : "=~\"${name}(-worker)?\""}" }

  run          = { for key, f in var.functions : key => "monitored_resource=\"cloud_run_revision\",service_name=\"${f.name}\"" }
  topic        = { for name in distinct(concat(values(var.streams), [for f in local.consumes : f.stream])) : name => "monitored_resource=\"pubsub_topic\",topic_id=\"${name}\"" }
  subscription = { for name in distinct(concat([for f in local.consumes : f.subscription], flatten([for q in var.queues : [q.name, q.dead_letter_name]]), values(var.archives))) : name => "monitored_resource=\"pubsub_subscription\",subscription_id=\"${name}\"" }

  consumes = { for key, f in var.functions : key => f if f.stream != null }
  awaited  = { for key, f in local.consumes : key => f if key != "relay" } # which may be behind: see relay-lag
  burns    = { for key, b in var.slo.burns : key => b if contains(keys(var.functions), "score") }

  function_alarms = merge(
    # What the world calls has alarms of its own for this.
    { for key, f in local.consumes : "${key}-errors" => {
      runbook = key == "relay" ? "partition" : "function-errors", severity = "ticket", seconds = 120
      says    = "${f.name} fails, is killed or runs out of time: more than 1 % of its calls, over 5 minutes."
      part    = "sum(increase(run_googleapis_com:request_count{${local.run[key]},response_code_class=\"5xx\"}[5m]))"
      whole   = "sum(increase(run_googleapis_com:request_count{${local.run[key]}}[5m]))"
      percent = 1
    } },
    # Pushes come again; of beacons some do not.
    { for key, f in var.functions : "${key}-throttles" => {
      runbook = "function-throttles", severity = key == "beacon" ? "page" : "ticket", seconds = key == "beacon" ? 900 : 300
      says    = "Calls of ${f.name} are refused, since there is no instance for them, for ${key == "beacon" ? 15 : 5} minutes."
      query   = "sum(increase(${local.metric}calls_throttled{${local.own[key]}}[3m])) > 0"
    } },
    # What may have one instance always has as many as it may.
    { for key, f in var.functions : "${key}-instances" => {
      runbook = "function-throttles", severity = "ticket", seconds = 600
      says    = "${f.name} has all ${f.instances} instances that it may have at work, for 10 minutes."
      query   = "max(sum by (revision_name) (run_googleapis_com:container_instance_count{${local.run[key]},state=\"active\"})) >= ${f.instances}"
    } if f.instances > 1 },
    { for key, f in var.functions : "${key}-duration" => {
      runbook = "function-duration", severity = "ticket", seconds = 120
      says    = "${f.name} takes more than ${var.thresholds.duration_percent} % of its ${f.timeout_seconds} s for the slowest hundredth of its calls, over 5 minutes."
      query   = "histogram_quantile(0.99, sum by (le) (increase(run_googleapis_com:request_latencies_bucket{${local.run[key]}}[5m]))) > ${f.timeout_seconds * 10 * var.thresholds.duration_percent}"
    } },
    { for key, f in var.functions : "${key}-errors-logged" => {
      runbook = "errors-logged", severity = "ticket", seconds = 300
      says    = "${f.name} logs errors, for 5 minutes."
      query   = "sum(increase(${local.metric}errors_logged{${local.own[key]}}[3m])) > 0"
    } },
    # Messages that fail again and again get old alone: only what holds up others, and more than a few, wakes somebody.
    { for key, f in local.awaited : "${key}-iterator-age" => {
      runbook = "iterator-age", severity = "page", seconds = 300
      says    = "${f.name} is more than ${var.thresholds.iterator_age_seconds} s behind its stream, with more than ten messages and a tenth or more of what came in 5 minutes, for 5 minutes."
      query = join(" and ", [
        "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription[f.subscription]}}) > ${var.thresholds.iterator_age_seconds}",
        "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.subscription[f.subscription]}}) > 10",
        "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.subscription[f.subscription]}}) > 0.1 * (sum(increase(pubsub_googleapis_com:topic_message_sizes_count{${local.topic[f.stream]}}[5m])) or vector(0))",
      ])
    } },
    { for key, f in local.awaited : "${key}-age" => {
      runbook = "queue-age", severity = "ticket", seconds = 300
      says    = "The oldest message of ${f.subscription} waits for more than ${var.thresholds.queue_age_seconds} s."
      query   = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription[f.subscription]}}) > ${var.thresholds.queue_age_seconds}"
    } },
    { for key, f in local.awaited : "${key}-stalled" => {
      runbook = "stalled", severity = "page", seconds = 300
      says    = "Messages arrive on ${f.stream}, and ${f.name} acknowledges none, for 5 minutes."
      query = join(" unless ", [
        "sum(increase(pubsub_googleapis_com:topic_message_sizes_count{${local.topic[f.stream]}}[5m])) > 0",
        "sum(increase(pubsub_googleapis_com:subscription_ack_message_count{${local.subscription[f.subscription]}}[5m])) > 0",
      ])
    } },
    { for key, f in local.awaited : "${key}-given-up" => {
      runbook = "given-up", severity = "ticket", seconds = 0
      says    = "Messages of ${f.subscription} were delivered as often as they may: they come once more as dead letters."
      query   = "sum(increase(pubsub_googleapis_com:subscription_dead_letter_message_count{${local.subscription[f.subscription]}}[5m])) > 0"
    } },
  )

  # What a function answers itself, with what did not get so far, and what the load balancer answers, whoever made the answer. What
  # there was no instance for is answered 429.
  answered = { for key in ["beacon", "profile"] : key => try(var.functions[key].public, true) || var.load_balancer == null ? {
    part  = "((sum(increase(${local.metric}calls_failed{${local.own[key]}}[5m])) or vector(0)) + ${local.throttled[key]})"
    whole = "(sum(increase(run_googleapis_com:request_count{${try(local.run[key], "")}}[5m])) or sum(increase(${local.metric}calls_failed{${local.own[key]}}[5m])) or ${local.throttled[key]})"
    } : {
    part  = "((sum(increase(loadbalancing_googleapis_com:https_request_count{${local.balanced[key]},response_code_class=\"500\"}[5m])) or vector(0)) + ${local.throttled[key]})"
    whole = "sum(increase(loadbalancing_googleapis_com:https_request_count{${local.balanced[key]}}[5m]))"
  } }
  throttled = { for key in ["beacon", "profile"] : key => "(sum(increase(${local.metric}calls_throttled{${local.own[key]}}[5m])) or vector(0))" }
  balanced  = { for key in ["beacon", "profile"] : key => "monitored_resource=\"https_lb_rule\",url_map_name=\"${coalesce(var.load_balancer, "none")}\",backend_target_name=\"${local.own_name[key]}\"" }

  beacon_alarms = { for key, alarm in {
    "beacon-5xx" = merge(local.answered.beacon, {
      runbook = "beacon-5xx", severity = "page", seconds = 120
      says    = "More than ${var.thresholds.beacon_5xx_percent} % of the beacons are answered 5xx, or 429 since there is no instance for them, over 5 minutes."
      percent = var.thresholds.beacon_5xx_percent
    })
    "beacon-refused" = {
      runbook = "beacon-refused", severity = "ticket", seconds = 900
      says    = "Of more than ${var.thresholds.refused_percent} % of the requests nothing was accepted, for 15 minutes."
      part    = "sum(increase(${local.metric}requests_refused_sum{${local.own.beacon}}[5m]))"
      whole   = "sum(increase(${local.metric}requests_sum{${local.own.beacon}}[5m]))"
      percent = var.thresholds.refused_percent
    }
    "quarantine" = {
      runbook = "quarantine", severity = "ticket", seconds = 900
      says    = "More than ${var.thresholds.quarantine_percent} % of the events go to quarantine, for 15 minutes."
      part    = "sum(increase(${local.metric}events_quarantined_sum{${local.own.beacon}}[5m]))"
      whole   = "(sum(increase(${local.metric}events_received_sum{${local.own.beacon}}[5m])) + sum(increase(${local.metric}events_quarantined_sum{${local.own.beacon}}[5m])))"
      percent = var.thresholds.quarantine_percent
    }
  } : key => alarm if contains(keys(var.functions), "beacon") }

  # A name that leads nowhere and a certificate that is over are no answer that anybody counts.
  outside_alarms = { for c in var.check[*] : "beacon-unreachable" => {
    runbook = "beacon-unreachable", severity = "page", seconds = 300
    says    = "${c.host} does not answer as a beacon does to most of who ask from outside, for 5 minutes."
    query   = "avg(avg_over_time(monitoring_googleapis_com:uptime_check_check_passed{monitored_resource=\"uptime_url\",host=\"${c.host}\"}[3m])) < 0.5"
  } }

  profile_alarms = { for key in setintersection(["profile"], keys(var.functions)) : "profile-5xx" => merge(local.answered.profile, {
    runbook = "profile-5xx", severity = "ticket", seconds = 120
    says    = "More than ${var.thresholds.beacon_5xx_percent} % of the reads are answered 5xx, or 429 since there is no instance for them, over 5 minutes."
    percent = var.thresholds.beacon_5xx_percent
  }) }

  # Two clouds. What cannot be shipped tells no lag, but its subscription has an age. A short absence of the other cloud heals by
  # itself; an hour of the 24 after which a repeat may count again is time to do something.
  relay_alarms = merge(
    { for key in setintersection(["relay"], keys(var.functions)) : "relay-lag" => {
      runbook = "relay-lag", severity = "page", seconds = 300
      says    = "What was accepted here reaches the other cloud more than ${var.thresholds.relay_lag_seconds} s later, or not at all, for 5 minutes."
      query = join(" or ", [
        "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription[var.functions[key].subscription]}}) > ${var.thresholds.relay_lag_seconds}",
        "histogram_quantile(0.99, sum by (le) (increase(${local.metric}relay_lag_bucket{${local.own.relay}}[5m]))) > ${var.thresholds.relay_lag_seconds * 1000}",
      ])
    } },
    { for key in setintersection(["relay"], keys(var.functions)) : "beacon-failing-over" => {
      runbook = "move-traffic", severity = "ticket", seconds = 300
      says    = "The raw stream refuses events or is slow, and the other cloud's takes them, for 5 minutes."
      query   = "sum(increase(${local.metric}events_failed_over_sum{${local.own.beacon}}[3m])) > 0"
    } },
  )

  score_alarms = merge(
    # A sweep that fails, is not let in or is not called tells nothing: it is told of when it is through, also of nobody.
    { for key in setintersection(["score"], var.sweep ? keys(var.functions) : []) : "score-sweep" => {
      runbook = "sweep", severity = "ticket", seconds = 900
      says    = "No sweep came through, for 15 minutes: segments follow events only."
      query   = "(sum(increase(${local.metric}fragments_swept_count{${local.own.score}}[5m])) or vector(0)) == 0"
    } },
    { for key in setintersection(["score"], keys(var.functions)) : "score-window-evictions" => {
      runbook = "window-evictions", severity = "ticket", seconds = 900
      says    = "Message ids leave the dedupe window before their time: a repeat could be counted again."
      query   = "sum(increase(${local.metric}window_evictions_sum{${local.own.score}}[5m])) > 0"
    } },
    # Too much of the budget went in the long window, and it is still going in the short one: of the share that may not be slow, the
    # slowest is. Of a handful of batches a share says nothing, which the objective's own burn rate could not be told.
    { for key, b in local.burns : "latency-burn-${key}" => {
      runbook = "latency-burn", severity = b.severity, seconds = 0
      says    = "The budget of scored latency is spent ${b.rate} times too fast, over ${b.long / 60} and over ${b.short / 60} minutes: fewer than ${format("%.4g", 100 - b.rate * (100 - var.slo.percent))} % of the batches are scored within ${var.slo.milliseconds} ms."
      query = join(" and ", flatten([for window in [b.long, b.short] : [
        "histogram_quantile(${format("%.6g", 1 - b.rate * (100 - var.slo.percent) / 100)}, sum by (le) (increase(${local.metric}latency_bucket{${local.own.score}}[${window}s]))) > ${var.slo.milliseconds}",
        "sum(increase(${local.metric}latency_count{${local.own.score}}[${window}s])) >= 20",
      ]]))
    } },
  )

  queue_alarms = merge(
    { for key, q in var.queues : "${key}-dead-letters" => {
      runbook = "dead-letters", severity = "ticket", seconds = 60
      says    = "Messages of ${q.name} were given up: they are in ${q.dead_letter_name}, for 31 days."
      query   = "max(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.subscription[q.dead_letter_name]}}) > 0"
    } },
    # What nobody takes from yet only gets older.
    { for key, q in var.queues : "${key}-age" => {
      runbook = "queue-age", severity = "ticket", seconds = 300
      says    = "The oldest message of ${q.name} waits for more than ${var.thresholds.queue_age_seconds} s."
      query   = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription[q.name]}}) > ${var.thresholds.queue_age_seconds}"
    } if q.consumed },
  )

  stream_alarms = { for key, name in var.streams : "${key}-write-throttles" => {
    runbook = "stream-write-throttles", severity = "ticket", seconds = 120
    says    = "${name} refuses more than 1 % of what is published, over 5 minutes."
    part    = "sum(increase(pubsub_googleapis_com:topic_send_request_count{${local.topic[name]},response_class!=\"success\"}[5m]))"
    whole   = "sum(increase(pubsub_googleapis_com:topic_send_request_count{${local.topic[name]}}[5m]))"
    percent = 1
  } }

  # Without an instance it is a database of Firestore. A table's cluster is called as its instance.
  bigtables = { for key, t in var.tables : key => t if t.instance != null }
  database  = { for key, t in var.tables : key => "monitored_resource=\"firestore.googleapis.com/Database\",database_id=\"${t.name}\"" if t.instance == null }
  # ABORTED and FAILED_PRECONDITION are what writers that meet are told, NOT_FOUND is an answer.
  database_failed = "response_code=~\"UNAVAILABLE|INTERNAL|UNKNOWN|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|PERMISSION_DENIED|UNAUTHENTICATED|INVALID_ARGUMENT\""
  cluster         = { for key, t in local.bigtables : key => "monitored_resource=\"bigtable_cluster\",cluster=\"${t.instance}\"" }
  table           = { for key, t in local.bigtables : key => "monitored_resource=\"bigtable_table\",cluster=\"${t.instance}\",table=\"${t.name}\"" }

  table_alarms = merge(
    { for key, t in local.bigtables : "${key}-cpu" => {
      runbook = "table-cpu", severity = "ticket", seconds = 600
      says    = "The nodes of ${t.instance} use more than ${var.thresholds.table_cpu_percent} % of their processors, for 10 minutes."
      query   = "max(bigtable_googleapis_com:cluster_cpu_load{${local.cluster[key]}}) > ${var.thresholds.table_cpu_percent / 100}"
    } },
    { for key, t in local.bigtables : "${key}-hottest-node" => {
      runbook = "table-cpu", severity = "ticket", seconds = 600
      says    = "One node of ${t.instance} uses more than 95 % of its processors, for 10 minutes."
      query   = "max(bigtable_googleapis_com:cluster_cpu_load_hottest_node{${local.cluster[key]}}) > 0.95"
    } },
    { for key, t in local.bigtables : "${key}-storage" => {
      runbook = "table-storage", severity = "ticket", seconds = 600
      says    = "${t.instance} stores more than ${var.thresholds.table_storage_percent} % of what its nodes may."
      query   = "max(bigtable_googleapis_com:cluster_storage_utilization{${local.cluster[key]}}) > ${var.thresholds.table_storage_percent / 100}"
    } },
    # Reads are sweeps too, which take their time.
    { for key, t in local.bigtables : "${key}-latency" => {
      runbook = "table-latency", severity = "ticket", seconds = 300
      says    = "${t.name} takes more than ${var.thresholds.table_latency_milliseconds} ms for the slowest hundredth of its writes, over 5 minutes."
      query   = "histogram_quantile(0.99, sum by (le) (increase(bigtable_googleapis_com:server_latencies_bucket{${local.table[key]},method=~\".*(Mutate|Modify).*\"}[5m]))) > ${var.thresholds.table_latency_milliseconds}"
    } },
    { for key, t in local.bigtables : "${key}-system-errors" => {
      runbook = "table-system-errors", severity = "ticket", seconds = 120
      says    = "${t.name} answers more than 1 % of its requests with an error, over 5 minutes."
      part    = "sum(increase(bigtable_googleapis_com:server_error_count{${local.table[key]}}[5m]))"
      whole   = "sum(increase(bigtable_googleapis_com:server_request_count{${local.table[key]}}[5m]))"
      percent = 1
    } },
    # https://cloud.google.com/firestore/native/docs/understand-performance-monitoring
    { for key, d in local.database : "${key}-latency" => {
      runbook = "table-latency", severity = "ticket", seconds = 300
      says    = "${var.tables[key].name} takes more than ${var.thresholds.table_latency_milliseconds} ms for the slowest hundredth of its writes, over 5 minutes."
      query   = "histogram_quantile(0.99, sum by (le) (increase(firestore_googleapis_com:api_request_latencies_bucket{${d},api_method=~\".*Commit\"}[5m]))) > ${var.thresholds.table_latency_milliseconds / 1000}"
    } },
    { for key, d in local.database : "${key}-system-errors" => {
      runbook = "table-system-errors", severity = "ticket", seconds = 120
      says    = "${var.tables[key].name} answers more than 1 % of its requests with an error, over 5 minutes."
      part    = "sum(increase(firestore_googleapis_com:api_request_count{${d},${local.database_failed}}[5m]))"
      whole   = "sum(increase(firestore_googleapis_com:api_request_count{${d}}[5m]))"
      percent = 1
    } },
  )

  archive_alarms = { for key, name in var.archives : "${key}-archive-age" => {
    runbook = "archive-age", severity = "ticket", seconds = 900
    says    = "The oldest row that ${name} has not written is more than ${var.thresholds.archive_age_seconds} s old."
    query   = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription[name]}}) > ${var.thresholds.archive_age_seconds}"
  } }

  # One in a handful is no rate: all rates wait for five.
  alarms = { for key, a in merge(
    local.function_alarms, local.beacon_alarms, local.outside_alarms, local.profile_alarms, local.relay_alarms, local.score_alarms, local.queue_alarms,
    local.stream_alarms, local.table_alarms, local.archive_alarms,
  ) : key => merge({ part = null, whole = null, percent = null }, a, { query = try(a.query, "100 * ${a.part} / ${a.whole} > ${a.percent} and ${a.part} >= 5") }) }
}
