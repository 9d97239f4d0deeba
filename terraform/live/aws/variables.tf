# What a first install must say: where.

variable "account" {
  description = "Account to install in: 12 digits. Credentials of another account are refused."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the 12 digits of an AWS account id."
  }
}

variable "region" {
  description = "Region to install in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

# What everything is called.

variable "name" {
  description = "Name of the install: everything is called so, with what it is behind. Two installs in an account and region need two."
  type        = string
  default     = "hito"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 20 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "labels" {
  description = "Labels (tags) of everything, besides install; at most 9."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.labels) <= 9 && !contains(keys(var.labels), "install") && alltrue([for k, v in var.labels : length(k) <= 128 && length(v) <= 256 && !startswith(lower(k), "aws:")])
    error_message = "labels must be at most 9 (an object in S3 takes ten, of which install is one), keys of up to 128 and values of up to 256 characters; no key may be install or begin with aws:."
  }
}

# What runs.

variable "artifacts_dir" {
  description = "Folder with the functions' zips, which make package makes."
  type        = string
  default     = "../../../dist/aws"
  nullable    = false

  validation {
    condition     = alltrue([for f in concat(["beacon", "enrich", "score", "profile"], var.peer == null ? [] : ["relay"]) : fileexists("${var.artifacts_dir}/${f}.zip")])
    error_message = "${join(", ", [for f in concat(["beacon", "enrich", "score", "profile"], var.peer == null ? [] : ["relay"]) : "${f}.zip" if !fileexists("${var.artifacts_dir}/${f}.zip")])} not found in ${var.artifacts_dir}: run make package first, or set artifacts_dir to where its output is."
  }
}

variable "functions" {
  description = "Sizes of functions that shall differ from the defaults, by name: beacon, enrich, score, profile, relay. concurrency: most calls at a time, set aside from the account's limit. warm_instances: kept warm, paid for idle too. canary: a share (weight) of calls for the version published last, the rest for stable_version; not together with warm_instances."
  type = map(object({
    memory_mb       = optional(number)
    timeout_seconds = optional(number)
    concurrency     = optional(number)
    warm_instances  = optional(number)
    canary          = optional(object({ stable_version = string, weight = number }))
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for f in keys(var.functions) : contains(["beacon", "enrich", "score", "profile", "relay"], f)])
    error_message = "functions may name beacon, enrich, score, profile and relay."
  }

  validation {
    condition     = alltrue([for f, s in var.functions : s.timeout_seconds == null || try(s.timeout_seconds <= 300, false)])
    error_message = "timeout_seconds must be at most 300: clients and the other calls of a shard wait for it."
  }

  validation {
    condition     = alltrue([for s in values(var.functions) : try(s.warm_instances > 0, false) ? s.canary == null || try(s.canary.weight == 0, false) : true])
    error_message = "A function cannot have warm_instances while a canary has a share of its calls: Lambda refuses it. Set warm_instances to 0 for that time."
  }
}

variable "sweep" {
  description = "Whether all profiles are decided anew once an hour, so that segments follow time and new rules without events. It reads the whole table once an hour."
  type        = bool
  default     = true
  nullable    = false
}

variable "trusted_proxies" {
  description = "How many proxies of your own stand before the beacon's URL, each adding to X-Forwarded-For; 0 believes no header. With edge.kind cloudfront it is 1, whatever this says."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.trusted_proxies >= 0 && var.trusted_proxies <= 8 && floor(var.trusted_proxies) == var.trusted_proxies
    error_message = "trusted_proxies must be a whole number from 0 to 8."
  }
}

# Projects: their rules and keys.

variable "projects_dir" {
  description = "Folder with one YAML file of settings and rules per project. Its keys.yaml, if there is one, is not uploaded."
  type        = string
  default     = "../../../shared/project/sample"
  nullable    = false

  validation {
    condition     = length(setsubtract(fileset(var.projects_dir, "*.yaml"), ["keys.yaml"])) > 0
    error_message = "There is no project in ${var.projects_dir}: it needs one YAML file per project, such as shop.yaml."
  }
}

variable "write_keys" {
  description = "Public keys that events are sent with, by project."
  type        = map(list(string))
  default     = { shop = ["demo"] }
  nullable    = false

  validation {
    condition     = length(var.write_keys) > 0 && alltrue([for p, keys in var.write_keys : can(regex("^[a-z0-9][a-z0-9_-]{0,62}$", p)) && p != "keys" && length(keys) > 0])
    error_message = "write_keys must give every project a key; a project's name is 1 to 63 small letters, digits, - and _, beginning with a letter or digit, and not keys."
  }

  validation {
    condition     = length(flatten(values(var.write_keys))) == length(distinct(flatten(values(var.write_keys)))) && alltrue([for k in flatten(values(var.write_keys)) : length(trimspace(k)) > 0])
    error_message = "Every one of write_keys must be used once, and none be empty."
  }

  validation {
    condition     = alltrue([for p in keys(var.write_keys) : fileexists("${var.projects_dir}/${p}.yaml")])
    error_message = "${join(", ", [for p in keys(var.write_keys) : "${p}.yaml" if !fileexists("${var.projects_dir}/${p}.yaml")])} not found in ${var.projects_dir}: every project in write_keys needs its file there."
  }
}

