variable "name" {
  description = "Name that every health check begins with."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name must be 1 to 40 small letters, digits and -, beginning with a letter."
  }
}

variable "zone" {
  description = "Id of the Route 53 zone that the hostname is in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^Z[A-Z0-9]{1,31}$", var.zone))
    error_message = "zone must be the id of a Route 53 zone: Z0123456789."
  }
}

variable "hostname" {
  description = "Hostname that leads to one of the targets, such as t.shop.example."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.hostname))
    error_message = "hostname must be a hostname in lower case, without scheme or path."
  }
}

variable "targets" {
  description = "Where it leads, by cloud: weight (0 to 255), and either alias, the name of what AWS has there and its zone, or ipv4 and ipv6, addresses that serve the hostname."
  type = map(object({
    weight = number
    alias  = optional(object({ name = string, zone = string }))
    ipv4   = optional(string)
    ipv6   = optional(string)
  }))
  nullable = false

  validation {
    condition     = length(var.targets) > 0 && alltrue([for t in var.targets : t.weight >= 0 && t.weight <= 255 && floor(t.weight) == t.weight]) && anytrue([for t in var.targets : t.weight > 0])
    error_message = "targets must have weights that are whole numbers from 0 to 255, and not all 0: Route 53 would weigh all the same."
  }

  validation {
    condition     = alltrue([for t in var.targets : t.alias == null ? t.ipv4 != null && t.ipv6 != null : t.ipv4 == null && t.ipv6 == null])
    error_message = "Every one of targets must have an alias, or an ipv4 and an ipv6."
  }
}

variable "health_path" {
  description = "Path that a target must answer with 2xx or 3xx, without being asked for a key. It must not end with z: what does, such as /healthz, Cloud Run answers itself, with 404."
  type        = string
  default     = "/health"
  nullable    = false

  validation {
    # https://cloud.google.com/run/docs/known-issues#ah
    condition     = startswith(var.health_path, "/") && !endswith(var.health_path, "z")
    error_message = "health_path must begin with /, and not end with z, which Cloud Run keeps for itself."
  }
}

variable "ttl_seconds" {
  description = "How long a client may keep an answer: as long as that it still goes to a cloud that is lost. Shorter asks Route 53 more often, which is paid for by the question, and many resolvers keep an answer for a minute whatever it says."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.ttl_seconds >= 10 && var.ttl_seconds <= 3600 && floor(var.ttl_seconds) == var.ttl_seconds
    error_message = "ttl_seconds must be a whole number from 10 to 3600."
  }
}

variable "proofs" {
  description = "Records that show others whose the hostname is, by a name of your choice: name, type and value."
  type        = map(object({ name = string, type = string, value = string }))
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
