mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:hito-alerts" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/1" }
  }
}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito"
  functions = {
    beacon  = { name = "hito-beacon", timeout_seconds = 10, log_group_name = "/aws/lambda/hito-beacon", public = true }
    enrich  = { name = "hito-enrich", timeout_seconds = 30, log_group_name = "/aws/lambda/hito-enrich", stream = "hito-raw" }
    score   = { name = "hito-score", timeout_seconds = 30, log_group_name = "/aws/lambda/hito-score", stream = "hito-enriched" }
    profile = { name = "hito-profile", timeout_seconds = 30, log_group_name = "/aws/lambda/hito-profile", public = true }
  }
  streams = { raw = "hito-raw", enriched = "hito-enriched" }
  queues = {
    actions       = { name = "hito-actions", dead_letter_name = "hito-actions-dead", consumed = false }
    score-redrive = { name = "hito-score-redrive", dead_letter_name = "hito-score-redrive-dead" }
  }
  tables   = { table = { name = "hito", indexes = ["quarantine"] } }
  archives = { enriched = "hito-archive" }
}

# Two clouds.
run "relay" {
  variables {
    functions = {
      beacon = { name = "hito-beacon", timeout_seconds = 10, log_group_name = "/aws/lambda/hito-beacon", public = true }
      relay  = { name = "hito-relay", timeout_seconds = 60, log_group_name = "/aws/lambda/hito-relay", stream = "hito-enriched" }
    }
  }

  assert {
    condition     = length(setsubtract(["relay-lag", "relay-errors", "relay-stalled", "beacon-failing-over"], keys(output.alarms))) == 0 && !contains(keys(output.alarms), "relay-iterator-age")
    error_message = "Relay may be behind for a while, and not for long."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["relay-lag"].threshold == 3600000 && startswith(aws_cloudwatch_metric_alarm.this["relay-stalled"].alarm_description, "[ticket]") && startswith(aws_cloudwatch_metric_alarm.this["relay-lag"].alarm_description, "[page]") &&
      toset([for q in aws_cloudwatch_metric_alarm.this["relay-lag"].metric_query : one(q.metric[*].metric_name)]) == toset(["relay_lag", "IteratorAge", null])
    )
    error_message = "An hour's lag must wake somebody, also when nothing can be shipped, which has no lag."
  }
  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.this["relay-errors"].alarm_description, "/partition.md") && startswith(aws_cloudwatch_metric_alarm.this["beacon-failing-over"].alarm_description, "[ticket]")
    error_message = "What heals by itself must wake nobody."
  }
}

run "reached" {
  variables {
    region        = "us-east-1"
    name          = "hito-edge"
    functions     = {}
    streams       = {}
    queues        = {}
    tables        = {}
    archives      = {}
    health_checks = { aws = "11111111-2222", gcp = "33333333-4444" }
  }

  assert {
    condition     = keys(output.alarms) == ["aws-unreachable", "gcp-unreachable"]
    error_message = "There is nothing else to watch."
  }
  assert {
    condition = alltrue([for key, a in aws_cloudwatch_metric_alarm.this :
      a.metric_name == "HealthCheckStatus" && a.comparison_operator == "LessThanThreshold" && a.threshold == 1 && a.dimensions.HealthCheckId == var.health_checks[trimsuffix(key, "-unreachable")]
    ])
    error_message = "A status below 1 is none."
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 2
    error_message = "The dashboard must have the alarms and the checks, and no empty graphs."
  }
}

run "bad_reached_elsewhere" {
  command = plan

  variables {
    health_checks = { aws = "11111111-2222" }
  }
  expect_failures = [var.health_checks]
}

