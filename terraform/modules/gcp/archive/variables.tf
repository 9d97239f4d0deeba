variable "account" {
  description = "Project that the archive is in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "project_number" {
  description = "Number of that project, of which its Pub/Sub service agent is called."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]{4,18}$", var.project_number))
    error_message = "project_number must be the project's number (gcloud projects describe PROJECT)."
  }
}

variable "region" {
  description = "Region that the archive is in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "name" {
  description = "Name of the archive, and of its subscription; its dataset is called so too, with _ for -."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,56}[a-z0-9]$", var.name)) && !startswith(var.name, "goog")
    error_message = "name must be 4 to 58 small letters, digits and -, beginning with a letter, not with goog, and not ending with -."
  }
}

variable "stream" {
  description = "Name of the stream to make, whose records are rows: JSON objects with a field for each column."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,62}$", var.stream)) && !startswith(var.stream, "goog")
    error_message = "stream must be 3 to 63 small letters, digits and -, beginning with a letter, and not with goog."
  }
}

variable "expire_days" {
  description = "How many days after they were received events are deleted. null: never."
  type        = number
  default     = 30

  validation {
    condition     = var.expire_days == null || try(var.expire_days >= 1 && floor(var.expire_days) == var.expire_days, false)
    error_message = "expire_days must be a whole number from 1, or null."
  }
}

variable "deletion_protection" {
  description = "Whether deleting the archive is refused while there is something in it."
  type        = bool
  default     = true
  nullable    = false
}

variable "encryption_key" {
  description = "Name of your own KMS key, in the archive's region; the service agents of Pub/Sub and BigQuery must be allowed to use it. null: a key of Google's, which costs nothing."
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
