variable "account" {
  description = "Project that everything watched is in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "project_number" {
  description = "Number of that project, of which Google's service agents are called."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]{4,18}$", var.project_number))
    error_message = "project_number must be the project's number: gcloud projects describe PROJECT --format 'value(projectNumber)'."
  }
}

variable "name" {
  description = "Name that every alarm, metric and channel begins with, and that the dashboard has."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name must be 1 to 40 small letters, digits and -, beginning with a letter."
  }
}

variable "notify" {
  description = "Who is told, by a name of your choice: protocol (email, https, pubsub or sms) and address: of pubsub a topic, projects/P/topics/T; and of which alarms (severities: page, ticket). An address with a key in it, as paging services give, lands in the state."
  type = map(object({
    protocol   = optional(string, "email")
    address    = string
    severities = optional(set(string), ["page", "ticket"])
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for n in var.notify : length(n.severities) > 0 && length(setsubtract(n.severities, ["page", "ticket"])) == 0])
    error_message = "notify's severities must be page, ticket or both."
  }

  validation {
    condition     = alltrue([for n in var.notify : contains(["email", "https", "pubsub", "sms"], n.protocol)])
    error_message = "notify's protocol must be email, https, pubsub or sms: alerts do not go over plain http."
  }

  validation {
    condition = alltrue([for n in var.notify : can(regex(lookup({
      email  = "^[^@ ]+@[^@ ]+\\.[^@ ]+$"
      https  = "^https://[^ ]+$"
      pubsub = "^projects/[^/]+/topics/[^/]+$"
      sms    = "^\\+[0-9]{6,15}$"
    }, n.protocol, ""), n.address))])
    error_message = "notify's address must be a mail address for email, https://… for https, projects/P/topics/T for pubsub, and a number such as +491701234567 for sms."
  }
}

variable "functions" {
  description = "The functions to watch, by what they are (beacon, enrich, score, profile, relay): name, timeout in seconds, most instances, names of the stream that feeds it and of the subscription that does, and whether its own URL is what is called (public), rather than the load balancer."
  type = map(object({
    name            = string
    timeout_seconds = number
    instances       = optional(number, 100)
    stream          = optional(string)
    subscription    = optional(string)
    public          = optional(bool, false)
  }))
  nullable = false

  validation {
    condition     = alltrue([for f in var.functions : f.timeout_seconds >= 1 && f.timeout_seconds <= 3600 && f.instances >= 1])
    error_message = "functions' timeout_seconds must be 1 to 3600, and instances at least 1."
  }

  validation {
    condition     = alltrue([for f in var.functions : (f.stream == null) == (f.subscription == null)])
    error_message = "functions that have a stream must have its subscription, and others none."
  }
}

variable "streams" {
  description = "Names of the streams to watch, by what they are (raw, enriched)."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "queues" {
  description = "The queues to watch, by what they are (actions, archive, enrich-redrive, score-redrive): name of the subscription, and of the dead letters' subscription, and whether anything takes from it: else nobody is told how old its messages are."
  type = map(object({
    name             = string
    dead_letter_name = string
    consumed         = optional(bool, true)
  }))
  default  = {}
  nullable = false
}

variable "tables" {
  description = "The tables to watch, by what they are: name, and name of the instance, which is its cluster's too. Without an instance it is a database of Firestore's."
  type = map(object({
    name     = string
    instance = optional(string)
  }))
  default  = {}
  nullable = false
}

variable "archives" {
  description = "Names of the subscriptions (module archive) to watch, by what they are."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "load_balancer" {
  description = "Name of the load balancer (URL map) in front of beacon and profile, null when their own URLs are what is called. It calls a function's backend by the function's name."
  type        = string
  default     = null
}

variable "check" {
  description = "What is asked from outside, by HTTPS, every minute: a host, and a path that the beacon answers with its settings (/v1/projects/<write key>/settings). null: nothing."
  type = object({
    host = string
    path = string
  })
  default = null

  validation {
    condition     = var.check == null || try(can(regex("^[a-z0-9.-]+$", var.check.host)) && can(regex("^/[^ ]+/settings$", var.check.path)), false)
    error_message = "check must be a hostname and a path that ends with /settings."
  }
}

variable "sweep" {
  description = "Whether score is to sweep all profiles, so that somebody is told when it does not."
  type        = bool
  default     = false
  nullable    = false
}

variable "runbooks" {
  description = "Where the runbooks are: every alarm's text ends with an address below it."
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
  description = "Where alarms begin: a stream's lag, the relay's, a queue's oldest message and the archive's freshness in seconds; a function's duration in percent of its timeout; requests answered 5xx (beacons, and reads), requests refused and events quarantined in percent; the table's use of its processors and its storage in percent, and its writes in milliseconds."
  type = object({
    iterator_age_seconds       = optional(number, 60)
    relay_lag_seconds          = optional(number, 3600)
    queue_age_seconds          = optional(number, 900)
    archive_age_seconds        = optional(number, 1200)
    duration_percent           = optional(number, 80)
    beacon_5xx_percent         = optional(number, 1)
    refused_percent            = optional(number, 25)
    quarantine_percent         = optional(number, 5)
    table_cpu_percent          = optional(number, 85)
    table_storage_percent      = optional(number, 70)
    table_latency_milliseconds = optional(number, 200)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for t in values(var.thresholds) : t > 0])
    error_message = "thresholds must be above 0."
  }

  validation {
    condition = alltrue([for t in [
      var.thresholds.duration_percent, var.thresholds.beacon_5xx_percent, var.thresholds.refused_percent, var.thresholds.quarantine_percent,
      var.thresholds.table_cpu_percent, var.thresholds.table_storage_percent,
    ] : t < 100])
    error_message = "thresholds in percent must be below 100: beyond it no alarm would ever begin."
  }
}

variable "quiet" {
  description = "Alarms that keep watching, and tell nobody: their names without the common beginning, such as enriched-archive-age. For the time of a maintenance."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "labels" {
  description = "Labels of everything here."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.labels) <= 60 && alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v)) && !startswith(k, "goog")])
    error_message = "labels must be at most 60, keys and values of up to 63 small letters, digits, _ and -, and keys begin with a letter, and not with goog."
  }
}
