variable "account" {
  description = "Project that the table is in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "region" {
  description = "Region that the table is in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "zone" {
  description = "Zone of the region that the table's nodes are in, such as europe-west1-b. Another one is another table, without what is in it. null: the region's zone b."
  type        = string
  default     = null

  validation {
    condition     = var.zone == null || try(can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone)) && startswith(var.zone, "${var.region}-"), false)
    error_message = "zone must be a zone of the region, such as europe-west1-b, or null."
  }
}

variable "name" {
  description = "Name of the table, and of its app profile; its instance and cluster are called the same with -table behind."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,22}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 24 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "families" {
  description = <<-D
    Families of columns, by name, and what Bigtable may remove of them.
    versions: all but so many newest values of a column. age_days: what is older. Neither: nothing.
    sum: columns are 64-bit sums, to which writes add.
  D
  type = map(object({
    versions = optional(number)
    age_days = optional(number)
    sum      = optional(bool, false)
  }))
  nullable = false

  validation {
    condition     = length(var.families) >= 1 && length(var.families) <= 100 && alltrue([for name in keys(var.families) : can(regex("^[a-z][a-z0-9_]{0,62}$", name))])
    error_message = "families must be 1 to 100; names are 1 to 63 small letters, digits and _, beginning with a letter."
  }

  validation {
    condition = alltrue([for f in values(var.families) :
      alltrue([for n in [f.versions, f.age_days] : n == null || try(n >= 1 && floor(n) == n, false)]) && (f.versions == null || f.age_days == null)
    ])
    error_message = "versions and age_days must be whole numbers from 1, and a family have one of them or none."
  }
}

variable "capacity" {
  description = "Nodes of the table, scaled between minimum and maximum to the given use of their processors in percent. A node does some 10,000 reads or writes of 1 KB a second."
  type = object({
    min_nodes   = number
    max_nodes   = number
    utilization = optional(number, 60)
  })
  default  = { min_nodes = 1, max_nodes = 10 }
  nullable = false

  validation {
    condition = (
      alltrue([for n in [var.capacity.min_nodes, var.capacity.max_nodes, var.capacity.utilization] : floor(n) == n]) &&
      var.capacity.min_nodes >= 1 && var.capacity.max_nodes >= var.capacity.min_nodes && var.capacity.max_nodes <= 10 * var.capacity.min_nodes &&
      var.capacity.utilization >= 10 && var.capacity.utilization <= 80
    )
    error_message = "capacity needs whole numbers: a minimum of at least 1 node, a maximum of at most ten times that, and a utilization from 10 to 80 percent."
  }
}

variable "recovery_days" {
  description = "How many days back the table can be restored to a day of: it is backed up daily. 0: not at all."
  type        = number
  default     = 35
  nullable    = false

  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 3 && var.recovery_days <= 90 && floor(var.recovery_days) == var.recovery_days)
    error_message = "recovery_days must be a whole number from 3 to 90, or 0 for none."
  }
}

variable "deletion_protection" {
  description = "Whether deleting the table is refused."
  type        = bool
  default     = true
  nullable    = false
}

variable "encryption_key" {
  description = "Name of your own KMS key, in the table's region; Bigtable's service agent must be allowed to use it. Another one is another table, without what is in it. null: a key of Google's, which costs nothing."
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
