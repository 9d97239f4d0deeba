# A whole install of hito on AWS.
#
#   browser / SDK ──▶ beacon ──▶ [raw] ──▶ enrich ──▶ [enriched] ──▶ score ──▶ table ──▶ profile ──▶ reader
#                                                                      └──▶ actions

locals {
  labels = merge(var.labels, { install = var.name })
}

module "raw" {
  source = "../../modules/aws/stream"

  account         = var.account
  region          = var.region
  name            = "${var.name}-raw"
  shards          = try(var.shards.raw, null)
  retention_hours = var.retention_hours
  consumers       = var.fan_out ? ["enrich"] : []
  encryption_key  = var.encryption_key
  labels          = local.labels
}

module "enriched" {
  source = "../../modules/aws/stream"

  account         = var.account
  region          = var.region
  name            = "${var.name}-enriched"
  shards          = try(var.shards.enriched, null)
  retention_hours = var.retention_hours
  consumers       = var.fan_out ? ["score"] : []
  encryption_key  = var.encryption_key
  labels          = local.labels
}

# Fragments, ledger and quarantine; only entries of the quarantine have the index's attributes.
module "table" {
  source = "../../modules/aws/table"

  account             = var.account
  region              = var.region
  name                = var.name
  key                 = "pk"
  indexes             = { quarantine = { key = "q", sort = "at" } }
  expiry              = "ttl"
  capacity            = var.table_capacity
  limits              = var.table_limits
  deletion_protection = var.deletion_protection
  encryption_key      = var.encryption_key
  labels              = local.labels
}

# Where a record stands that a function gave up on. The same function is called with it once more, alone.
module "redrive" {
  source   = "../../modules/aws/queue"
  for_each = toset(["enrich", "score"])

  account            = var.account
  region             = var.region
  name               = "${var.name}-${each.key}-redrive"
  retention_hours    = min(var.retention_hours, 336) # a position outlives its record by nothing
  visibility_seconds = 6 * local.size[each.key].timeout_seconds
  max_deliveries     = 10
  encryption_key     = var.encryption_key
  labels             = local.labels
}

# Who entered or left a segment.
module "actions" {
  source = "../../modules/aws/queue"

  account            = var.account
  region             = var.region
  name               = "${var.name}-actions"
  retention_hours    = 96
  visibility_seconds = 180
  max_deliveries     = 10
  encryption_key     = var.encryption_key
  labels             = local.labels
}
