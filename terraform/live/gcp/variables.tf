# What a first install must say: where.

variable "account" {
  description = "Project to install in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "project_number" {
  description = "Number of that project, of which Google's service agents and the functions' addresses are called: gcloud projects describe PROJECT --format 'value(projectNumber)'."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]{4,18}$", var.project_number))
    error_message = "project_number must be the project's number: gcloud projects describe PROJECT --format 'value(projectNumber)'."
  }
}

variable "region" {
  description = "Region to install in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

# What everything is called.

variable "name" {
  description = "Name of the install: everything is called so, with what it is behind. Two installs in a project need two, whatever their regions."
  type        = string
  default     = "hito"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name)) && !startswith(var.name, "goog")
    error_message = "name must be 2 to 20 small letters, digits and -, beginning with a letter, not with goog, and not ending with -."
  }
}

variable "labels" {
  description = "Labels of everything, besides install."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.labels) <= 59 && !contains(keys(var.labels), "install") && alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v)) && !startswith(k, "goog")])
    error_message = "labels must be at most 59, keys and values of up to 63 small letters, digits, _ and -; keys begin with a letter, and not with goog, and none is install."
  }
}

# What runs.

variable "artifacts_dir" {
  description = "Folder with the functions' zips, which make package makes; not needed for those that have an image."
  type        = string
  default     = "../../../dist/gcp"
  nullable    = false

  validation {
    condition     = alltrue([for f in concat(["beacon", "enrich", "score", "profile"], var.peer == null ? [] : ["relay"]) : try(var.functions[f].image, null) != null || fileexists("${var.artifacts_dir}/${f}.zip")])
    error_message = "${join(", ", [for f in concat(["beacon", "enrich", "score", "profile"], var.peer == null ? [] : ["relay"]) : "${f}.zip" if try(var.functions[f].image, null) == null && !fileexists("${var.artifacts_dir}/${f}.zip")])} not found in ${var.artifacts_dir}: run make package first, or set artifacts_dir to where its output is."
  }
}

variable "functions" {
  description = "What of functions shall differ from the defaults, by name: beacon, enrich, score, profile, relay. concurrency: most calls at a time; requests_per_instance: of these in one instance. billing: request (while called) or instance (while there, for load that stays). warm_instances: kept warm, paid for idle too. image: address of an image of your own, instead of one built of the zip. workers (enrich, score; with an image): so many instances pull messages, instead of having them pushed. canary: a share (weight) of calls for the version deployed last, the rest for stable_version."
  type = map(object({
    image                 = optional(string)
    memory_mb             = optional(number)
    cpu                   = optional(number)
    timeout_seconds       = optional(number)
    concurrency           = optional(number)
    requests_per_instance = optional(number)
    warm_instances        = optional(number)
    billing               = optional(string)
    workers               = optional(number)
    canary                = optional(object({ stable_version = string, weight = number }))
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for f in keys(var.functions) : contains(["beacon", "enrich", "score", "profile", "relay"], f)])
    error_message = "functions may name beacon, enrich, score, profile and relay."
  }

  validation {
    condition     = alltrue([for f, s in var.functions : s.timeout_seconds == null || try(s.timeout_seconds <= 300, false)])
    error_message = "timeout_seconds must be at most 300: clients wait for it."
  }

  validation {
    condition     = alltrue([for f, s in var.functions : try(s.workers > 0, false) ? contains(["enrich", "score"], f) && s.image != null : true])
    error_message = "Only enrich and score have workers, and these need an image."
  }

  validation {
    condition     = alltrue([for f, s in var.functions : try(s.workers > 0, false) ? s.canary == null : true])
    error_message = "Workers pull the whole stream with one version: no canary beside workers."
  }
}

variable "sweep" {
  description = "Whether all profiles are decided anew once an hour, so that segments follow time and new rules without events. It reads the whole table once an hour."
  type        = bool
  default     = true
  nullable    = false
}

variable "trusted_proxies" {
  description = "How many proxies of your own stand before the beacon's URL, each adding to X-Forwarded-For, besides Google's, which are counted anyway."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.trusted_proxies >= 0 && var.trusted_proxies <= 6 && floor(var.trusted_proxies) == var.trusted_proxies
    error_message = "trusted_proxies must be a whole number from 0 to 6."
  }
}

# Projects: their rules and keys.

variable "projects_dir" {
  description = "Folder with one YAML file of settings and rules per project. Its keys.yaml, if there is one, is not uploaded."
  type        = string
  default     = "../../../shared/project/sample"
  nullable    = false

  validation {
    condition     = length(setsubtract(fileset(var.projects_dir, "*.yaml"), ["keys.yaml"])) > 0
    error_message = "There is no project in ${var.projects_dir}: it needs one YAML file per project, such as shop.yaml."
  }
}

