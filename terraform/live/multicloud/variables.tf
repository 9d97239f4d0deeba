# What a first install must say: where.

variable "aws" {
  description = "The install on AWS: account (12 digits) and region; and, as in live/aws, retention_hours, shards, table_capacity, functions, encryption_key, archive, budget, thresholds and quiet."
  type = object({
    account         = string
    region          = string
    retention_hours = optional(number)
    shards          = optional(object({ raw = number, enriched = number }))
    table_capacity  = optional(object({ read_min = number, read_max = number, write_min = number, write_max = number, utilization = optional(number, 70) }))
    functions       = optional(any)
    encryption_key  = optional(string)
    archive         = optional(object({ expire_days = optional(number, 30), archive_days = optional(number) }))
    budget          = optional(object({ monthly = number, emails = set(string), labelled = optional(bool, false) }))
    thresholds      = optional(map(number))
    quiet           = optional(set(string))
  })
  nullable = false
}

variable "gcp" {
  description = "The install on Google Cloud: account (the project's id), project_number and region; and, as in live/gcp, retention_hours, store, table_capacity, functions, encryption_key, archive, budget, thresholds and quiet; and close, of edge: false until the certificate is active, if events come by the functions' own URLs."
  type = object({
    account         = string
    project_number  = string
    region          = string
    retention_hours = optional(number)
    store           = optional(string)
    close           = optional(bool, true)
    table_capacity  = optional(object({ min_nodes = number, max_nodes = number, utilization = optional(number, 60) }))
    functions       = optional(any)
    encryption_key  = optional(string)
    thresholds      = optional(map(number))
    quiet           = optional(set(string))
    archive         = optional(object({ expire_days = optional(number, 30) }))
    budget          = optional(object({ billing_account = string, monthly = number, emails = set(string), labelled = optional(bool, false) }))
  })
  nullable = false
}

# What everything is called.

variable "name" {
  description = "Name of both installs: everything is called so, with what it is behind."
  type        = string
  default     = "hito"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,16}[a-z0-9]$", var.name)) && !startswith(var.name, "goog")
    error_message = "name must be 2 to 18 small letters, digits and -, beginning with a letter, not with goog, and not ending with -."
  }
}

variable "labels" {
  description = "Labels (tags) of everything, besides install; at most 9."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.labels) <= 9 && !contains(keys(var.labels), "install") && alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v)) && !startswith(k, "goog") && !startswith(k, "aws")])
    error_message = "labels must be at most 9, keys and values of up to 63 small letters, digits, _ and -; keys begin with a letter, with neither goog nor aws, and none is install."
  }
}

# What is before both.

variable "domain" {
  description = "Hostname that leads to both clouds: its name, and the id of its Route 53 zone, in the AWS account. Certificates are made, CloudFront and a load balancer are put before the functions. null: none, and each cloud has addresses of its own."
  type        = object({ name = string, zone = string })
  default     = null
}

variable "weights" {
  description = "How much of the traffic goes where, in relation to the other, 0 to 255. With 0 a cloud gets traffic only when the other does not answer."
  type        = object({ aws = number, gcp = number })
  default     = { aws = 50, gcp = 50 }
  nullable    = false

  validation {
    condition     = alltrue([for w in values(var.weights) : w >= 0 && w <= 255 && floor(w) == w]) && var.weights.aws + var.weights.gcp > 0
    error_message = "weights must be whole numbers from 0 to 255, and not both 0."
  }
}

variable "relay_limit" {
  description = "How many events a second one instance of relay ships at most, so that what an outage has held up leaves the other cloud room for live traffic. 0: no bound."
  type        = number
  default     = 0
  nullable    = false
}

# What is the same on both.

variable "artifacts_dir" {
  description = "Folder with the folders aws and gcp of the functions' zips, which make package makes."
  type        = string
  default     = "../../../dist"
  nullable    = false
}

variable "projects_dir" {
  description = "Folder with one YAML file of settings and rules per project."
  type        = string
  default     = "../../../shared/project/sample"
  nullable    = false
}

variable "write_keys" {
  description = "Public keys that events are sent with, by project."
  type        = map(list(string))
  default     = { shop = ["demo"] }
  nullable    = false
}

variable "secret_keys" {
  description = "Secret keys that profiles are read and erased with, by project, the same on both clouds. They go to the secrets, not to the state; a plan that is saved has them. Without, AWS makes keys up, and on Google Cloud they are added to the secret: see live/gcp."
  type        = map(list(string))
  default     = {}
  nullable    = false
  sensitive   = true
}

variable "secret_keys_version" {
  description = "Number of the secret keys: the secrets are written when it is raised, and only then."
  type        = number
  default     = 1
  nullable    = false
}

variable "notify" {
  description = "Who is told of alarms, by a name of your choice: protocol (email by default; https, sms) and address. On AWS a mail address has to confirm first, once for the install and once for the health checks."
  type = map(object({
    protocol = optional(string, "email")
    address  = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for n in var.notify : contains(["email", "https", "sms"], n.protocol)])
    error_message = "notify's protocol must be email, https or sms: what both clouds have."
  }
}

variable "runbooks" {
  description = "Where the runbooks are: every alarm's description ends with an address below it."
  type        = string
  default     = "https://github.com/hitolayer/hito/blob/main/docs/runbooks"
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether destroying an install fails while there are profiles and rules to lose. Set it to false, apply, then destroy."
  type        = bool
  default     = true
  nullable    = false
}
