variable "account" {
  description = "Account that the archive is in: 12 digits."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the 12 digits of an AWS account id."
  }
}

variable "region" {
  description = "Region that the archive is in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name of the delivery."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.name))
    error_message = "name must be 1 to 63 small letters, digits and -, beginning with a letter."
  }
}

variable "stream" {
  description = "Name of the stream whose records are kept, in the same account and region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{1,128}$", var.stream))
    error_message = "stream must be a stream's name: 1 to 128 letters, digits, and _ . -"
  }
}

variable "bucket" {
  description = "Name of the bucket that keeps them."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be a bucket's name: 3 to 63 small letters, digits, - and ."
  }
}

variable "prefix" {
  description = "What the objects' names begin with; the date and the hour (UTC) of arrival follow, as 2026/11/25/16/."
  type        = string
  default     = "enriched/"
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9-]+/)*$", var.prefix)) && var.prefix != "errors/"
    error_message = "prefix must be empty or folders of small letters, digits and -, each ending in /, and not errors/."
  }
}

variable "buffer" {
  description = "When an object is finished: at megabytes (1 to 128) or after seconds (60 to 900), whichever comes first. Large objects are cheaper to write and to read."
  type = object({
    megabytes = optional(number, 128)
    seconds   = optional(number, 300)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.buffer.megabytes >= 1 && var.buffer.megabytes <= 128 && var.buffer.seconds >= 60 && var.buffer.seconds <= 900
    error_message = "buffer must be 1 to 128 megabytes and 60 to 900 seconds."
  }
}

variable "stream_key" {
  description = "ARN of the KMS key that the stream is encrypted with, when it is your own. null: the one that AWS manages."
  type        = string
  default     = null

  validation {
    condition     = var.stream_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.stream_key))
    error_message = "stream_key must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), or null."
  }
}

variable "encryption_key" {
  description = "ARN of your own KMS key, for the objects and the log; it must let CloudWatch Logs use it. null: the keys that AWS manages for these services, which cost nothing."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.encryption_key))
    error_message = "encryption_key must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), or null."
  }
}

variable "log_retention_days" {
  description = "How many days the log of failed deliveries is kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
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
