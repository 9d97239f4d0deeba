variable "account" {
  description = "Project that it is in, by its id."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be the id of a Google Cloud project: 6 to 30 small letters, digits and -, beginning with a letter."
  }
}

variable "region" {
  description = "Region that the functions are in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "name" {
  description = "Name of what stands in front; every resource's name begins with it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name must be 1 to 40 small letters, digits and -, beginning with a letter."
  }
}

variable "kind" {
  description = "What stands in front of the functions: \"none\" (their own URLs are public) or \"load_balancer\" (one hostname, a firewall, HTTP/3)."
  type        = string
  default     = "none"
  nullable    = false

  validation {
    condition     = contains(["none", "load_balancer"], var.kind)
    error_message = "kind must be none or load_balancer."
  }
}

variable "functions" {
  description = "The functions behind it: beacon, which takes everything that is not the profile's, and profile, which reads. url is the function's own."
  type = object({
    beacon  = object({ name = string, url = string })
    profile = object({ name = string, url = string })
  })
  nullable = false
}

variable "domain" {
  description = "Hostname to serve under. certificate is the id of one of yours (projects/P/global/sslCertificates/C, or //certificatemanager.googleapis.com/projects/P/locations/global/certificateMaps/M); null has Google make one, which it does once the hostname leads here. With a zone (the name of a Cloud DNS zone that exists already) the records are made too. ssl_policy is the id of one of yours (projects/P/global/sslPolicies/S), such as one that refuses TLS before 1.2; null is Google's default, which still takes it."
  type = object({
    name        = string
    certificate = optional(string)
    zone        = optional(string)
    ssl_policy  = optional(string)
  })
  default = null

  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain.name))
    error_message = "domain.name must be a hostname in lower case, without scheme or path."
  }

  validation {
    condition     = (var.domain != null) == (var.kind == "load_balancer")
    error_message = "A load balancer needs a domain: it has no hostname of its own. Without one, leave domain out."
  }
}

variable "firewall" {
  description = "Id of the security policy before the functions (module firewall); null for none."
  type        = string
  default     = null

  validation {
    condition     = var.firewall == null || var.kind == "load_balancer"
    error_message = "firewall must be null unless kind is load_balancer: Cloud Armor stands before nothing else here."
  }
}

variable "log_sample" {
  description = "Share of requests that are logged, from 0 (none) to 1."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.log_sample >= 0 && var.log_sample <= 1
    error_message = "log_sample must be from 0 to 1."
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
