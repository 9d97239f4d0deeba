variable "account" {
  description = "Project that the streams are in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "project_number" {
  description = "Number of that project, of which a pool of identities is called."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]{4,18}$", var.project_number))
    error_message = "project_number must be the project's number (gcloud projects describe PROJECT)."
  }
}

variable "name" {
  description = "Name of the install; the pool is called so, with -peer behind, and the service accounts, with the function behind that."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,16}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 18 small letters, digits and -, beginning with a letter and not ending with -: a service account's is at most 30."
  }
}

variable "callers" {
  description = "Who may publish, by function of the other cloud: ARNs of the roles that beacon and relay run as, of one account."
  type        = object({ beacon = string, relay = string })
  nullable    = false

  validation {
    condition = (
      alltrue([for c in values(var.callers) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_-]+$", c))]) &&
      var.callers.beacon != var.callers.relay && length(distinct([for c in values(var.callers) : try(split(":", c)[4], "")])) == 1
    )
    error_message = "callers must be the ARNs of two roles of one account: arn:aws:iam::123456789012:role/hito-beacon-eu-west-1."
  }
}

variable "streams" {
  description = "What each may publish on: projects/P/topics/T."
  type        = object({ beacon = string, relay = string })
  nullable    = false

  validation {
    condition     = alltrue([for s in values(var.streams) : can(regex("^projects/[^/]+/topics/[^/]+$", s))])
    error_message = "streams must be topics, as projects/P/topics/T."
  }
}
