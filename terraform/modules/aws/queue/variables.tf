variable "account" {
  description = "Account that the queue is in: 12 digits."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the 12 digits of an AWS account id."
  }
}

variable "region" {
  description = "Region that the queue is in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name of the queue; its dead-letter queue is called the same with -dead behind."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.name))
    error_message = "name must be 1 to 63 small letters, digits and -, beginning with a letter."
  }
}

variable "retention_hours" {
  description = "How long a message waits to be handled, in hours."
  type        = number
  default     = 96
  nullable    = false

  validation {
    condition     = var.retention_hours >= 1 && var.retention_hours <= 336 && floor(var.retention_hours) == var.retention_hours
    error_message = "retention_hours must be a whole number from 1 to 336 (14 days)."
  }
}

variable "visibility_seconds" {
  description = "How long a message is hidden from others once received: six times its handler's timeout, as AWS advises for functions."
  type        = number
  default     = 180
  nullable    = false

  validation {
    condition     = var.visibility_seconds >= 0 && var.visibility_seconds <= 43200 && floor(var.visibility_seconds) == var.visibility_seconds
    error_message = "visibility_seconds must be a whole number from 0 to 43200 (12 hours)."
  }
}

variable "max_deliveries" {
  description = "How often a message is delivered before it goes to the dead-letter queue."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_deliveries >= 1 && var.max_deliveries <= 1000 && floor(var.max_deliveries) == var.max_deliveries
    error_message = "max_deliveries must be a whole number from 1 to 1000."
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
