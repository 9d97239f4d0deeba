# A copy of all enriched events in BigQuery, for whatever comes later. Off unless asked for: erasing a person does not
# reach into it, so what is in it has to go by itself, after expire_days.

variable "archive" {
  description = "Whether enriched events are kept in BigQuery, and for how many days. null: no archive."
  type = object({
    expire_days = optional(number, 30)
  })
  default = null

  validation {
    condition     = var.archive == null || try(var.archive.expire_days >= 1 && floor(var.archive.expire_days) == var.archive.expire_days, false)
    error_message = "archive.expire_days must be a whole number from 1: erasing a person does not reach into the archive."
  }
}

module "archive" {
  source = "../../modules/gcp/archive"
  count  = var.archive == null ? 0 : 1

  account             = var.account
  project_number      = var.project_number
  region              = var.region
  name                = "${var.name}-archive"
  stream              = "${var.name}-rows"
  expire_days         = var.archive.expire_days
  deletion_protection = var.deletion_protection
  encryption_key      = var.encryption_key
  labels              = local.labels

  depends_on = [google_project_service.this]
}

output "archive_table" {
  description = "Table of BigQuery with the enriched events, as project.dataset.table; null without an archive."
  value       = one(module.archive[*].table)
}
