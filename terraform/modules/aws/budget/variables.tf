variable "name" {
  description = "Name of the budget."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.name))
    error_message = "name must be 1 to 63 small letters, digits and -, beginning with a letter."
  }
}

variable "monthly" {
  description = "What a month may cost, in US dollars."
  type        = number
  nullable    = false

  validation {
    condition     = var.monthly >= 1
    error_message = "monthly must be at least 1 (US dollar)."
  }
}

variable "percent" {
  description = "Shares of it to tell of, in percent: as soon as the month is forecast to come to that much, and once more when 100 are really spent. AWS forecasts once there are five weeks of costs."
  type        = set(number)
  default     = [50, 80, 100]
  nullable    = false

  validation {
    condition     = length(var.percent) >= 1 && length(var.percent) <= 4 && alltrue([for p in var.percent : p > 0 && p <= 1000])
    error_message = "percent must be 1 to 4 shares above 0 and up to 1000."
  }
}

variable "emails" {
  description = "Who is told, by mail."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.emails) >= 1 && length(var.emails) <= 10 && alltrue([for e in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", e))])
    error_message = "emails must be 1 to 10 mail addresses: a budget that tells nobody is none."
  }
}

variable "labels_counted" {
  description = "Count only what has these labels, as a map; empty counts the whole account. A label counts once it is activated as a cost allocation tag, in the account that pays."
  type        = map(string)
  default     = {}
  nullable    = false
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
