variable "account" {
  description = "Project that is counted: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "project_number" {
  description = "Number of that project, by which Cloud Billing knows it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]{4,18}$", var.project_number))
    error_message = "project_number must be the project's number: gcloud projects describe PROJECT --format 'value(projectNumber)'."
  }
}

variable "billing_account" {
  description = "Billing account that pays for the project: gcloud billing projects describe PROJECT --format 'value(billingAccountName)'. Who applies must be allowed to make budgets there (roles/billing.costsManager)."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account must be a billing account's id, such as 01AB23-45CD67-89EF01."
  }
}

variable "name" {
  description = "Name of the budget."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,59}$", var.name))
    error_message = "name must be 1 to 60 small letters, digits and -, beginning with a letter."
  }
}

variable "monthly" {
  description = "What a month may cost, in the billing account's currency."
  type        = number
  nullable    = false

  validation {
    condition     = var.monthly >= 1
    error_message = "monthly must be at least 1 (of the billing account's currency)."
  }
}

variable "percent" {
  description = "Shares of it to tell of, in percent: as soon as the month is forecast to come to that much, and once more when 100 are really spent."
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
    condition     = length(var.emails) >= 1 && length(var.emails) <= 5 && alltrue([for e in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", e))])
    error_message = "emails must be 1 to 5 mail addresses: a budget that tells nobody is none."
  }
}

variable "labels_counted" {
  description = "Count only what has this label, as a map of one; empty counts the whole project. Google counts by one label at most, and what has no labels, such as logs and data on their way, is not counted then."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.labels_counted) <= 1
    error_message = "labels_counted must be one label: Google counts by one at most."
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
