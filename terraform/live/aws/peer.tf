# The other cloud, when there is one. beacon publishes there what its own stream refuses; relay ships there what is enriched here;
# and the other cloud's do the same here.

variable "peer" {
  description = <<-E
    The other cloud's install, as its output peer tells: streams (raw, enriched: projects/P/topics/T), identities (who beacon and relay
    of here are there) and callers (who beacon and relay of there are: numbers of service accounts). null: there is none.
  E
  type = object({
    streams    = object({ raw = string, enriched = string })
    identities = object({ beacon = string, relay = string })
    callers    = object({ beacon = string, relay = string })
  })
  default = null

  validation {
    condition     = var.peer == null || alltrue([for s in try(values(var.peer.streams), []) : can(regex("^projects/[^/]+/topics/[^/]+$", s))])
    error_message = "peer.streams must be topics of Google Cloud, as projects/P/topics/T: see the output peer of live/gcp."
  }

  validation {
    condition     = var.peer == null || alltrue([for i in try(values(var.peer.identities), []) : can(regex("^//iam\\.googleapis\\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+#[a-z0-9-]+@[a-z0-9.-]+$", i))])
    error_message = "peer.identities must be //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/X#EMAIL: see the output peer of live/gcp."
  }
}

variable "relay_limit" {
  description = "How many events a second one instance of relay ships at most, so that what an outage has held up leaves the other cloud room for live traffic. 0: no bound."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.relay_limit >= 0 && floor(var.relay_limit) == var.relay_limit
    error_message = "relay_limit must be a whole number from 0."
  }
}

locals {
  # What the functions are told of the other cloud.
  peered = { for f, stream in { beacon = "raw", relay = "enriched" } : f => var.peer == null ? {} : {
    HITO_PEER_STREAM   = var.peer.streams[stream]
    HITO_PEER_IDENTITY = var.peer.identities[f]
  } }

  # Made of names, so that the other cloud can be told before anything exists.
  peer_partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  peer_role      = "arn:${local.peer_partition}:iam::${var.account}:role/${var.name}"
  peer_stream    = "arn:${local.peer_partition}:kinesis:${var.region}:${var.account}:stream/${var.name}"
}

module "peer" {
  source = "../../modules/aws/peer"
  count  = var.peer == null ? 0 : 1

  account        = var.account
  region         = var.region
  name           = var.name
  callers        = var.peer.callers
  streams        = { beacon = module.raw.arn, relay = module.enriched.arn }
  encryption_key = var.encryption_key
  labels         = local.labels
}

module "relay" {
  source = "../../modules/aws/function"
  count  = var.peer == null ? 0 : 1

  account            = var.account
  region             = var.region
  name               = "${var.name}-relay"
  description        = "Ships what is enriched here to the other cloud."
  package            = "${var.artifacts_dir}/relay.zip"
  memory_mb          = local.size.relay.memory_mb
  timeout_seconds    = local.size.relay.timeout_seconds
  concurrency        = local.size.relay.concurrency
  warm_instances     = local.size.relay.warm_instances
  canary             = local.size.relay.canary
  tracing            = var.tracing
  log_retention_days = var.log_retention_days
  encryption_key     = var.encryption_key
  labels             = local.labels

  environment = merge(local.peered.relay, {
    HITO_LOG         = "json"
    HITO_RELAY_LIMIT = tostring(var.relay_limit)
  })

  stream_triggers = {
    enriched = {
      stream = module.enriched.arn
      # Polled once a second, and not pushed: nobody waits for it, and a consumer of its own is paid for by the GB.
      consumer    = null
      batch_size  = 500
      parallelism = 1 # see enrich
      # It holds its place while the other cloud is away, for as long as the stream retains: what is given up would be missing there.
      gives_up = false
    }
  }
}

output "peer" {
  description = "What the other cloud's install takes as peer. It is made of names, so that it is known before anything is applied."
  value = {
    streams    = { raw = "${local.peer_stream}-raw", enriched = "${local.peer_stream}-enriched" }
    identities = { for f in ["beacon", "relay"] : f => "${local.peer_role}-peer-${f}-${var.region}" }
    callers    = { for f in ["beacon", "relay"] : f => "${local.peer_role}-${f}-${var.region}" }
  }
}
