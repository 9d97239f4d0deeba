variable "account" {
  description = "Project that the queue is in: its id, such as mycompany-web."
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

variable "name" {
  description = "Name of the queue, topic and subscription; its dead-letter queue is called the same with -dead behind."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,62}$", var.name)) && !startswith(var.name, "goog")
    error_message = "name must be 3 to 63 small letters, digits and -, beginning with a letter, and not with goog."
  }
}

variable "region" {
  description = "Region that messages are kept in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "retention_hours" {
  description = "How long a message waits to be handled, in hours."
  type        = number
  default     = 96
  nullable    = false

  validation {
    condition     = var.retention_hours >= 1 && var.retention_hours <= 744 && floor(var.retention_hours) == var.retention_hours
    error_message = "retention_hours must be a whole number from 1 to 744 (31 days)."
  }
}

variable "visibility_seconds" {
  description = "How long a message is hidden from others once received; who needs longer asks for it."
  type        = number
  default     = 180
  nullable    = false

  validation {
    condition     = var.visibility_seconds >= 10 && var.visibility_seconds <= 600 && floor(var.visibility_seconds) == var.visibility_seconds
    error_message = "visibility_seconds must be a whole number from 10 to 600."
  }
}

variable "max_deliveries" {
  description = "How often a message is delivered, about, before it goes to the dead-letter queue."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_deliveries >= 5 && var.max_deliveries <= 100 && floor(var.max_deliveries) == var.max_deliveries
    error_message = "max_deliveries must be a whole number from 5 to 100."
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
