# A table of rows found by one key, with families of columns that expire, and backups: Bigtable, an instance of its own.

locals {
  instance = "${var.name}-table"                   # six characters at least
  opener   = "${replace(var.name, "-", "_")}_open" # a role's ID has no hyphens
  # Made of what is known before anything exists, so that a plan shows every name in full.
  id = "projects/${var.account}/instances/${local.instance}/tables/${var.name}"
}

resource "google_bigtable_instance" "this" {
  project             = var.account
  name                = local.instance
  display_name        = local.instance
  deletion_protection = var.deletion_protection
  force_destroy       = !var.deletion_protection # with its backups, which otherwise hold it
  labels              = var.labels

  cluster {
    cluster_id   = local.instance
    zone         = coalesce(var.zone, "${var.region}-b")
    storage_type = "SSD"
    kms_key_name = var.encryption_key

    autoscaling_config {
      min_nodes  = var.capacity.min_nodes
      max_nodes  = var.capacity.max_nodes
      cpu_target = var.capacity.utilization
    }
  }
}

# Every write depends on what is stored, which Bigtable does in one cluster only.
resource "google_bigtable_app_profile" "this" {
  project        = var.account
  instance       = google_bigtable_instance.this.name
  app_profile_id = var.name
  description    = "One cluster, so that a write may depend on what is stored."
  # Else Google refuses to change or delete a profile that was used lately.
  ignore_warnings = true

  single_cluster_routing {
    cluster_id                 = local.instance
    allow_transactional_writes = true
  }
}

# A client pings the instance for every connection that it opens, and fails where it may not. No role of Google's gives
# that and nothing else. https://cloud.google.com/bigtable/docs/access-control#permissions
resource "google_project_iam_custom_role" "open" {
  project     = var.account
  role_id     = local.opener
  title       = "Open connections to ${local.instance}"
  permissions = ["bigtable.instances.ping"]
}

resource "google_bigtable_table" "this" {
  project             = var.account
  instance_name       = google_bigtable_instance.this.name
  name                = var.name
  deletion_protection = var.deletion_protection ? "PROTECTED" : "UNPROTECTED"

  dynamic "column_family" {
    for_each = var.families

    content {
      family = column_family.key
      type   = column_family.value.sum ? "intsum" : null
    }
  }

  dynamic "automated_backup_policy" {
    for_each = var.recovery_days == 0 ? [] : [var.recovery_days]

    content {
      frequency        = "24h0m0s"
      retention_period = "${automated_backup_policy.value * 24}h0m0s"
    }
  }
}

# A family without a policy keeps everything.
resource "google_bigtable_gc_policy" "this" {
  for_each = { for name, family in var.families : name => family if family.versions != null || family.age_days != null }

  project       = var.account
  instance_name = google_bigtable_instance.this.name
  table         = google_bigtable_table.this.name
  column_family = each.key

  dynamic "max_version" {
    for_each = each.value.versions == null ? [] : [each.value.versions]

    content {
      number = max_version.value
    }
  }

  dynamic "max_age" {
    for_each = each.value.age_days == null ? [] : [each.value.age_days]

    content {
      duration = "${max_age.value * 24}h"
    }
  }
}
