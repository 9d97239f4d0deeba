mock_provider "google" {
  mock_resource "google_secret_manager_secret" {
    defaults = { id = "projects/mycompany-web/secrets/hito-keys" }
  }
}

variables {
  account = "mycompany-web"
  region  = "europe-west1"
  name    = "hito-keys"
  value   = "shop: {secret: [do-not-tell]}"
}

run "value_is_not_kept" {
  assert {
    condition     = google_secret_manager_secret_version.this.secret_data == null
    error_message = "The value must go by the write-only argument, or it is in the state."
  }
  assert {
    condition     = google_secret_manager_secret_version.this.secret_data_wo_version == 1 && google_secret_manager_secret_version.this.secret == google_secret_manager_secret.this.id
    error_message = "The value is written once per version."
  }
  assert {
    condition     = google_secret_manager_secret.this.deletion_protection && google_secret_manager_secret.this.version_destroy_ttl == "2592000s"
    error_message = "A version destroyed by mistake must come back, and a secret not be deleted by mistake."
  }
  assert {
    condition     = [for r in google_secret_manager_secret.this.replication[0].user_managed[0].replicas : r.location] == ["europe-west1"] && length(google_secret_manager_secret.this.replication[0].auto) == 0
    error_message = "The secret must stay in the region."
  }
  assert {
    condition     = output.id == google_secret_manager_secret.this.id && output.name == "hito-keys"
    error_message = "The id that is known before is not the secret's."
  }
}

run "settings" {
  command = plan

  variables {
    description    = "Keys"
    encryption_key = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
    recovery_days  = 0
    value_version  = 2
    labels         = { team = "web" }
  }

  assert {
    condition     = google_secret_manager_secret.this.replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == var.encryption_key
    error_message = "The key must be used."
  }
  assert {
    condition     = !google_secret_manager_secret.this.deletion_protection && google_secret_manager_secret.this.version_destroy_ttl == null
    error_message = "Without recovery the secret is gone at once."
  }
  assert {
    condition     = google_secret_manager_secret_version.this.secret_data_wo_version == 2 && google_secret_manager_secret.this.labels["team"] == "web" && google_secret_manager_secret.this.annotations["description"] == "Keys"
    error_message = "What is given must be used."
  }
}

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account        = "1"
    region         = "eu-west"
    name           = "-keys"
    description    = format("%2049s", "x")
    value          = ""
    value_version  = 0
    recovery_days  = 1001
    encryption_key = "mine"
    labels         = { Mine = "no" }
  }

  expect_failures = [
    var.account, var.region, var.name, var.description, var.value,
    var.value_version, var.recovery_days, var.encryption_key, var.labels,
  ]
}
