variable "account" {
  description = "Project that the database is in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "region" {
  description = "Region that the database is in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "name" {
  description = "What the database is called, with -table behind."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,22}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 24 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "collections" {
  description = <<-D
    Collections of documents, by name.
    expires: name of the field, a time, from which on Firestore may remove a document. null: it stays.
  D
  type = map(object({
    expires = optional(string)
  }))
  nullable = false

  validation {
    condition     = length(var.collections) >= 1 && alltrue([for name, c in var.collections : can(regex("^[a-z][a-z0-9_]{0,62}$", name)) && (c.expires == null || can(regex("^[a-z][a-z0-9_]{0,62}$", c.expires)))])
    error_message = "collections must be at least 1; names of collections and fields are 1 to 63 small letters, digits and _, beginning with a letter."
  }
}

variable "recovery" {
  description = "Whether the database can be read as it was at any minute of the last seven days, and restored from that."
  type        = bool
  default     = true
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether deleting the database is refused."
  type        = bool
  default     = true
  nullable    = false
}

variable "encryption_key" {
  description = "Name of your own KMS key, in the database's region; Firestore's service agent must be allowed to use it, and Google must have allowed the project such databases. Another one is another database, without what is in it. null: a key of Google's, which costs nothing."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key must be the name of a KMS key (projects/P/locations/L/keyRings/R/cryptoKeys/K), or null."
  }
}
