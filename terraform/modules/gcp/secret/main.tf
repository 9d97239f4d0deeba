# A secret and its value, which never enters the state: Secret Manager.

resource "google_secret_manager_secret" "this" {
  project             = var.account
  secret_id           = var.name
  annotations         = var.description == "" ? {} : { description = var.description }
  deletion_protection = var.recovery_days > 0
  version_destroy_ttl = var.recovery_days == 0 ? null : "${var.recovery_days * 86400}s"
  labels              = var.labels

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.encryption_key == null ? [] : [var.encryption_key]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }
}

resource "google_secret_manager_secret_version" "this" {
  secret                 = google_secret_manager_secret.this.id
  secret_data_wo         = var.value
  secret_data_wo_version = var.value_version

  lifecycle {
    # A value in use is not destroyed before there is another.
    create_before_destroy = true
  }
}
