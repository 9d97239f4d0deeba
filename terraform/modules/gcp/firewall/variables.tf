variable "account" {
  description = "Project that it is in, by its id."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be the id of a Google Cloud project: 6 to 30 small letters, digits and -, beginning with a letter."
  }
}

variable "name" {
  description = "Name of the security policy."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name must be 1 to 40 small letters, digits and -, beginning with a letter."
  }
}

variable "requests_per_address" {
  description = "Requests that one address may send in five minutes. A whole office, or many customers of a mobile carrier, may share one."
  type        = number
  default     = 10000
  nullable    = false

  validation {
    condition     = var.requests_per_address >= 100 && var.requests_per_address <= 1000000 && floor(var.requests_per_address) == var.requests_per_address
    error_message = "requests_per_address must be a whole number from 100 to 1,000,000."
  }
}

variable "common_rules" {
  description = "What Google's preconfigured rules do: off, count (report only) or block."
  type        = string
  default     = "count"
  nullable    = false

  validation {
    condition     = contains(["off", "count", "block"], var.common_rules)
    error_message = "common_rules must be off, count or block."
  }
}

variable "labels" {
  description = "Labels of everything here."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.labels) <= 40 && alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "labels must be at most 40, keys and values of up to 63 small letters, digits, _ and -, and keys begin with a letter."
  }
}