variable "generate_secret_keys" {
  description = "Whether every project gets a secret key made up, besides those in secret_keys; it is read from the secret."
  type        = bool
  default     = true
  nullable    = false
}

variable "secret_keys" {
  description = "Secret keys of your own that profiles are read and erased with, by project. They go to the secret only, never to the plan or the state; give them with every plan, and raise secret_keys_version when they change."
  type        = map(list(string))
  default     = {}
  nullable    = false
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = alltrue([for p, keys in var.secret_keys : contains(keys(var.write_keys), p) && alltrue([for k in keys : length(k) >= 8])])
    error_message = "secret_keys must be of projects that are in write_keys too, and each at least 8 characters long."
  }
}

variable "secret_keys_version" {
  description = "Number of the secret keys: the secret is written when it is raised, and only then. So a project added later has no secret key until it is raised; and raising it makes all generated keys anew, which ends those in use. To keep them, read them from the secret, give all of them in secret_keys, and set generate_secret_keys to false."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.secret_keys_version >= 1 && floor(var.secret_keys_version) == var.secret_keys_version
    error_message = "secret_keys_version must be a whole number from 1."
  }
}

# Streams.

variable "fan_out" {
  description = "Whether enrich and score are pushed their streams (enhanced fan-out), in some 70 ms. Else they poll once a second each, and an event is analysed within two seconds instead of one. Costs $0.05 a GB on demand, and per shard and hour when provisioned. Decide before there is traffic: changing it replaces the triggers, and the new ones read again everything that the streams still have. Events of the last 24 hours are known and not counted twice; with retention_hours above 24, older ones are: see the runbook iterator-age for how to change it then."
  type        = bool
  default     = true
  nullable    = false
}

variable "shards" {
  description = "Shards of the raw and the enriched stream; one apply can double or halve them at most. null: on demand."
  type = object({
    raw      = number
    enriched = number
  })
  default = null

  validation {
    condition     = var.shards == null || try(var.shards.raw >= 1 && var.shards.enriched >= 1 && floor(var.shards.raw) == var.shards.raw && floor(var.shards.enriched) == var.shards.enriched, false)
    error_message = "shards must be whole numbers from 1, or null for on demand."
  }
}

variable "retention_hours" {
  description = "How long the streams keep records, in hours: the time to mend what does not work, and to replay."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.retention_hours >= 24 && var.retention_hours <= 8760 && floor(var.retention_hours) == var.retention_hours
    error_message = "retention_hours must be a whole number from 24 to 8760 (a year)."
  }
}

variable "retry_hours" {
  description = "How old a record may get before it is given up to the function's redrive queue, in hours, which has what is left of retention_hours to fetch it again. It is the bound for records that wait: the function is behind, or cannot be called. A record that fails meets another bound first: it is given up after 5 retries, within minutes, so that it does not hold up its shard."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = var.retry_hours >= 1 && var.retry_hours <= 168 && var.retry_hours * 2 <= var.retention_hours
    error_message = "retry_hours must be from 1 to 168, and at most half of retention_hours: the redrive needs the other half."
  }
}

# Table.

variable "table_capacity" {
  description = "Provisioned capacity units per second of the table, and of its index, scaled between minimum and maximum. null: on demand. Minima and maxima may be changed at any time; to change from one to the other later, see the README."
  type = object({
    read_min    = number
    read_max    = number
    write_min   = number
    write_max   = number
    utilization = optional(number, 70)
  })
  default = null
}

variable "table_limits" {
  description = "Most request units per second that the on-demand table may use, so that a flood has a price limit; not together with table_capacity. null: the account's limit. Changing it later does not reach the index: see the README."
  type = object({
    read  = number
    write = number
  })
  default = null
}

variable "deletion_protection" {
  description = "Whether destroying the install fails while there are profiles and rules to lose. Set it to false, apply, then destroy."
  type        = bool
  default     = true
  nullable    = false
}

# Safety and watching.

variable "encryption_key" {
  description = "ARN of your own KMS key, in the install's region, for everything stored there but alarms on their way; it must let CloudWatch Logs use it. null: keys that AWS manages, which have no monthly price. Either way the alarms' topic has a key of its own ($1 a month), and the firewall's log, which is in us-east-1, a key that AWS manages."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.encryption_key))
    error_message = "encryption_key must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), or null."
  }
}

variable "tracing" {
  description = "Whether calls are traced (AWS X-Ray)."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "How many days logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}
