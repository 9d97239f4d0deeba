variable "account" {
  description = "Account that the streams are in: 12 digits."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the 12 digits of an AWS account id."
  }
}

variable "region" {
  description = "Region that the streams are in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name of the install; the roles are called so, with -peer-, the function and the region behind."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 20 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "callers" {
  description = "Who may publish, by function of the other cloud: the numbers (unique ids) of the service accounts that beacon and relay run as."
  type        = object({ beacon = string, relay = string })
  nullable    = false

  validation {
    condition     = alltrue([for c in values(var.callers) : can(regex("^[0-9]{15,30}$", c))]) && var.callers.beacon != var.callers.relay
    error_message = "callers must be the numbers of two service accounts, digits only: gcloud iam service-accounts describe EMAIL --format 'value(uniqueId)'."
  }
}

variable "streams" {
  description = "What each may publish on: ARN of a stream."
  type        = object({ beacon = string, relay = string })
  nullable    = false

  validation {
    condition     = alltrue([for s in values(var.streams) : can(regex("^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/[A-Za-z0-9_.-]+$", s))])
    error_message = "streams must be ARNs of Kinesis streams, each of one."
  }
}

variable "encryption_key" {
  description = "ARN of your own KMS key, of the streams; null: a key that AWS manages, which asks nothing of who publishes."
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
