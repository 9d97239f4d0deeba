# The other cloud, when there is one. beacon publishes there what its own stream refuses; relay ships there what is enriched here;
# and the other cloud's do the same here.

variable "peer" {
  description = <<-E
    The other cloud's install, as its output peer tells: streams (raw, enriched: ARNs of Kinesis streams), identities (who beacon and
    relay of here are there: ARNs of roles) and callers (who beacon and relay of there are: ARNs of roles). null: there is none.
  E
  type = object({
    streams    = object({ raw = string, enriched = string })
    identities = object({ beacon = string, relay = string })
    callers    = object({ beacon = string, relay = string })
  })
  default = null

  validation {
    condition     = var.peer == null || alltrue([for s in try(values(var.peer.streams), []) : can(regex("^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/[A-Za-z0-9_.-]+$", s))])
    error_message = "peer.streams must be ARNs of Kinesis streams: see the output peer of live/aws."
  }

  validation {
    condition     = var.peer == null || alltrue([for r in try(values(var.peer.identities), []) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_-]+$", r))])
    error_message = "peer.identities must be ARNs of roles: see the output peer of live/aws."
  }

  validation {
    condition     = var.peer == null || length(var.name) <= 18
    error_message = "With another cloud, name must be at most 18 characters: a service account's name is at most 30."
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
    HITO_PEER_REGION   = split(":", var.peer.streams[stream])[3]
  } }

  # Made of names, so that who needs to know waits for nothing.
  peer_provider = "//iam.googleapis.com/projects/${var.project_number}/locations/global/workloadIdentityPools/${var.name}-peer/providers/aws"
}

# What others show who they are, to be let in.
resource "google_project_service" "peer" {
  for_each = toset(var.peer == null ? [] : ["iamcredentials", "sts"])

  project            = var.account
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

module "peer" {
  source = "../../modules/gcp/peer"
  count  = var.peer == null ? 0 : 1

  account        = var.account
  project_number = var.project_number
  name           = var.name
  callers        = var.peer.callers
  streams        = { beacon = module.raw.id, relay = module.enriched.id }

  depends_on = [google_project_service.this, google_project_service.peer]
}

module "relay" {
  source = "../../modules/gcp/function"
  count  = var.peer == null ? 0 : 1

  account               = var.account
  project_number        = var.project_number
  region                = var.region
  name                  = "${var.name}-relay"
  description           = "Ships what is enriched here to the other cloud."
  target                = "relay"
  package               = local.size.relay.image == null ? "${var.artifacts_dir}/relay.zip" : null
  build                 = local.build
  built                 = try(terraform_data.build["relay"].id, null)
  image                 = local.size.relay.image
  memory_mb             = local.size.relay.memory_mb
  cpu                   = local.size.relay.cpu
  timeout_seconds       = local.size.relay.timeout_seconds
  concurrency           = local.size.relay.concurrency
  requests_per_instance = local.size.relay.requests_per_instance
  billing               = local.size.relay.billing
  warm_instances        = local.size.relay.warm_instances
  canary                = local.size.relay.canary
  encryption_key        = var.encryption_key
  labels                = local.labels

  environment = merge(local.pushed, local.peered.relay, {
    HITO_LOG           = "json"
    HITO_PUSH_AUDIENCE = "${var.name}-relay"
    HITO_RELAY_LIMIT   = tostring(var.relay_limit)
  })

  push_account = local.push_account

  # It holds its place while the other cloud is away, for as long as a subscription can: what is given up would be missing there.
  stream_triggers = {
    enriched = { stream = module.enriched.id, subscription = "${module.enriched.name}-relay", retention_hours = 744, gives_up = false }
  }

  depends_on = [google_project_service.this, google_service_account_iam_member.push]
}

output "peer" {
  description = "What the other cloud's install takes as peer, once this one has its own: until then relay has no service account, and this is null."
  value = var.peer == null ? null : {
    streams    = { raw = "projects/${var.account}/topics/${var.name}-raw", enriched = "projects/${var.account}/topics/${var.name}-enriched" }
    identities = { for f in ["beacon", "relay"] : f => "${local.peer_provider}#${var.name}-peer-${f}@${var.account}.iam.gserviceaccount.com" }
    callers    = { beacon = module.beacon.service_account_subject, relay = module.relay[0].service_account_subject }
  }
}
