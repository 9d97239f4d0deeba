variable "account" {
  description = "Account that the stream is in: 12 digits."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the 12 digits of an AWS account id."
  }
}

variable "region" {
  description = "Region that the stream is in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name of the stream."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.name))
    error_message = "name must be 1 to 63 small letters, digits and -, beginning with a letter."
  }
}

variable "shards" {
  description = "Shards to provision: each takes 1 MB/s or 1,000 records/s. null: on demand, which needs no planning, and costs more per GB when busy and less when idle."
  type        = number
  default     = null

  validation {
    condition     = var.shards == null || try(var.shards >= 1 && var.shards <= 10000 && floor(var.shards) == var.shards, false)
    error_message = "shards must be a whole number from 1 to 10000, or null for on demand."
  }
}

variable "retention_hours" {
  description = "How long a record stays, in hours; the first 24 cost nothing more."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.retention_hours >= 24 && var.retention_hours <= 8760 && floor(var.retention_hours) == var.retention_hours
    error_message = "retention_hours must be a whole number from 24 to 8760 (a year)."
  }
}

variable "encryption_key" {
  description = "ARN of your own KMS key. null: the key that AWS manages for the service, which has no monthly price."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.encryption_key))
    error_message = "encryption_key must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), or null."
  }
}

variable "consumers" {
  description = "Names of consumers that get a dedicated, pushed copy of the stream (enhanced fan-out)."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.consumers) <= 20 && alltrue([for c in var.consumers : can(regex("^[a-zA-Z0-9_.-]{1,128}$", c))])
    error_message = "consumers must be at most 20 names of 1 to 128 letters, digits, and _ . -"
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
