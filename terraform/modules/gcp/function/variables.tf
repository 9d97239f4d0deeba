variable "account" {
  description = "Project that the function is in: its id, such as mycompany-web."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id: 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "project_number" {
  description = "Number of that project, of which the address of the function and Pub/Sub's service agent are called."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]{4,18}$", var.project_number))
    error_message = "project_number must be the project's number (gcloud projects describe PROJECT)."
  }
}

variable "region" {
  description = "Region that the function is in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be the name of a Google Cloud region, such as europe-west1."
  }
}

variable "name" {
  description = "Name of the function; its service account is called so too, and it is the audience of tokens to call it with."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 30 small letters, digits and -, beginning with a letter and not ending with -."
  }
}

variable "description" {
  description = "What the function does."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.description) <= 256
    error_message = "description must be at most 256 characters."
  }
}

variable "target" {
  description = "Which function of the code it is: FUNCTION_TARGET."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_-]{0,62}$", var.target))
    error_message = "target must be 1 to 63 letters, digits, _ and -, beginning with a letter."
  }
}

variable "package" {
  description = "Path of the zip with the function's source. null: there is an image."
  type        = string
  default     = null

  validation {
    condition     = var.package == null || try(fileexists(var.package), false)
    error_message = "There is no file ${coalesce(var.package, "-")}: run make package first, or set where its output is."
  }

  validation {
    condition     = (var.package == null) != (var.image == null)
    error_message = "A function is of a package or of an image."
  }
}

variable "build" {
  description = <<-D
    How the package becomes an image; needed with one. bucket: name of the bucket that it is uploaded to. repository: address of the
    repository of images, as REGION-docker.pkg.dev/PROJECT/REPOSITORY. account: email of the service account that builds.
    base: stack and runtime that the image is put on, and which Google keeps up to date.
  D
  type = object({
    bucket     = string
    repository = string
    account    = string
    base       = optional(string, "google-24/runtimes/go126")
  })
  default = null

  validation {
    condition     = var.package == null || var.build != null
    error_message = "build is needed with a package."
  }

  validation {
    condition = var.build == null || try(
      can(regex("^[a-z0-9-]+-docker\\.pkg\\.dev/[^/]+/[^/]+$", var.build.repository)) && can(regex("^[^@]+@[^@]+\\.iam\\.gserviceaccount\\.com$", var.build.account)) &&
    can(regex("^google-[0-9]+(-full)?/runtimes/go[0-9]+$", var.build.base)), false)
    error_message = "build needs a repository as REGION-docker.pkg.dev/PROJECT/REPOSITORY, an account's email, and a base such as google-24/runtimes/go126."
  }
}

variable "built" {
  description = "Whatever is known once the image was built of the package, such as an id: the function waits for it."
  type        = any
  default     = null
}

variable "image" {
  description = "Address of a container image that serves the function, for Linux on amd64. null: there is a package."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("^[a-z0-9.-]+(:[0-9]+)?/[^\\s]+$", var.image))
    error_message = "image must be the address of an image, such as europe-west1-docker.pkg.dev/mycompany-web/hito/score@sha256:…, or null."
  }
}

variable "memory_mb" {
  description = "Memory of an instance in MB."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory_mb >= 512 && var.memory_mb <= 32768 && floor(var.memory_mb) == var.memory_mb
    error_message = "memory_mb must be a whole number from 512 to 32768."
  }
}

variable "cpu" {
  description = "Processors of an instance."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.cpu)
    error_message = "cpu must be 1, 2, 4, 6 or 8."
  }

  # https://cloud.google.com/run/docs/configuring/services/memory-limits
  validation {
    condition     = var.memory_mb <= 4096 * var.cpu && var.memory_mb >= (var.cpu > 4 ? 4096 : var.cpu > 2 ? 2048 : 512)
    error_message = "Cloud Run gives a processor at most 4096 MB of memory_mb, 4 processors at least 2048, and 6 or 8 at least 4096."
  }
}

variable "timeout_seconds" {
  description = "How long one call may take; HITO_TIMEOUT tells the function."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 3600 && floor(var.timeout_seconds) == var.timeout_seconds
    error_message = "timeout_seconds must be a whole number from 1 to 3600."
  }

  validation {
    condition     = length(var.stream_triggers) == 0 || try(var.timeout_seconds <= 600, true)
    error_message = "timeout_seconds must be at most 600 with a stream trigger: Pub/Sub waits no longer for an answer."
  }
}

