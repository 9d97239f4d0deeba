variable "account" {
  description = "Project that the bucket is in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "region" {
  description = "Region that the bucket is in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "name" {
  description = "Name of the bucket; no other bucket of anybody may have it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,61}[a-z0-9]$", var.name)) && !startswith(var.name, "goog")
    error_message = "name must be 3 to 63 small letters, digits and -, beginning with a letter, not with goog, and not ending with -."
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
    archive_class            = optional(string, "COLDLINE")
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
    condition     = alltrue([for r in values(var.lifecycle_rules) : contains(["NEARLINE", "COLDLINE", "ARCHIVE"], r.archive_class)])
    error_message = "archive_class must be one of NEARLINE, COLDLINE, ARCHIVE."
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
  description = "Name of your own KMS key, in the bucket's region; Cloud Storage's service agent must be allowed to use it. null: a key of Google's, which costs nothing."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key must be the name of a KMS key (projects/P/locations/L/keyRings/R/cryptoKeys/K), or null."
  }
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
