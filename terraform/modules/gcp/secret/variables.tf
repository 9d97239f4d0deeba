variable "account" {
  description = "Project that the secret is in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "region" {
  description = "Region that the secret is in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "name" {
  description = "Name of the secret."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.name))
    error_message = "name must be 1 to 63 small letters, digits and -, beginning with a letter."
  }
}

variable "description" {
  description = "What the secret is for."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.description) <= 2048
    error_message = "description must be at most 2048 characters."
  }
}

variable "value" {
  description = "The secret. It goes to the service only, by a write-only argument: the state does not have it."
  type        = string
  nullable    = false
  sensitive   = true

  validation {
    condition     = length(var.value) >= 1 && length(var.value) <= 65536
    error_message = "value must be 1 to 65536 characters."
  }
}

variable "value_version" {
  description = "Number of the value: raise it to have the value written again."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.value_version >= 1 && floor(var.value_version) == var.value_version
    error_message = "value_version must be a whole number from 1."
  }
}

variable "recovery_days" {
  description = "How many days a version of the secret can still be restored after it was destroyed, and whether deleting the secret itself, which is for good, is refused. 0: it is gone at once."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.recovery_days >= 0 && var.recovery_days <= 1000 && floor(var.recovery_days) == var.recovery_days
    error_message = "recovery_days must be a whole number from 1 to 1000, or 0 for none."
  }
}

variable "encryption_key" {
  description = "Name of your own KMS key, in the secret's region; Secret Manager's service agent must be allowed to use it. null: a key of Google's, which costs nothing."
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