variable "billing" {
  description = "What is paid for: request, an instance's processor while it is called, for load that comes and goes; or instance, as long as it is there and at a lower price, for load that stays."
  type        = string
  default     = "request"
  nullable    = false

  validation {
    condition     = contains(["request", "instance"], var.billing)
    error_message = "billing must be request or instance."
  }
}

variable "requests_per_instance" {
  description = "Most calls at a time that one instance has."
  type        = number
  default     = 80
  nullable    = false

  validation {
    condition     = var.requests_per_instance >= 1 && var.requests_per_instance <= 1000 && floor(var.requests_per_instance) == var.requests_per_instance
    error_message = "requests_per_instance must be a whole number from 1 to 1000."
  }
}

variable "concurrency" {
  description = "Most calls at a time, of all instances together: so there are at most concurrency / requests_per_instance of these. null: Cloud Run's own limit, 100 instances."
  type        = number
  default     = null

  validation {
    condition     = var.concurrency == null || try(var.concurrency >= 1 && floor(var.concurrency) == var.concurrency, false)
    error_message = "concurrency must be a whole number from 1, or null."
  }
}

variable "warm_instances" {
  description = "Instances kept warm, so that no call meets a cold start; paid for idle too."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.warm_instances >= 0 && floor(var.warm_instances) == var.warm_instances && (var.concurrency == null || try(var.warm_instances * var.requests_per_instance <= var.concurrency, true))
    error_message = "warm_instances must be a whole number from 0, and not more than concurrency has instances for."
  }
}

variable "workers" {
  description = "Instances of their own that pull the stream instead of having it pushed, always running and always paid for: less per message where there are many. It needs an image, and exactly one stream trigger. 0: it is pushed."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.workers >= 0 && floor(var.workers) == var.workers
    error_message = "workers must be a whole number from 0."
  }

  validation {
    condition     = var.workers == 0 || (var.image != null && length(var.stream_triggers) == 1)
    error_message = "workers need an image, since what Google builds of a package is only called, and exactly one stream trigger."
  }

  validation {
    condition     = var.workers == 0 || var.canary == null
    error_message = "workers have no canary: what pulls messages is of one version."
  }
}

variable "environment" {
  description = "Environment variables: settings only, since everybody who may read the function reads them too."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for k in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", k)) && !startswith(k, "K_") && !startswith(k, "FUNCTION_") && !startswith(k, "X_GOOGLE_") && k != "PORT"])
    error_message = "Names in environment must be capital letters, digits and _, beginning with a letter, and not PORT, nor begin with K_, FUNCTION_ or X_GOOGLE_."
  }
}

variable "permissions" {
  description = <<-D
    What the function may do, by name: one role on one thing each.
    kind and id: topic projects/P/topics/T, table projects/P/instances/I/tables/T, instance projects/P/instances/I, database projects/P/databases/D, secret projects/P/secrets/S, or bucket and its name.
    prefix: only of objects in the bucket whose names begin so.
  D
  type = map(object({
    role   = string
    kind   = string
    id     = string
    prefix = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.permissions) : can(regex("^[A-Za-z0-9]{1,64}$", name))])
    error_message = "Names of permissions must be 1 to 64 letters and digits."
  }

  validation {
    condition     = alltrue([for p in values(var.permissions) : can(regex("^(roles/[a-z]+\\.[A-Za-z.]+|projects/[^/]+/roles/[A-Za-z0-9_.]+)$", p.role)) && !endswith(lower(p.role), "admin")])
    error_message = "Every permission must be a service's role (roles/pubsub.publisher) or one of your own (projects/P/roles/R), and none an administrator's."
  }

  validation {
    condition = alltrue([for p in values(var.permissions) : try(can(regex({
      topic    = "^projects/[^/]+/topics/[^/]+$"
      table    = "^projects/[^/]+/instances/[^/]+/tables/[^/]+$"
      instance = "^projects/[^/]+/instances/[^/]+$"
      database = "^projects/[^/]+/databases/[^/]+$"
      secret   = "^projects/[^/]+/secrets/[^/]+$"
      bucket   = "^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$"
    }[p.kind], p.id)), false)])
    error_message = "Every permission must be on exactly one topic, table, instance, database, secret or bucket, by its full name."
  }

  validation {
    condition     = alltrue([for p in values(var.permissions) : p.prefix == null || p.kind == "bucket"])
    error_message = "Only a bucket has a prefix."
  }
}

