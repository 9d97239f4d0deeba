# A copy of all enriched events in a bucket, for whatever comes later. Off unless asked for: erasing a person does not reach
# into it, so what is in it has to go by itself, after expire_days.

variable "archive" {
  description = "Whether enriched events are kept in a bucket, and for how many days; after archive_days they move to a cheaper class (null: never). null: no archive."
  type = object({
    expire_days  = optional(number, 30)
    archive_days = optional(number)
  })
  default = null

  validation {
    condition     = var.archive == null || try(var.archive.expire_days >= 1 && floor(var.archive.expire_days) == var.archive.expire_days, false)
    error_message = "archive.expire_days must be a whole number from 1: erasing a person does not reach into the archive."
  }
}

module "archive_bucket" {
  source = "../../modules/aws/bucket"
  count  = var.archive == null ? 0 : 1

  region        = var.region
  name          = "${var.name}-archive-${var.account}-${var.region}"
  versioning    = false # an old version would outlive expire_days
  force_destroy = !var.deletion_protection
  lifecycle_rules = {
    everything = { expire_days = var.archive.expire_days, archive_days = var.archive.archive_days }
  }
  encryption_key = var.encryption_key
  labels         = local.labels
}

module "archive" {
  source = "../../modules/aws/archive"
  count  = var.archive == null ? 0 : 1

  account            = var.account
  region             = var.region
  name               = "${var.name}-archive"
  stream             = module.enriched.name
  bucket             = module.archive_bucket[0].name
  stream_key         = var.encryption_key
  encryption_key     = var.encryption_key
  log_retention_days = var.log_retention_days
  labels             = local.labels
}

output "archive_bucket" {
  description = "Name of the bucket with the enriched events, under enriched/<year>/<month>/<day>/<hour>/; null without an archive."
  value       = one(module.archive_bucket[*].name)
}
