variable "region" {
  description = "Region that the bucket is in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name of the bucket; no other bucket of anybody may have it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 63 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "versioning" {
  description = "Whether an object that is overwritten or deleted is kept as an old version."
  type        = bool
  default     = true
  nullable    = false
}

variable "lifecycle_rules" {
  description = "What happens to objects under a prefix, by name of the rule: after how many days they move to a cheaper class, after how many they are deleted, and after how many their old versions are. Numbers left out do nothing."
  type = map(object({
    prefix                   = optional(string, "")
    archive_days             = optional(number)
    archive_class            = optional(string, "GLACIER_IR")
    expire_days              = optional(number)
    expire_old_versions_days = optional(number)
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue([for r in values(var.lifecycle_rules) :
      alltrue([for days in [r.archive_days, r.expire_days, r.expire_old_versions_days] : days == null || try(days >= 1, false)]) &&
      anytrue([for days in [r.archive_days, r.expire_days, r.expire_old_versions_days] : days != null]) &&
    (r.archive_days == null || r.expire_days == null || try(r.expire_days > r.archive_days, false))])
    error_message = "Each of lifecycle_rules must do something after 1 day or more, and delete after it has archived."
  }

  validation {
    condition     = alltrue([for r in values(var.lifecycle_rules) : !contains(["STANDARD_IA", "ONEZONE_IA"], r.archive_class) || r.archive_days == null || try(r.archive_days >= 30, false)])
    error_message = "archive_days must be at least 30 for STANDARD_IA and ONEZONE_IA: S3 takes nothing younger there."
  }

  validation {
    condition     = alltrue([for r in values(var.lifecycle_rules) : contains(["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"], r.archive_class)])
    error_message = "archive_class must be one of STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER, DEEP_ARCHIVE."
  }
}

variable "objects" {
  description = "Objects that are part of the install, by key."
  type = map(object({
    content      = string
    content_type = optional(string, "application/octet-stream")
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.objects) : length(key) >= 1 && length(key) <= 1024 && !startswith(key, "/")])
    error_message = "Keys of objects must be 1 to 1024 characters and not begin with /."
  }
}

variable "force_destroy" {
  description = "Whether destroying the bucket deletes what is in it, instead of failing."
  type        = bool
  default     = false
  nullable    = false
}

variable "encryption_key" {
  description = "ARN of your own KMS key. null: a key of the service (SSE-S3), which costs nothing."
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
    condition     = length(var.labels) <= 10 && alltrue([for k, v in var.labels : length(k) <= 128 && length(v) <= 256 && !startswith(lower(k), "aws:")])
    error_message = "labels must be at most 10, which is what an object takes, keys of up to 128 and values of up to 256 characters, and no key may begin with aws:."
  }
}