variable "push_account" {
  description = "Email of the service account that messages and schedules come from, which Pub/Sub's service agent must be allowed to make tokens of; needed with triggers."
  type        = string
  default     = null

  validation {
    condition     = var.push_account != null || length(var.stream_triggers) + length(var.schedule_triggers) == 0
    error_message = "push_account is needed with triggers."
  }

  validation {
    condition     = var.push_account == null || can(regex("^[^@]+@[^@]+\\.iam\\.gserviceaccount\\.com$", var.push_account))
    error_message = "push_account must be a service account's email, or null."
  }
}

variable "stream_triggers" {
  description = <<-D
    Streams that call the function with a message at a time, by name: POST / with its data as the body, and its attributes as headers.
    stream: projects/P/topics/T. subscription: name of the subscription to make. retention_hours: how long a message waits to be handled.
    max_deliveries: about how often one is delivered, seconds to ten minutes apart, before it goes to the function's dead letters.
    These come once more, POST /dead-letter, a few times an hour; what fails even then is parked for 31 days. gives_up: whether there
    is such an end at all: without, what fails comes again until the subscription forgets it.
  D
  type = map(object({
    stream          = string
    subscription    = string
    retention_hours = optional(number, 168)
    gives_up        = optional(bool, true)
    max_deliveries  = optional(number, 30)
    enabled         = optional(bool, true)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : can(regex("^projects/[^/]+/topics/[^/]+$", t.stream)) && can(regex("^[a-z][a-z0-9-]{2,62}$", t.subscription))])
    error_message = "A stream trigger needs a stream, as projects/P/topics/T, and a subscription of 3 to 63 small letters, digits and -."
  }

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : t.retention_hours >= 1 && t.retention_hours <= 744 && floor(t.retention_hours) == t.retention_hours])
    error_message = "retention_hours of a stream trigger must be a whole number from 1 to 744 (31 days)."
  }

  validation {
    condition     = alltrue([for t in values(var.stream_triggers) : t.max_deliveries >= 5 && t.max_deliveries <= 100 && floor(t.max_deliveries) == t.max_deliveries])
    error_message = "max_deliveries of a stream trigger must be a whole number from 5 to 100."
  }
}

variable "schedule_triggers" {
  description = "Schedules that call the function, POST /<name>, by name: every so many minutes, which must part an hour, or a day, evenly."
  type = map(object({
    minutes = number
    enabled = optional(bool, true)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, t in var.schedule_triggers : can(regex("^[a-z][a-z0-9-]{0,15}$", name)) && contains([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440], t.minutes)])
    error_message = "schedule_triggers must have names of up to 16 small letters, digits and -, and minutes that part an hour or a day evenly."
  }
}

variable "url" {
  description = "Whether the function has an HTTPS address for the world. public: everybody may call it, and the function itself asks for a key; else only who is granted run.invoker otherwise. load_balancer: only by a load balancer before it. null: none, and only Pub/Sub and Cloud Scheduler of the project reach it."
  type = object({
    public        = optional(bool, true)
    load_balancer = optional(bool, false)
  })
  default = null
}

variable "canary" {
  description = "Gives the version deployed last only a share (weight, 0 to 0.99) of the calls, the rest to stable_version. null: all calls go to the version deployed last."
  type = object({
    stable_version = string
    weight         = number
  })
  default = null

  validation {
    condition     = var.canary == null || try(can(regex("^[a-z][a-z0-9-]{0,62}$", var.canary.stable_version)) && (var.canary.weight == 0 || (var.canary.weight >= 0.01 && var.canary.weight <= 0.99)), false)
    error_message = "canary needs the name of a revision as stable_version, and a weight of 0 or from 0.01 to 0.99."
  }
}

variable "encryption_key" {
  description = "Name of your own KMS key, in the function's region, of the image in Cloud Run and of messages; the service agents of Cloud Run and Pub/Sub must be allowed to use it. null: a key of Google's, which costs nothing."
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
