variable "account" {
  description = "Account that the table is in: 12 digits."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the 12 digits of an AWS account id."
  }
}

variable "region" {
  description = "Region that the table is in, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name of the table."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,62}$", var.name))
    error_message = "name must be 3 to 63 small letters, digits and -, beginning with a letter."
  }
}

variable "key" {
  description = "Attribute that an item is found by: a string."
  type        = string
  default     = "pk"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.key))
    error_message = "key must be 1 to 63 small letters, digits and _, beginning with a letter."
  }
}

variable "indexes" {
  description = "Further ways to find items, by name: the attribute they are found by and, optional, the one they are sorted by (both strings). An index has the items that have these attributes."
  type = map(object({
    key  = string
    sort = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.indexes) <= 20 && alltrue([for name, i in var.indexes : can(regex("^[a-z][a-z0-9-]{2,62}$", name)) && can(regex("^[a-z][a-z0-9_]{0,62}$", i.key)) && (i.sort == null || can(regex("^[a-z][a-z0-9_]{0,62}$", i.sort)))])
    error_message = "indexes must be at most 20; names are 3 to 63 small letters, digits and -, attributes 1 to 63 small letters, digits and _, all beginning with a letter."
  }
}

variable "expiry" {
  description = "Attribute that holds when an item may be deleted, in seconds since 1970. null: nothing is deleted."
  type        = string
  default     = "ttl"

  validation {
    condition     = var.expiry == null || can(regex("^[a-z][a-z0-9_]{0,62}$", var.expiry))
    error_message = "expiry must be 1 to 63 small letters, digits and _, beginning with a letter, or null."
  }
}

variable "capacity" {
  description = "Provisioned capacity units per second, of the table and of each index, scaled between minimum and maximum to the given utilization in percent. null: on demand."
  type = object({
    read_min    = number
    read_max    = number
    write_min   = number
    write_max   = number
    utilization = optional(number, 70)
  })
  default = null

  validation {
    condition = var.capacity == null || try(
      var.capacity.read_min >= 1 && var.capacity.read_max >= var.capacity.read_min &&
      var.capacity.write_min >= 1 && var.capacity.write_max >= var.capacity.write_min &&
    var.capacity.utilization >= 20 && var.capacity.utilization <= 90, false)
    error_message = "capacity needs minima of at least 1, maxima that are not below them, and a utilization from 20 to 90 percent; or null for on demand."
  }
}

variable "limits" {
  description = "Most request units per second that an on-demand table and each of its indexes may use, so that a flood has a price limit. null: the account's limit."
  type = object({
    read  = number
    write = number
  })
  default = null

  validation {
    condition     = var.limits == null || try(var.limits.read >= 1 && var.limits.write >= 1, false)
    error_message = "limits must be at least 1, or null."
  }
}

variable "recovery_days" {
  description = "How many days back the table can be restored to any second of. 0: not at all."
  type        = number
  default     = 35
  nullable    = false

  validation {
    condition     = var.recovery_days >= 0 && var.recovery_days <= 35 && floor(var.recovery_days) == var.recovery_days
    error_message = "recovery_days must be a whole number from 1 to 35, or 0 for none."
  }
}

variable "deletion_protection" {
  description = "Whether deleting the table is refused."
  type        = bool
  default     = true
  nullable    = false
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
