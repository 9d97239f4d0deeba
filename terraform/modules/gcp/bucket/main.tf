# A private bucket of objects, and the objects that are part of the install: Cloud Storage.

resource "google_storage_bucket" "this" {
  project       = var.account
  name          = var.name
  location      = upper(var.region)
  force_destroy = var.force_destroy
  labels        = var.labels

  # No ACLs at all, and nobody can be given what everybody would have.
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = var.versioning
  }

  dynamic "encryption" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  # What an upload that broke off has left is paid for until somebody removes it.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  dynamic "lifecycle_rule" {
    for_each = local.rules

    content {
      action {
        type          = lifecycle_rule.value.type
        storage_class = lifecycle_rule.value.class
      }
      condition {
        age                        = lifecycle_rule.value.age
        days_since_noncurrent_time = lifecycle_rule.value.old
        matches_prefix             = lifecycle_rule.value.prefix == "" ? null : [lifecycle_rule.value.prefix]
        with_state                 = lifecycle_rule.value.old == null ? "LIVE" : "ARCHIVED"
      }
    }
  }
}

# One rule here does one thing.
locals {
  rules = concat(
    [for r in values(var.lifecycle_rules) : { type = "SetStorageClass", class = r.archive_class, age = r.archive_days, old = null, prefix = r.prefix } if r.archive_days != null],
    [for r in values(var.lifecycle_rules) : { type = "Delete", class = null, age = r.expire_days, old = null, prefix = r.prefix } if r.expire_days != null],
    [for r in values(var.lifecycle_rules) : { type = "Delete", class = null, age = null, old = r.expire_old_versions_days, prefix = r.prefix } if r.expire_old_versions_days != null],
  )
}

resource "google_storage_bucket_object" "this" {
  for_each = var.objects

  bucket       = google_storage_bucket.this.name
  name         = each.key
  content      = each.value.content
  content_type = each.value.content_type
}
