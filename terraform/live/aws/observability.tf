# Who watches, and who is told.

variable "notify" {
  description = "Who is told of alarms, by a name of your choice: protocol (email by default; email-json, https, sms, sqs, lambda) and address. A mail address has to confirm first."
  type = map(object({
    protocol = optional(string, "email")
    address  = string
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
    ], t)])
    error_message = "thresholds may name iterator_age_seconds, relay_lag_seconds, queue_age_seconds, archive_age_seconds, duration_percent, beacon_5xx_percent, refused_percent and quarantine_percent."
  }
}

variable "quiet" {
  description = "Alarms that tell nobody for now, by their names without the install's: score-iterator-age."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "runbooks" {
  description = "Where the runbooks are: every alarm's description ends with an address below it."
  type        = string
  default     = "https://github.com/hitolayer/hito/blob/main/docs/runbooks"
  nullable    = false
}

module "observability" {
  source = "../../modules/aws/observability"

  account = var.account
  region  = var.region
  name    = var.name
  notify  = var.notify

  functions = merge({
    beacon  = { name = module.beacon.name, timeout_seconds = local.size.beacon.timeout_seconds, log_group_name = module.beacon.log_group_name, public = var.edge.kind != "api_gateway" }
    enrich  = { name = module.enrich.name, timeout_seconds = local.size.enrich.timeout_seconds, log_group_name = module.enrich.log_group_name, stream = module.raw.name }
    score   = { name = module.score.name, timeout_seconds = local.size.score.timeout_seconds, log_group_name = module.score.log_group_name, stream = module.enriched.name }
    profile = { name = module.profile.name, timeout_seconds = local.size.profile.timeout_seconds, log_group_name = module.profile.log_group_name, public = var.edge.kind != "api_gateway" }
    }, { for m in module.relay : "relay" => { name = m.name, timeout_seconds = local.size.relay.timeout_seconds, log_group_name = m.log_group_name, stream = module.enriched.name } }
  )
  streams = { raw = module.raw.name, enriched = module.enriched.name }
  queues = merge(
    { actions = { name = module.actions.name, dead_letter_name = module.actions.dead_letter_name, consumed = false } },
    { for f, q in module.redrive : "${f}-redrive" => { name = q.name, dead_letter_name = q.dead_letter_name } },
  )
  tables   = { table = { name = module.table.name, indexes = keys(module.table.index_arns) } }
  archives = { for name in module.archive[*].name : "enriched" => name }
  api      = module.edge.api

  slo        = var.slo
  thresholds = var.thresholds
  quiet      = var.quiet
  runbooks   = var.runbooks
  labels     = local.labels
}

output "alerts_topic" {
  description = "ARN of the topic that alarms go to."
  value       = module.observability.topic_arn
}

output "dashboard" {
  description = "Address of the dashboard."
  value       = module.observability.dashboard_url
}
