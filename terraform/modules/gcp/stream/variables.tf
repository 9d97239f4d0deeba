variable "account" {
  description = "Project that the stream is in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "name" {
  description = "Name of the stream; no other topic of the project may have it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,62}$", var.name)) && !startswith(var.name, "goog")
    error_message = "name must be 3 to 63 small letters, digits and -, beginning with a letter, and not with goog."
  }
}

variable "region" {
  description = "Region that records are kept in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "retention_hours" {
  description = "How long a record can be replayed, in hours, whether it was handled or not. What is kept is paid for."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.retention_hours >= 1 && var.retention_hours <= 744 && floor(var.retention_hours) == var.retention_hours
    error_message = "retention_hours must be a whole number from 1 to 744 (31 days)."
  }
}

variable "encryption_key" {
  description = "Name of your own KMS key; Pub/Sub's service agent must be allowed to use it. null: a key of Google's, which costs nothing."
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
