# Who watches, and who is told.

variable "notify" {
  description = "Who is told of alarms, by a name of your choice: protocol (email by default; https, pubsub, sms) and address; of pubsub a topic, projects/P/topics/T; severities: of which alarms, page, ticket or (by default) both. A number has to be confirmed in the console first, and an address with a key in it lands in the state."
  type = map(object({
    protocol   = optional(string, "email")
    address    = string
    severities = optional(set(string), ["page", "ticket"])
  }))
  default  = {}
  nullable = false
}

variable "slo" {
  description = "What is promised: percent of all batches have their slowest event in its profile within milliseconds."
  type = object({
    milliseconds = optional(number, 1000)
    percent      = optional(number, 99)
  })
  default  = {}
  nullable = false
}

variable "thresholds" {
  description = "Where alarms begin, as in the module observability; what is left out has its default there."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([for t in keys(var.thresholds) : contains([
      "iterator_age_seconds", "relay_lag_seconds", "queue_age_seconds", "archive_age_seconds", "duration_percent", "beacon_5xx_percent", "refused_percent", "quarantine_percent",
      "table_cpu_percent", "table_storage_percent", "table_latency_milliseconds",
    ], t)])
    error_message = "thresholds may name iterator_age_seconds, relay_lag_seconds, queue_age_seconds, archive_age_seconds, duration_percent, beacon_5xx_percent, refused_percent, quarantine_percent, table_cpu_percent, table_storage_percent and table_latency_milliseconds."
  }
}

variable "quiet" {
  description = "Alarms that tell nobody for now, by their names without the install's: score-iterator-age."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "runbooks" {
  description = "Where the runbooks are: every alarm's text ends with an address below it."
  type        = string
  default     = "https://github.com/hitolayer/hito/blob/main/docs/runbooks"
  nullable    = false
}

locals {
  # Cloud Run's own limit, where there is no other.
  instances = { for f, size in local.size : f => size.concurrency == null ? 100 : ceil(size.concurrency / size.requests_per_instance) }
}

module "observability" {
  source = "../../modules/gcp/observability"

  account        = var.account
  project_number = var.project_number
  name           = var.name
  notify         = var.notify

  functions = merge({
    beacon  = { name = module.beacon.name, timeout_seconds = local.size.beacon.timeout_seconds, instances = local.instances.beacon, public = !local.closed }
    enrich  = { name = module.enrich.name, timeout_seconds = local.size.enrich.timeout_seconds, instances = local.instances.enrich, stream = module.raw.name, subscription = module.enrich.subscriptions.raw }
    score   = { name = module.score.name, timeout_seconds = local.size.score.timeout_seconds, instances = local.instances.score, stream = module.enriched.name, subscription = module.score.subscriptions.enriched }
    profile = { name = module.profile.name, timeout_seconds = local.size.profile.timeout_seconds, instances = local.instances.profile, public = !local.closed }
    }, { for m in module.relay : "relay" => { name = m.name, timeout_seconds = local.size.relay.timeout_seconds, instances = local.instances.relay, stream = module.enriched.name, subscription = m.subscriptions.enriched } }
  )
  streams = { raw = module.raw.name, enriched = module.enriched.name }
  queues = merge(
    { actions = { name = module.actions.name, dead_letter_name = module.actions.dead_letter_name, consumed = false } },
    { for f, m in { enrich = module.enrich, score = module.score } : "${f}-redrive" => { name = m.dead_letter_name, dead_letter_name = m.parked_name } },
    { for m in module.archive : "archive" => { name = m.name, dead_letter_name = m.dead_letter_name, consumed = false } }, # its age is the archive's
  )
  tables = merge(
    { for t in module.table : "table" => { name = t.name, instance = t.instance } },
    { for d in module.database : "table" => { name = d.name } },
  )
  archives      = { for name in module.archive[*].name : "enriched" => name }
  load_balancer = local.closed ? var.name : null
  check         = { host = trimprefix(local.urls.beacon, "https://"), path = "/v1/projects/${urlencode(values(var.write_keys)[0][0])}/settings" }
  sweep         = var.sweep

  slo        = var.slo
  thresholds = var.thresholds
  quiet      = var.quiet
  runbooks   = var.runbooks
  labels     = local.labels

  depends_on = [google_project_service.this]
}

output "dashboard" {
  description = "Address of the dashboard."
  value       = module.observability.dashboard_url
}
