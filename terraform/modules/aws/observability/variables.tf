variable "account" {
  description = "Account that everything watched is in: 12 digits."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the 12 digits of an AWS account id."
  }
}

variable "region" {
  description = "Region that everything watched is in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name that every alarm, the topic and the dashboard begin with."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name must be 1 to 40 small letters, digits and -, beginning with a letter."
  }
}

variable "notify" {
  description = "Who is told, by a name of your choice: protocol (email, email-json, https, sms, sqs or lambda) and address. An address with a key in it, as paging services give, lands in the state."
  type = map(object({
    protocol = optional(string, "email")
    address  = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for n in var.notify : contains(["email", "email-json", "https", "sms", "sqs", "lambda"], n.protocol)])
    error_message = "notify's protocol must be email, email-json, https, sms, sqs or lambda: alerts do not go over plain http."
  }

  validation {
    condition     = alltrue([for n in var.notify : !startswith(n.protocol, "email") || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", n.address))])
    error_message = "notify's address must be a mail address for the protocols email and email-json."
  }
}

variable "functions" {
  description = "The functions to watch, by what they are (beacon, enrich, score, profile, relay): name, timeout in seconds, name of the log group, name of the stream that feeds it, and whether its own URL is what is called (public), rather than the API."
  type = map(object({
    name            = string
    timeout_seconds = number
    log_group_name  = string
    stream          = optional(string)
    public          = optional(bool, false)
  }))
  nullable = false

  validation {
    condition     = alltrue([for f in var.functions : f.timeout_seconds >= 1 && f.timeout_seconds <= 900])
    error_message = "functions' timeout_seconds must be 1 to 900."
  }
}

variable "streams" {
  description = "Names of the streams to watch, by what they are (raw, enriched)."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "queues" {
  description = "The queues to watch, by what they are (actions, enrich-redrive, score-redrive): name, name of the dead-letter queue, and whether anything takes from it: else nobody is told how old its messages are."
  type = map(object({
    name             = string
    dead_letter_name = string
    consumed         = optional(bool, true)
  }))
  default  = {}
  nullable = false
}

variable "tables" {
  description = "The tables to watch, by what they are: name, and names of the indexes."
  type = map(object({
    name    = string
    indexes = optional(set(string), [])
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for t in var.tables : length(t.indexes) <= 4])
    error_message = "tables' indexes must be at most 4: an alarm takes ten metrics."
  }
}

variable "archives" {
  description = "Names of the deliveries (module archive) to watch, by what they are."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "api" {
  description = "Id of the API Gateway's HTTP API in front of beacon and profile, null when their own URLs are what is called."
  type        = string
  default     = null
}

variable "health_checks" {
  description = "Ids of Route 53's health checks to watch, by the cloud they are of; only where region is us-east-1, which is where Route 53 tells of them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.health_checks) == 0 || var.region == "us-east-1"
    error_message = "health_checks can be watched in us-east-1 only."
  }
}

variable "namespace" {
  description = "Namespace of the metrics that the functions write into their logs."
  type        = string
  default     = "hito"
  nullable    = false
}

variable "runbooks" {
  description = "Where the runbooks are: every alarm's description ends with an address below it."
  type        = string
  default     = "https://github.com/hitolayer/hito/blob/main/docs/runbooks"
  nullable    = false

  validation {
    condition     = can(regex("^https://.+[^/]$", var.runbooks))
    error_message = "runbooks must be an https address without a / at its end."
  }
}

variable "slo" {
  description = "What is promised: percent of all batches have their slowest event in its profile within milliseconds of the beacon having taken it, over 30 days. burns says when that is going wrong: budget is spent rate times as fast as the month allows, both over the long window and, so that it ends when the trouble does, over the short one (seconds, whole minutes)."
  type = object({
    milliseconds = optional(number, 1000)
    percent      = optional(number, 99)
    burns = optional(map(object({ rate = number, long = number, short = number, severity = optional(string, "ticket") })), {
      fast = { rate = 14.4, long = 3600, short = 300, severity = "page" }  # 2 % of the month's budget in an hour
      slow = { rate = 6, long = 21600, short = 1800, severity = "ticket" } # 5 % in six hours
    })
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.slo.milliseconds >= 1 && var.slo.percent >= 50 && var.slo.percent < 100
    error_message = "slo must promise at least 50 and less than 100 percent within at least 1 millisecond."
  }

  validation {
    condition     = alltrue([for b in var.slo.burns : b.rate >= 1 && b.rate * (100 - var.slo.percent) < 100])
    error_message = "slo.burns' rate must be at least 1, and so that rate * (100 - percent) is less than 100: more cannot fail."
  }

  validation {
    condition     = alltrue([for b in var.slo.burns : b.short < b.long && b.long <= 86400 && b.short % 60 == 0 && b.long % 60 == 0 && b.short >= 60 && contains(["page", "ticket"], b.severity)])
    error_message = "slo.burns must have short < long <= 86400, both whole minutes in seconds, and a severity of page or ticket."
  }
}

variable "thresholds" {
  description = "Where alarms begin: a stream's lag, the relay's, a queue's oldest message and the archive's freshness in seconds; a function's duration in percent of its timeout; requests answered 5xx (beacons, and reads), requests refused and events quarantined in percent."
  type = object({
    iterator_age_seconds = optional(number, 60)
    relay_lag_seconds    = optional(number, 3600)
    queue_age_seconds    = optional(number, 900)
    archive_age_seconds  = optional(number, 1200)
    duration_percent     = optional(number, 80)
    beacon_5xx_percent   = optional(number, 1)
    refused_percent      = optional(number, 25)
    quarantine_percent   = optional(number, 5)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for t in values(var.thresholds) : t > 0])
    error_message = "thresholds must be above 0."
  }

  validation {
    condition = alltrue([for t in [
      var.thresholds.duration_percent, var.thresholds.beacon_5xx_percent, var.thresholds.refused_percent, var.thresholds.quarantine_percent
    ] : t < 100])
    error_message = "thresholds in percent must be below 100: beyond it no alarm would ever begin."
  }
}

variable "quiet" {
  description = "Alarms that keep watching, and tell nobody: their names without the common beginning, such as archive-archive-age. For the time of a maintenance."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "encryption_key" {
  description = "ARN of your own KMS key for the topic; its policy must let cloudwatch.amazonaws.com use kms:Decrypt and kms:GenerateDataKey. null: one is made here ($1 a month), since the key that AWS manages for SNS lets no alarm in."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.encryption_key))
    error_message = "encryption_key must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), or null."
  }
}

variable "labels" {
  description = "Labels (tags) of everything here."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.labels) <= 40 && alltrue([for k, v in var.labels : length(k) <= 128 && length(v) <= 256 && !startswith(lower(k), "aws:")])
    error_message = "labels must be at most 40, keys of up to 128 and values of up to 256 characters, and no key may begin with aws:."
  }
}
