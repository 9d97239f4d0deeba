variable "account" {
  description = "Account that the function is in: 12 digits."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the 12 digits of an AWS account id."
  }
}

variable "region" {
  description = "Region that the function is in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name of the function; its role is called so too, with the region behind."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name must be 1 to 40 small letters, digits and -, beginning with a letter."
  }
}

variable "description" {
  description = "What the function does."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.description) <= 256
    error_message = "description must be at most 256 characters."
  }
}

variable "package" {
  description = "Path of the zip with the function's bootstrap, for Linux on arm64."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.package)
    error_message = "There is no file ${var.package}: run make package first, or set where its output is."
  }
}

variable "memory_mb" {
  description = "Memory in MB, which buys processor time too: 1,769 MB are one whole processor."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240 && floor(var.memory_mb) == var.memory_mb
    error_message = "memory_mb must be a whole number from 128 to 10240."
  }
}

variable "timeout_seconds" {
  description = "How long one call may take."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900 && floor(var.timeout_seconds) == var.timeout_seconds
    error_message = "timeout_seconds must be a whole number from 1 to 900."
  }
}

variable "concurrency" {
  description = "Most calls at a time, set aside for this function from the account's limit. 0 stops it. null: what the account has left."
  type        = number
  default     = null

  validation {
    condition     = var.concurrency == null || try(var.concurrency >= 0 && floor(var.concurrency) == var.concurrency, false)
    error_message = "concurrency must be a whole number from 0, or null."
  }
}

variable "warm_instances" {
  description = "Instances kept warm, so that no call meets a cold start; paid for idle too."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.warm_instances >= 0 && floor(var.warm_instances) == var.warm_instances && (var.concurrency == null || try(var.warm_instances <= var.concurrency, true))
    error_message = "warm_instances must be a whole number from 0, and not more than concurrency."
  }

  validation {
    condition     = var.warm_instances == 0 || var.canary == null || try(var.canary.weight == 0, true)
    error_message = "warm_instances must be 0 while a canary has a share of the calls: Lambda keeps no instances warm behind an alias of two versions."
  }
}

variable "environment" {
  description = "Environment variables: settings only, since everybody who may read the function reads them too."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for k in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", k)) && !startswith(k, "AWS_") && !startswith(k, "LAMBDA_")])
    error_message = "Names in environment must be capital letters, digits and _, beginning with a letter, and not with AWS_ or LAMBDA_."
  }
}

variable "permissions" {
  description = "What the function may do besides writing its log and reading its triggers: statements by name, each with exact actions and resources, and conditions as operator => key => values."
  type = map(object({
    actions    = list(string)
    resources  = list(string)
    conditions = optional(map(map(list(string))), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.permissions) : can(regex("^[A-Za-z0-9]{1,64}$", name))])
    error_message = "Names of permissions must be 1 to 64 letters and digits."
  }

  validation {
    condition     = alltrue([for p in values(var.permissions) : length(p.actions) > 0 && alltrue([for a in p.actions : can(regex("^[a-z0-9-]+:[A-Za-z0-9]+$", a))])])
    error_message = "Every permission must list actions as service:Action, without *."
  }

  validation {
    condition     = alltrue([for p in values(var.permissions) : length(p.resources) > 0 && alltrue([for r in p.resources : startswith(r, "arn:")])])
    error_message = "Every permission must list ARNs as resources, not *."
  }
}

