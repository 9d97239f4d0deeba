# One page, read from the top: does anything alarm, is the promise kept, what comes in, what holds it up.

locals {
  # What the functions' own metrics go by: the names they have on Lambda.
  own_name = { for key in ["beacon", "enrich", "score", "profile", "relay"] : key => try(var.functions[key].name, key) }

  # A graph is a title, the metrics ("namespace", "name", "dimension", "value", …, {options}) and the unit of its axis.
  graphs = concat(
    [
      {
        title   = "Beacon to profile, ms", annotation = var.slo.milliseconds
        metrics = [for s in ["p50", "p99", "p99.9"] : [var.namespace, "latency", "function", local.own_name.score, { stat = s, label = s }]]
      },
      {
        title   = "Within ${var.slo.milliseconds} ms, %", annotation = var.slo.percent
        metrics = [[var.namespace, "latency", "function", local.own_name.score, { stat = "PR(:${var.slo.milliseconds})", label = "batches in time" }]]
      },
      {
        title = "Events"
        metrics = [for m in [
          ["beacon", "events_received"], ["beacon", "events_quarantined"], ["beacon", "events_duplicate"], ["enrich", "events_enriched"],
          ["enrich", "bots"], ["score", "events_scored"], ["score", "events_duplicate"], ["score", "events_suppressed"],
        ] : [var.namespace, m[1], "function", local.own_name[m[0]], { stat = "Sum", label = "${m[0]} ${m[1]}" }]]
      },
      {
        title = "Beacons"
        metrics = concat(
          [for m in ["requests", "requests_refused", "events_failed_over", "stream_given_up"] : [var.namespace, m, "function", local.own_name.beacon, { stat = "Sum", label = m }]],
          [for m in values(var.api == null ? local.url_5xx.beacon : local.api_5xx) : concat([m.namespace, m.name], flatten([for k, v in m.dimensions : [k, v]]), [{ stat = "Sum", label = "in front: ${m.name}" }])],
        )
      },
      {
        title   = "Behind, ms"
        metrics = [for key, f in local.consumes : ["AWS/Lambda", "IteratorAge", "FunctionName", f.name, { stat = "Maximum", label = key }]]
      },
      {
        title = "To the other cloud: lag, ms, and events"
        metrics = !contains(keys(var.functions), "relay") ? [] : [
          [var.namespace, "relay_lag", "function", local.own_name.relay, { stat = "Maximum", label = "relay_lag" }],
          [var.namespace, "events_relayed", "function", local.own_name.relay, { stat = "Sum", label = "events_relayed", yAxis = "right" }],
        ]
      },
      {
        title = "Scoring"
        metrics = [for m in ["transitions", "events_redelivered", "save_conflicts", "window_evictions"] :
        [var.namespace, m, "function", local.own_name.score, { stat = "Sum", label = m }]]
      },
      {
        title = "Reads"
        metrics = concat(
          [for m in ["requests", "unreflected"] : [var.namespace, m, "function", local.own_name.profile, { stat = "Sum", label = m }]],
          [[var.namespace, "request_time", "function", local.own_name.profile, { stat = "p99", label = "p99, ms", yAxis = "right" }]],
        )
      },
    ],
    [for graph in [["Calls", "Invocations", "Sum"], ["Failed calls", "Errors", "Sum"], ["Throttled calls", "Throttles", "Sum"], ["Concurrency", "ConcurrentExecutions", "Maximum"], ["Duration p99, ms", "Duration", "p99"]] : {
      title   = graph[0]
      metrics = [for key, f in var.functions : ["AWS/Lambda", graph[1], "FunctionName", f.name, { stat = graph[2], label = key }]]
    }],
    [
      {
        title   = "Errors logged"
        metrics = [for key, f in var.functions : [var.namespace, "errors_logged_${f.name}", { stat = "Sum", label = key }]]
      },
      {
        title = "Streams, bytes in and records refused"
        metrics = concat(
          [for key, name in var.streams : ["AWS/Kinesis", "IncomingBytes", "StreamName", name, { stat = "Sum", label = "${key} bytes" }]],
          [for key, name in var.streams : ["AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", name, { stat = "Sum", label = "${key} refused", yAxis = "right" }]],
        )
      },
      {
        title = "Tables, capacity units and throttles"
        metrics = flatten([for key, t in var.tables : [for m in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"] :
          { row = ["AWS/DynamoDB", m, "TableName", t.name, { stat = "Sum", label = "${key} ${m}", yAxis = endswith(m, "Events") ? "right" : "left" }] }
        ]])[*].row
      },
      {
        title = "Queues, messages and dead letters"
        metrics = concat(
          [for key, q in var.queues : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", q.name, { stat = "Maximum", label = key }]],
          [for key, q in var.queues : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", q.dead_letter_name, { stat = "Maximum", label = "${key} dead" }]],
        )
      },
    ],
    length(var.health_checks) == 0 ? [] : [{
      title   = "Reached"
      metrics = [for key, id in var.health_checks : ["AWS/Route53", "HealthCheckStatus", "HealthCheckId", id, { stat = "Minimum", label = key }]]
    }],
    length(var.archives) == 0 ? [] : [{
      title   = "Archive, age of what is not delivered, s"
      metrics = [for key, name in var.archives : ["AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", name, { stat = "Maximum", label = key }]]
    }],
  )

  widgets = concat(
    [{
      type = "alarm", x = 0, y = 0, width = 24, height = 4
      properties = {
        title  = "Alarms"
        alarms = concat([for key in keys(local.alarms) : "${local.alarm_arn}${key}" if !try(local.alarms[key].silent, false)], [for key in keys(local.burns) : "${local.alarm_arn}latency-burn-${key}"])
        sortBy = "stateUpdatedTimestamp"
      }
    }],
    [for i, graph in [for g in local.graphs : g if length(g.metrics) > 0 && (length(var.functions) > 0 || g.title == "Reached")] : {
      type = "metric", x = (i % 3) * 8, y = 4 + floor(i / 3) * 6, width = 8, height = 6
      properties = merge(
        { title = graph.title, region = var.region, view = "timeSeries", period = 60, metrics = graph.metrics },
        try({ annotations = { horizontal = [{ label = "promised", value = graph.annotation }] } }, {}),
      )
    }],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.name}-${var.region}" # dashboards are global
  dashboard_body = jsonencode({ widgets = local.widgets })
}
