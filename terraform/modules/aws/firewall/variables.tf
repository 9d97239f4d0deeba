variable "name" {
  description = "Name of the web ACL."
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
    condition     = var.requests_per_address >= 100 && var.requests_per_address <= 2000000000 && floor(var.requests_per_address) == var.requests_per_address
    error_message = "requests_per_address must be a whole number from 100 to 2,000,000,000."
  }
}

variable "common_rules" {
  description = "What AWS' common rule set does: off, count (report only) or block."
  type        = string
  default     = "count"
  nullable    = false

  validation {
    condition     = contains(["off", "count", "block"], var.common_rules)
    error_message = "common_rules must be off, count or block."
  }
}

variable "only_count" {
  description = "Rules of the common rule set that never block: a beacon carries a page's title and address, has a body beyond 8 KB at times, and may come from a server without a user agent."
  type        = set(string)
  default = [
    "SizeRestrictions_BODY", "SizeRestrictions_QUERYSTRING", "SizeRestrictions_Cookie_HEADER", "NoUserAgent_HEADER",
    "CrossSiteScripting_BODY", "CrossSiteScripting_QUERYARGUMENTS", "CrossSiteScripting_COOKIE",
    "GenericLFI_BODY", "GenericLFI_QUERYARGUMENTS", "GenericRFI_BODY", "GenericRFI_QUERYARGUMENTS",
    "EC2MetaDataSSRF_BODY", "EC2MetaDataSSRF_QUERYARGUMENTS",
  ]
  nullable = false
}

variable "log_retention_days" {
  description = "How many days the log of what was blocked or counted is kept. It holds addresses and paths, without queries and keys."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
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
