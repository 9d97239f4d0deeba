# Two clouds as one: a whole install on each, either of which may die.
#
#            ┌──▶ beacon ──▶ [raw] ──▶ enrich ──▶ [enriched] ──▶ score ──▶ table ──▶ profile    AWS
#            │        ╲     ╱                        │    ▲
# DNS ───────┤         ╲   ╱                         │    │
# by weight  │          ╲ ╱  fail-over          relay│    │relay
# and health │          ╱ ╲                          │    │
#            │         ╱   ╲                         ▼    │
#            └──▶ beacon ──▶ [raw] ──▶ enrich ──▶ [enriched] ──▶ score ──▶ table ──▶ profile    Google Cloud
#
# Each install is the same as live/aws and live/gcp alone, and can be applied so: what one must know of the other is the output peer,
# plain strings. Here both are one state and one apply.

module "aws" {
  source = "../aws"

  account              = var.aws.account
  region               = var.aws.region
  name                 = var.name
  labels               = var.labels
  peer                 = module.gcp.peer
  relay_limit          = var.relay_limit
  projects_dir         = var.projects_dir
  write_keys           = var.write_keys
  secret_keys          = var.secret_keys
  secret_keys_version  = var.secret_keys_version
  generate_secret_keys = nonsensitive(length(var.secret_keys) == 0)
  artifacts_dir        = "${var.artifacts_dir}/aws"
  retention_hours      = var.aws.retention_hours
  shards               = var.aws.shards
  table_capacity       = var.aws.table_capacity
  thresholds           = var.aws.thresholds
  quiet                = var.aws.quiet
  functions            = var.aws.functions
  runbooks             = var.runbooks
  encryption_key       = var.aws.encryption_key
  archive              = var.aws.archive
  budget               = var.aws.budget
  notify               = var.notify
  deletion_protection  = var.deletion_protection

  edge = {
    kind   = var.domain == null ? "none" : "cloudfront"
    domain = var.domain == null ? null : { name = var.domain.name, certificate = module.certificate_aws[0].arn }
  }
}

module "gcp" {
  source = "../gcp"

  account             = var.gcp.account
  project_number      = var.gcp.project_number
  region              = var.gcp.region
  name                = var.name
  labels              = var.labels
  peer                = module.aws.peer
  relay_limit         = var.relay_limit
  projects_dir        = var.projects_dir
  write_keys          = var.write_keys
  secret_keys         = var.secret_keys
  secret_keys_version = var.secret_keys_version
  artifacts_dir       = "${var.artifacts_dir}/gcp"
  retention_hours     = var.gcp.retention_hours
  table_capacity      = var.gcp.table_capacity
  thresholds          = var.gcp.thresholds
  quiet               = var.gcp.quiet
  store               = var.gcp.store
  functions           = var.gcp.functions
  runbooks            = var.runbooks
  encryption_key      = var.gcp.encryption_key
  archive             = var.gcp.archive
  budget              = var.gcp.budget
  notify              = var.notify
  deletion_protection = var.deletion_protection

  edge = {
    kind   = var.domain == null ? "none" : "load_balancer"
    close  = var.gcp.close
    domain = var.domain == null ? null : { name = var.domain.name, certificate = module.certificate_gcp[0].id }
  }
}