run "alarms" {
  assert {
    condition = length(setsubtract([
      "beacon-5xx", "profile-5xx", "beacon-refused", "quarantine", "score-window-evictions",
      "beacon-errors", "beacon-throttles", "beacon-duration", "beacon-errors-logged",
      "enrich-iterator-age", "score-iterator-age", "enrich-stalled", "score-stalled",
      "actions-dead-letters", "score-redrive-dead-letters", "score-redrive-age", "raw-write-throttles", "enriched-write-throttles",
      "table-throttles", "table-system-errors", "enriched-archive-age", "latency-burn-fast", "latency-burn-slow",
    ], keys(output.alarms))) == 0
    error_message = "Something is not watched."
  }
  assert {
    condition     = !contains(keys(output.alarms), "beacon-iterator-age")
    error_message = "The beacon reads no stream."
  }
  assert {
    condition = alltrue([for a in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_composite_alarm.burn)) :
      can(regex("^\\[(page|ticket)\\] .+ Runbook: https://.+/docs/runbooks/[a-z0-9-]+\\.md$", a.alarm_description))
    ])
    error_message = "Every alarm must say whether it wakes, and lead to a runbook."
  }
  assert {
    condition     = alltrue([for key, a in aws_cloudwatch_metric_alarm.this : length(a.alarm_actions) == (startswith(key, "latency-burn-") ? 0 : 1)]) && alltrue([for a in aws_cloudwatch_composite_alarm.burn : length(a.alarm_actions) == 1])
    error_message = "Every alarm must tell the topic, unless another tells for it."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["score-duration"].threshold == 24000 && aws_cloudwatch_metric_alarm.this["score-iterator-age"].threshold == 60000
    error_message = "Thresholds are in milliseconds."
  }
  assert {
    condition     = !contains(keys(output.alarms), "actions-age")
    error_message = "What nobody takes from must not alarm for its age."
  }
  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.this : a.treat_missing_data == "notBreaching"])
    error_message = "An alarm must end when the traffic does."
  }
  assert {
    condition     = { for q in aws_cloudwatch_metric_alarm.this["score-stalled"].metric_query : q.id => try("${q.metric[0].metric_name} ${q.metric[0].stat}", q.expression) if q.id == "reads" } == { reads = "IteratorAge SampleCount" }
    error_message = "The sweep calls score every minute: only calls with an age are of the stream."
  }
  assert {
    condition = alltrue([for key, name in { beacon-refused = "hito-beacon", quarantine = "hito-beacon", latency-burn-fast-long = "hito-score" } :
      alltrue([for q in aws_cloudwatch_metric_alarm.this[key].metric_query : q.metric[0].dimensions == tomap({ function = name }) if length(q.metric) > 0])
    ]) && aws_cloudwatch_metric_alarm.this["score-window-evictions"].dimensions == tomap({ function = "hito-score" })
    error_message = "Another install's metrics must not alarm here."
  }
  assert {
    condition     = aws_cloudwatch_log_metric_filter.errors["score"].metric_transformation[0].name == aws_cloudwatch_metric_alarm.this["score-errors-logged"].metric_name && aws_cloudwatch_log_metric_filter.errors["score"].metric_transformation[0].name == "errors_logged_hito-score"
    error_message = "Logged errors must be counted for the install, under the name that is watched."
  }
  assert {
    condition     = { for q in aws_cloudwatch_metric_alarm.this["profile-5xx"].metric_query : q.id => "${q.metric[0].metric_name} ${q.metric[0].dimensions.FunctionName}" if length(q.metric) > 0 } == { failed = "Url5xxCount hito-profile", requests = "UrlRequestCount hito-profile" }
    error_message = "Reads must be watched by the profile's own URL."
  }
}

run "burn" {
  assert {
    condition = { for w in ["long", "short"] : w => {
      period    = one([for q in aws_cloudwatch_metric_alarm.this["latency-burn-fast-${w}"].metric_query : q.metric[0].period if q.id == "share"])
      threshold = aws_cloudwatch_metric_alarm.this["latency-burn-fast-${w}"].threshold
    } } == { long = { period = 3600, threshold = 85.6 }, short = { period = 300, threshold = 85.6 } }
    error_message = "14.4 times the budget of one percent is 14.4 percent, within an hour and within five minutes."
  }
  assert {
    condition     = aws_cloudwatch_composite_alarm.burn["fast"].alarm_rule == "ALARM(\"hito-latency-burn-fast-long\") AND ALARM(\"hito-latency-burn-fast-short\")"
    error_message = "Both windows must burn."
  }
  assert {
    condition     = one([for q in aws_cloudwatch_metric_alarm.this["latency-burn-slow-long"].metric_query : q.metric[0].stat if q.id == "share"]) == "PR(:1000)" && aws_cloudwatch_metric_alarm.this["latency-burn-slow-long"].comparison_operator == "LessThanThreshold"
    error_message = "The share of batches within a second is what is watched."
  }
}