variable "write_keys" {
  description = "Public keys that events are sent with, by project."
  type        = map(list(string))
  default     = { shop = ["demo"] }
  nullable    = false

  validation {
    condition     = length(var.write_keys) > 0 && alltrue([for p, keys in var.write_keys : can(regex("^[a-z0-9][a-z0-9_-]{0,62}$", p)) && p != "keys" && length(keys) > 0])
    error_message = "write_keys must give every project a key; a project's name is 1 to 63 small letters, digits, - and _, beginning with a letter or digit, and not keys."
  }

  validation {
    condition     = length(flatten(values(var.write_keys))) == length(distinct(flatten(values(var.write_keys)))) && alltrue([for k in flatten(values(var.write_keys)) : length(trimspace(k)) > 0])
    error_message = "Every one of write_keys must be used once, and none be empty."
  }

  validation {
    condition     = alltrue([for p in keys(var.write_keys) : fileexists("${var.projects_dir}/${p}.yaml")])
    error_message = "${join(", ", [for p in keys(var.write_keys) : "${p}.yaml" if !fileexists("${var.projects_dir}/${p}.yaml")])} not found in ${var.projects_dir}: every project in write_keys needs its file there."
  }
}

variable "secret_keys" {
  description = "Secret keys that profiles are read and erased with, by project: without one a project's profiles cannot be read. They go to the secret by a write-only argument, so that the state does not have them; a plan that is saved does, as it has all variables. To keep them from Terraform altogether leave them out, and add them to the secret: see next_steps."
  type        = map(list(string))
  default     = {}
  nullable    = false
  sensitive   = true

  validation {
    condition     = alltrue([for p, keys in var.secret_keys : contains(keys(var.write_keys), p) && alltrue([for k in keys : length(k) >= 8])])
    error_message = "secret_keys must be of projects that are in write_keys too, and each at least 8 characters long."
  }
}

variable "secret_keys_version" {
  description = "Number of the secret keys: the secret is written when it is raised, and only then, with what secret_keys has. Keys that were added to the secret otherwise are out of service then."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.secret_keys_version >= 1 && floor(var.secret_keys_version) == var.secret_keys_version
    error_message = "secret_keys_version must be a whole number from 1."
  }
}

# Streams.

variable "retention_hours" {
  description = "How long the streams keep records that were handled, in hours: the time to replay. What was not is kept for a week."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.retention_hours >= 1 && var.retention_hours <= 744 && floor(var.retention_hours) == var.retention_hours
    error_message = "retention_hours must be a whole number from 1 to 744 (31 days)."
  }
}

variable "max_deliveries" {
  description = "About how often a message is delivered, seconds to ten minutes apart, before it is given up to the function's dead letters: 30 is some four hours. It bounds what waits, since the function or its table is out of reach; what can never succeed goes into quarantine at once."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.max_deliveries >= 5 && var.max_deliveries <= 100 && floor(var.max_deliveries) == var.max_deliveries
    error_message = "max_deliveries must be a whole number from 5 to 100."
  }
}

# Table.

variable "store" {
  description = "What keeps profiles, ledger and quarantine: bigtable, which costs some $475 a month at least, or firestore, which costs by what happens: less below some 50 events a second, and more above. What is in one does not move to the other."
  type        = string
  default     = "bigtable"
  nullable    = false

  validation {
    condition     = contains(["bigtable", "firestore"], var.store)
    error_message = "store must be bigtable or firestore."
  }
}

variable "zone" {
  description = "Zone of the region that the table's nodes are in, such as europe-west1-b. It cannot be changed later: the table would be another. null: the region's zone b."
  type        = string
  default     = null

  validation {
    condition     = var.zone == null || try(can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone)) && startswith(var.zone, "${var.region}-"), false)
    error_message = "zone must be a zone of the region, such as europe-west1-b, or null."
  }
}

variable "table_capacity" {
  description = "Nodes of the table, scaled between minimum and maximum to the given use of their processors in percent."
  type = object({
    min_nodes   = number
    max_nodes   = number
    utilization = optional(number, 60)
  })
  default  = { min_nodes = 1, max_nodes = 10 }
  nullable = false

  validation {
    condition = (
      alltrue([for n in [var.table_capacity.min_nodes, var.table_capacity.max_nodes, var.table_capacity.utilization] : floor(n) == n]) &&
      var.table_capacity.min_nodes >= 1 && var.table_capacity.max_nodes >= var.table_capacity.min_nodes && var.table_capacity.max_nodes <= 10 * var.table_capacity.min_nodes &&
      var.table_capacity.utilization >= 10 && var.table_capacity.utilization <= 80
    )
    error_message = "table_capacity needs whole numbers: a minimum of at least 1 node, a maximum of at most ten times that, and a utilization from 10 to 80 percent."
  }
}

variable "deletion_protection" {
  description = "Whether destroying the install fails while there are profiles and rules to lose. Set it to false, apply, then destroy."
  type        = bool
  default     = true
  nullable    = false
}

# Safety.

variable "encryption_key" {
  description = "Name of your own KMS key, in the install's region, for everything stored there; the service agents of Pub/Sub, Bigtable or Firestore, Cloud Storage, Secret Manager, Artifact Registry, Cloud Run and, with an archive, BigQuery must be allowed to use it: see docs/deploy-gcp.md. It cannot be changed later, nor given: the table would be another. null: keys of Google's, which cost nothing."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key must be the name of a KMS key (projects/P/locations/L/keyRings/R/cryptoKeys/K), or null."
  }
}
