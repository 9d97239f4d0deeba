# A database of documents found by name, in collections, some of which expire: Firestore, in native mode. Nothing is paid for that does not happen.

locals {
  database = "${var.name}-table" # four characters at least
  # Made of what is known before anything exists, so that a plan shows every name in full.
  id = "projects/${var.account}/databases/${local.database}"
}

resource "google_firestore_database" "this" {
  project     = var.account
  name        = local.database
  location_id = var.region
  type        = "FIRESTORE_NATIVE"

  database_edition                  = "STANDARD"
  point_in_time_recovery_enablement = var.recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = "DELETE" # else a destroy forgets it only

  dynamic "cmek_config" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]

    content {
      kms_key_name = cmek_config.value
    }
  }
}

# Documents are found by their names: an index would only make writes slower, and cost storage.
resource "google_firestore_field" "unindexed" {
  for_each = var.collections

  project    = var.account
  database   = google_firestore_database.this.name
  collection = each.key
  field      = "*"

  index_config {}
}

# What is over goes within a day.
resource "google_firestore_field" "expires" {
  for_each = { for name, c in var.collections : name => c if c.expires != null }

  project    = var.account
  database   = google_firestore_database.this.name
  collection = each.key
  field      = each.value.expires

  index_config {}
  ttl_config {}

  # One change of a collection's fields at a time.
  depends_on = [google_firestore_field.unindexed]
}