variable "stream_triggers" {
  description = <<-E
    Streams that call the function with batches of records, by name.
    stream: ARN. consumer: name and ARN of a dedicated consumer of it, null to share the stream's.
    batch_size: most records per call. window_seconds: how long to wait for that many, whole seconds.
    parallelism: calls at a time per shard. retries, retry_seconds: bounds after which a batch is given up, whichever is met first:
    retries by what fails, within minutes; retry_seconds by what waits for a function that is behind or cannot be called.
    failure_queue: ARN of the queue that is told what was given up; needed with gives_up. gives_up: whether these bounds are there at
    all: without, what fails comes again until the stream forgets it, and holds up its shard. start: TRIM_HORIZON begins with the oldest record that is there, LATEST with the next.
  E
  type = map(object({
    stream         = string
    consumer       = optional(object({ name = string, arn = string }))
    batch_size     = optional(number, 100)
    window_seconds = optional(number, 0)
    parallelism    = optional(number, 1)
    retries        = optional(number, 5)
    retry_seconds  = optional(number, 3600)
    gives_up       = optional(bool, true)
    failure_queue  = optional(string)
    start          = optional(string, "TRIM_HORIZON")
    enabled        = optional(bool, true)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : t.batch_size >= 1 && t.batch_size <= 10000])
    error_message = "batch_size of a stream trigger must be from 1 to 10000."
  }

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : t.window_seconds >= 0 && t.window_seconds <= 300 && floor(t.window_seconds) == t.window_seconds])
    error_message = "window_seconds of a stream trigger must be a whole number from 0 to 300."
  }

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : t.parallelism >= 1 && t.parallelism <= 10 && floor(t.parallelism) == t.parallelism])
    error_message = "parallelism of a stream trigger must be a whole number from 1 to 10."
  }

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : t.retries >= 0 && t.retries <= 100 && t.retry_seconds >= 60 && t.retry_seconds <= 604800])
    error_message = "A stream trigger must be bounded: retries from 0 to 100, retry_seconds from 60 to 604800 (7 days)."
  }

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : contains(["TRIM_HORIZON", "LATEST"], t.start)])
    error_message = "start of a stream trigger must be TRIM_HORIZON or LATEST."
  }

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : t.gives_up == (t.failure_queue != null)])
    error_message = "A stream trigger that gives up needs a failure_queue, and one that does not has none."
  }
}

variable "queue_triggers" {
  description = <<-E
    Queues that call the function with batches of messages, by name.
    queue: ARN. batch_size: most messages per call. window_seconds: how long to wait for that many.
    concurrency: most calls at a time, at least 2.
  E
  type = map(object({
    queue          = string
    batch_size     = optional(number, 10)
    window_seconds = optional(number, 0)
    concurrency    = optional(number, 2)
    enabled        = optional(bool, true)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setintersection(keys(var.queue_triggers), keys(var.stream_triggers))) == 0
    error_message = "A stream trigger and a queue trigger must not have the same name."
  }

  validation {
    condition     = alltrue([for t in values(var.queue_triggers) : t.batch_size >= 1 && t.batch_size <= 10000 && (t.batch_size <= 10 || t.window_seconds >= 1)])
    error_message = "batch_size of a queue trigger must be from 1 to 10, or to 10000 with window_seconds of at least 1."
  }

  validation {
    condition     = alltrue([for t in values(var.queue_triggers) : t.window_seconds >= 0 && t.window_seconds <= 300 && floor(t.window_seconds) == t.window_seconds])
    error_message = "window_seconds of a queue trigger must be a whole number from 0 to 300."
  }

  validation {
    condition     = alltrue([for t in values(var.queue_triggers) : t.concurrency >= 2 && t.concurrency <= 1000 && floor(t.concurrency) == t.concurrency])
    error_message = "concurrency of a queue trigger must be a whole number from 2 to 1000."
  }
}

variable "schedule_triggers" {
  description = "Schedules that call the function, by name: every so many minutes."
  type = map(object({
    minutes = number
    enabled = optional(bool, true)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, t in var.schedule_triggers : can(regex("^[a-z][a-z0-9-]{0,15}$", name)) && t.minutes >= 1 && t.minutes <= 1440 && floor(t.minutes) == t.minutes])
    error_message = "schedule_triggers must have names of up to 16 small letters, digits and -, and whole minutes from 1 to 1440 (a day)."
  }
}

variable "url" {
  description = "Whether the function has an HTTPS address. public: everybody may call it, and the function itself asks for a key; else only who signs requests with AWS credentials that allow it. null: none."
  type = object({
    public = optional(bool, true)
  })
  default = null
}

variable "canary" {
  description = "Gives the version published last only a share (weight, 0 to 0.99) of the calls, the rest to stable_version. null: all calls go to the version published last."
  type = object({
    stable_version = string
    weight         = number
  })
  default = null

  validation {
    condition     = var.canary == null || try(can(regex("^[1-9][0-9]*$", var.canary.stable_version)) && var.canary.weight >= 0 && var.canary.weight < 1, false)
    error_message = "canary needs the number of a published version as stable_version, and a weight from 0 to below 1."
  }
}

variable "tracing" {
  description = "Whether calls are traced (AWS X-Ray)."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "How many days the log is kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "encryption_key" {
  description = "ARN of your own KMS key, of the log, the environment and everything the function reads and writes; the key must let CloudWatch Logs use it. null: the key that AWS manages for the service, which has no monthly price."
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