run "topic" {
  assert {
    condition     = aws_sns_topic.alerts.kms_master_key_id == "arn:aws:kms:eu-west-1:123456789012:key/1" && aws_kms_key.alerts[0].enable_key_rotation
    error_message = "The topic must be encrypted with a key of its own."
  }
  assert {
    condition     = one([for s in jsondecode(aws_kms_key.alerts[0].policy).Statement : s.Principal.Service if s.Sid == "Alarms"]) == "cloudwatch.amazonaws.com"
    error_message = "Alarms must be able to use the topic's key, or they are lost without a word."
  }
  assert {
    condition     = one([for s in jsondecode(aws_sns_topic_policy.alerts.policy).Statement : s.Condition.StringEquals["aws:SourceAccount"] if s.Sid == "Alarms"]) == "123456789012"
    error_message = "Only this account's alarms may tell."
  }
}

run "settings" {
  command = plan
  variables {
    notify = { team = { address = "team@shop.example" }, pager = { protocol = "https", address = "https://events.pager.example/1" } }
    quiet  = ["beacon-5xx", "latency-burn-slow"]
    api    = "abc123"
    functions = {
      beacon  = { name = "hito-beacon", timeout_seconds = 10, log_group_name = "/aws/lambda/hito-beacon" }
      score   = { name = "hito-score", timeout_seconds = 30, log_group_name = "/aws/lambda/hito-score", stream = "hito-enriched" }
      profile = { name = "hito-profile", timeout_seconds = 30, log_group_name = "/aws/lambda/hito-profile" }
    }
    encryption_key = "arn:aws:kms:eu-west-1:123456789012:key/9"
    slo            = { milliseconds = 2000, percent = 95 }
    thresholds     = { beacon_5xx_percent = 2 }
    runbooks       = "https://wiki.shop.example/docs/runbooks"
  }
  assert {
    condition     = !aws_cloudwatch_metric_alarm.this["beacon-5xx"].actions_enabled && !aws_cloudwatch_composite_alarm.burn["slow"].actions_enabled && aws_cloudwatch_composite_alarm.burn["fast"].actions_enabled
    error_message = "Quiet alarms tell nobody, others do."
  }
  assert {
    condition     = one([for q in aws_cloudwatch_metric_alarm.this["beacon-5xx"].metric_query : q.metric[0].namespace if q.id == "failed"]) == "AWS/ApiGateway" && aws_cloudwatch_metric_alarm.this["beacon-5xx"].threshold == 2
    error_message = "Behind an API Gateway its 5xx count."
  }
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "profile-5xx") && strcontains(aws_cloudwatch_metric_alarm.this["beacon-5xx"].alarm_description, "beacons, and reads")
    error_message = "An API Gateway does not tell beacons from reads, so one alarm has both and says so."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["latency-burn-slow-long"].threshold == 70 && length(aws_kms_key.alerts) == 0 && length(aws_sns_topic_subscription.alerts) == 2
    error_message = "Six times the budget of five percent is thirty; with a key given none is made; everybody is subscribed."
  }
  assert {
    condition     = endswith(aws_cloudwatch_metric_alarm.this["quarantine"].alarm_description, "https://wiki.shop.example/docs/runbooks/quarantine.md")
    error_message = "Runbooks may be elsewhere."
  }
}

run "little_to_watch" {
  command = plan
  variables {
    functions = {}
    streams   = {}
    queues    = {}
    tables    = {}
    archives  = {}
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0 && length(aws_cloudwatch_composite_alarm.burn) == 0
    error_message = "What is not there is not watched."
  }
}

run "bad_notify" {
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
    account        = "1"
    region         = "Ireland"
    name           = "Hito"
    runbooks       = "http://wiki/"
    encryption_key = "alias/aws/sns"
    thresholds     = { refused_percent = 100 }
    functions      = { beacon = { name = "b", timeout_seconds = 0, log_group_name = "x" } }
    tables         = { t = { name = "t", indexes = ["a", "b", "c", "d", "e"] } }
  }
  expect_failures = [var.account, var.region, var.name, var.runbooks, var.encryption_key, var.thresholds, var.functions, var.tables]
}
