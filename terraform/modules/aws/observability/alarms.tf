# Every alarm, by name. What is missing is notBreaching: no data means nothing happened, since the metrics of Lambda, DynamoDB,
# Kinesis and our own come with traffic only. A reader that stopped does not tell its lag any more: that is what stalled is for.

locals {
  lambda   = { for key, f in var.functions : key => { namespace = "AWS/Lambda", dimensions = { FunctionName = f.name } } }
  own      = { for key, name in local.own_name : key => { namespace = var.namespace, dimensions = { function = name } } }
  consumes = { for key, f in var.functions : key => f if f.stream != null }
  awaited  = { for key, f in local.consumes : key => f if key != "relay" } # which may be behind: see relay-lag
  burns    = { for key, b in var.slo.burns : key => b if contains(keys(var.functions), "score") }

  function_alarms = merge(
    { for key, f in var.functions : "${key}-errors" => {
      runbook    = key == "relay" ? "partition" : "function-errors", severity = "ticket", missing = "notBreaching"
      says       = "${f.name} fails, is killed or runs out of time: more than 1 % of its invocations, in 3 of 5 minutes."
      metrics    = { errors = merge(local.lambda[key], { name = "Errors", statistic = "Sum" }), calls = merge(local.lambda[key], { name = "Invocations", statistic = "Sum" }) }
      expression = "100 * errors / calls"
      threshold  = 1, period = 60, periods = 5, breaching = 3
    } },
    { for key, f in var.functions : "${key}-throttles" => {
      runbook   = "function-throttles", severity = "ticket", missing = "notBreaching"
      says      = "${f.name} is refused concurrency, in 3 of 5 minutes."
      metrics   = { m = merge(local.lambda[key], { name = "Throttles", statistic = "Sum" }) }
      threshold = 0, period = 60, periods = 5, breaching = 3
    } },
    { for key, f in var.functions : "${key}-duration" => {
      runbook   = "function-duration", severity = "ticket", missing = "notBreaching"
      says      = "${f.name} takes more than ${var.thresholds.duration_percent} % of its ${f.timeout_seconds} s, in 3 of 5 minutes."
      metrics   = { m = merge(local.lambda[key], { name = "Duration", statistic = "Maximum" }) }
      threshold = f.timeout_seconds * 10 * var.thresholds.duration_percent, period = 60, periods = 5, breaching = 3
    } },
    { for key, f in var.functions : "${key}-errors-logged" => {
      runbook   = "errors-logged", severity = "ticket", missing = "notBreaching"
      says      = "${f.name} logs errors, in 3 of 5 minutes."
      metrics   = { m = { namespace = var.namespace, name = "errors_logged_${f.name}", dimensions = null, statistic = "Sum" } }
      threshold = 0, period = 60, periods = 5, breaching = 3
    } },
    { for key, f in local.awaited : "${key}-iterator-age" => {
      runbook   = "iterator-age", severity = "page", missing = "notBreaching"
      says      = "${f.name} is more than ${var.thresholds.iterator_age_seconds} s behind its stream, for 5 minutes."
      metrics   = { m = merge(local.lambda[key], { name = "IteratorAge", statistic = "Maximum" }) }
      threshold = var.thresholds.iterator_age_seconds * 1000, period = 60, periods = 5
    } },
    { for key, f in local.consumes : "${key}-stalled" => {
      # Between tries that fail, relay may pause for minutes.
      runbook = "stalled", severity = key == "relay" ? "ticket" : "page", missing = "notBreaching"
      says    = "Records arrive on ${f.stream}, and ${f.name} does not read them, for ${key == "relay" ? 30 : 5} minutes."
      metrics = {
        arrived = { namespace = "AWS/Kinesis", name = "IncomingRecords", dimensions = { StreamName = f.stream }, statistic = "Sum" }
        # Only a stream's invocations have an age: a redrive queue's and a schedule's would hide that the stream has none.
        reads = merge(local.lambda[key], { name = "IteratorAge", statistic = "SampleCount" })
      }
      expression = "IF(FILL(arrived, 0) > 0 AND FILL(reads, 0) == 0, 1, 0)"
      threshold  = 0, period = 60, periods = key == "relay" ? 30 : 5
    } },
  )

  # What a function's own URL answers, and what an API Gateway does, which counts beacons and reads together.
  url_5xx = { for key in ["beacon", "profile"] : key => { for id, name in { failed = "Url5xxCount", requests = "UrlRequestCount" } : id =>
    { namespace = "AWS/Lambda", name = name, dimensions = { FunctionName = local.own_name[key] }, statistic = "Sum" }
  } }
  api_5xx = {
    failed   = { namespace = "AWS/ApiGateway", name = "5xx", dimensions = { ApiId = var.api }, statistic = "Sum" }
    requests = { namespace = "AWS/ApiGateway", name = "Count", dimensions = { ApiId = var.api }, statistic = "Sum" }
  }
  # One in a handful is no rate: all rates wait for five.
  rate_5xx = "IF(failed >= 5, 100 * failed / requests, 0)"

  beacon_alarms = { for key, alarm in {
    "beacon-5xx" = {
      runbook    = "beacon-5xx", severity = "page", missing = "notBreaching"
      says       = "More than ${var.thresholds.beacon_5xx_percent} % of the ${try(var.functions.beacon.public, false) ? "beacons" : "requests (beacons, and reads by the same API)"} are answered 5xx, in 3 of 5 minutes."
      metrics    = var.api == null ? local.url_5xx.beacon : local.api_5xx
      expression = local.rate_5xx
      threshold  = var.thresholds.beacon_5xx_percent, period = 60, periods = 5, breaching = 3
    }
    "beacon-refused" = {
      runbook    = "beacon-refused", severity = "ticket", missing = "notBreaching"
      says       = "Of more than ${var.thresholds.refused_percent} % of the requests nothing was accepted, for 15 minutes."
      metrics    = { for id, name in { refused = "requests_refused", requests = "requests" } : id => merge(local.own.beacon, { name = name, statistic = "Sum" }) }
      expression = "IF(refused >= 5, 100 * refused / requests, 0)"
      threshold  = var.thresholds.refused_percent, period = 300, periods = 3
    }
    "quarantine" = {
      runbook    = "quarantine", severity = "ticket", missing = "notBreaching"
      says       = "More than ${var.thresholds.quarantine_percent} % of the events go to quarantine, for 15 minutes."
      metrics    = { for id, name in { unfit = "events_quarantined", events = "events_received" } : id => merge(local.own.beacon, { name = name, statistic = "Sum" }) }
      expression = "IF(unfit >= 5, 100 * unfit / (events + unfit), 0)"
      threshold  = var.thresholds.quarantine_percent, period = 300, periods = 3
    }
  } : key => alarm if contains(keys(var.functions), "beacon") }

  # Behind an API Gateway, beacon-5xx has the reads too. (The API's id, unknown before it exists, cannot decide on an alarm.)
  profile_alarms = { for key in setintersection(["profile"], keys(var.functions)) : "profile-5xx" => {
    runbook    = "profile-5xx", severity = "ticket", missing = "notBreaching"
    says       = "More than ${var.thresholds.beacon_5xx_percent} % of the reads are answered 5xx, in 3 of 5 minutes."
    metrics    = local.url_5xx.profile
    expression = local.rate_5xx
    threshold  = var.thresholds.beacon_5xx_percent, period = 60, periods = 5, breaching = 3
  } if var.functions[key].public }

  # Two clouds. What cannot be shipped tells no lag, but its stream has an age. A short absence of the other cloud heals by itself;
  # an hour of 24 is time to do something: then a repeat may count again, and by default the stream forgets.
  relay_alarms = merge(
    { for key in setintersection(["relay"], keys(var.functions)) : "relay-lag" => {
      runbook = "relay-lag", severity = "page", missing = "notBreaching"
      says    = "What was accepted here reaches the other cloud more than ${var.thresholds.relay_lag_seconds} s later, or not at all, in 10 of 15 minutes."
      metrics = {
        lag = merge(local.own.relay, { name = "relay_lag", statistic = "Maximum" })
        age = merge(local.lambda.relay, { name = "IteratorAge", statistic = "Maximum" })
      }
      expression = "MAX([FILL(lag, 0), FILL(age, 0)])"
      threshold  = var.thresholds.relay_lag_seconds * 1000, period = 300, periods = 3, breaching = 2
    } },
    { for key in setintersection(["relay"], keys(var.functions)) : "beacon-failing-over" => {
      runbook   = "move-traffic", severity = "ticket", missing = "notBreaching"
      says      = "The raw stream refuses events or is slow, and the other cloud's takes them, in 3 of 5 minutes."
      metrics   = { m = merge(local.own.beacon, { name = "events_failed_over", statistic = "Sum" }) }
      threshold = 0, period = 60, periods = 5, breaching = 3
    } },
  )

  # What the world reaches, as Route 53 sees it, which tells of it in us-east-1 only.
  reach_alarms = { for key, id in var.health_checks : "${key}-unreachable" => {
    runbook   = "lose-a-cloud", severity = "page", missing = "notBreaching", below = true
    says      = "The beacon on ${key} does not answer Route 53, for 3 minutes: everybody is sent to the other cloud."
    metrics   = { m = { namespace = "AWS/Route53", name = "HealthCheckStatus", dimensions = { HealthCheckId = id }, statistic = "Minimum" } }
    threshold = 1, period = 60, periods = 3
  } }

  score_alarms = merge(
    { for key in setintersection(["score"], keys(var.functions)) : "score-window-evictions" => {
      runbook   = "window-evictions", severity = "ticket", missing = "notBreaching"
      says      = "Message ids leave the dedupe window before their time: a repeat could be counted again."
      metrics   = { m = merge(local.own.score, { name = "window_evictions", statistic = "Sum" }) }
      threshold = 0, period = 300, periods = 3
    } },
    # A percentile rank is the share of batches within the time promised; the rest burns the budget.
    { for pair in setproduct(keys(local.burns), ["long", "short"]) : "latency-burn-${pair[0]}-${pair[1]}" => {
      runbook = "latency-burn", severity = local.burns[pair[0]].severity, missing = "notBreaching", silent = true, below = true
      says    = "Fewer than ${format("%.4g", 100 - local.burns[pair[0]].rate * (100 - var.slo.percent))} % of the batches are scored within ${var.slo.milliseconds} ms, over ${ { long = local.burns[pair[0]].long, short = local.burns[pair[0]].short }[pair[1]] / 60} minutes."
      # Of a handful of batches a percentile says nothing.
      metrics = {
        share   = merge(local.own.score, { name = "latency", statistic = "PR(:${var.slo.milliseconds})" })
        batches = merge(local.own.score, { name = "latency", statistic = "SampleCount" })
      }
      expression = "IF(batches >= 20, share, 100)"
      threshold  = 100 - local.burns[pair[0]].rate * (100 - var.slo.percent), period = { long = local.burns[pair[0]].long, short = local.burns[pair[0]].short }[pair[1]], periods = 1
    } },
  )

  queue_alarms = merge(
    { for key, q in var.queues : "${key}-dead-letters" => {
      # SQS tells nothing of a queue that nobody touched for six hours, which has messages in it never.
      runbook   = "dead-letters", severity = "ticket", missing = "notBreaching"
      says      = "Messages of ${q.name} were given up: they are in ${q.dead_letter_name}, for 14 days."
      metrics   = { m = { namespace = "AWS/SQS", name = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = q.dead_letter_name }, statistic = "Maximum" } }
      threshold = 0, period = 60, periods = 1
    } },
    # What nobody takes from yet only gets older.
    { for key, q in var.queues : "${key}-age" => {
      runbook   = "queue-age", severity = "ticket", missing = "notBreaching"
      says      = "The oldest message of ${q.name} waits for more than ${var.thresholds.queue_age_seconds} s."
      metrics   = { m = { namespace = "AWS/SQS", name = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = q.name }, statistic = "Maximum" } }
      threshold = var.thresholds.queue_age_seconds, period = 60, periods = 5
    } if q.consumed },
  )

  stream_alarms = { for key, name in var.streams : "${key}-write-throttles" => {
    runbook   = "stream-write-throttles", severity = "ticket", missing = "notBreaching"
    says      = "${name} refuses records for lack of throughput, in 3 of 5 minutes."
    metrics   = { m = { namespace = "AWS/Kinesis", name = "WriteProvisionedThroughputExceeded", dimensions = { StreamName = name }, statistic = "Sum" } }
    threshold = 0, period = 60, periods = 5, breaching = 3
  } }

  table_alarms = merge(
    { for key, t in var.tables : "${key}-throttles" => {
      runbook = "table-throttles", severity = "ticket", missing = "notBreaching"
      says    = "${t.name} refuses requests for lack of throughput, in 3 of 5 minutes."
      metrics = merge(
        { for id, name in { r = "ReadThrottleEvents", w = "WriteThrottleEvents" } : id => { namespace = "AWS/DynamoDB", name = name, dimensions = { TableName = t.name }, statistic = "Sum" } },
        # An index that cannot keep up holds back the table's writes.
        merge([for i, index in sort(tolist(t.indexes)) : { for id, name in { r = "ReadThrottleEvents", w = "WriteThrottleEvents" } : "${id}${i}" => {
          namespace                                                            = "AWS/DynamoDB", name = name, dimensions = { TableName = t.name, GlobalSecondaryIndexName = index }, statistic = "Sum"
        } }]...),
      )
      expression = "SUM(METRICS())"
      threshold  = 0, period = 60, periods = 5, breaching = 3
    } },
    { for key, t in var.tables : "${key}-system-errors" => {
      runbook = "table-system-errors", severity = "ticket", missing = "notBreaching"
      says    = "DynamoDB answers 500 to requests on ${t.name}, in 3 of 5 minutes."
      metrics = { for op in ["BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "TransactWriteItems", "UpdateItem"] : lower(op) => {
        namespace = "AWS/DynamoDB", name = "SystemErrors", dimensions = { TableName = t.name, Operation = op }, statistic = "Sum"
      } }
      expression = "SUM(METRICS())"
      threshold  = 0, period = 60, periods = 5, breaching = 3
    } },
  )

  archive_alarms = { for key, name in var.archives : "${key}-archive-age" => {
    runbook   = "archive-age", severity = "ticket", missing = "notBreaching"
    says      = "The oldest record that ${name} has not delivered is more than ${var.thresholds.archive_age_seconds} s old."
    metrics   = { m = { namespace = "AWS/Firehose", name = "DeliveryToS3.DataFreshness", dimensions = { DeliveryStreamName = name }, statistic = "Maximum" } }
    threshold = var.thresholds.archive_age_seconds, period = 300, periods = 3
  } }

  alarms = merge(
    local.function_alarms, local.beacon_alarms, local.profile_alarms, local.relay_alarms, local.reach_alarms, local.score_alarms, local.queue_alarms,
    local.stream_alarms, local.table_alarms, local.archive_alarms,
  )
}
