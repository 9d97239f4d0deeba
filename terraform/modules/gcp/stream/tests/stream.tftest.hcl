mock_provider "google" {
  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/mycompany-web/topics/hito-raw" }
  }
}

variables {
  account = "mycompany-web"
  region  = "europe-west1"
  name    = "hito-raw"
}

run "defaults" {
  assert {
    condition     = google_pubsub_topic.this.message_retention_duration == "86400s"
    error_message = "A day can be replayed."
  }
  assert {
    condition     = google_pubsub_topic.this.project == "mycompany-web" && google_pubsub_topic.this.kms_key_name == null
    error_message = "What was not asked for must not be there."
  }
  assert {
    condition     = output.id == google_pubsub_topic.this.id && output.name == "hito-raw"
    error_message = "The id that is known before is not the topic's."
  }
}

run "settings" {
  command = plan

  variables {
    retention_hours = 168
    encryption_key  = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
    labels          = { team = "web" }
  }

  assert {
    condition     = google_pubsub_topic.this.message_retention_duration == "604800s" && google_pubsub_topic.this.labels["team"] == "web"
    error_message = "Retention is in hours, and labels must be put on the topic."
  }
  assert {
    condition     = google_pubsub_topic.this.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1"])
    error_message = "Records must stay in the region given."
  }
  assert {
    condition     = google_pubsub_topic.this.kms_key_name == var.encryption_key
    error_message = "The key must be used."
  }
  assert {
    condition     = output.id == "projects/mycompany-web/topics/hito-raw"
    error_message = "The id must be known in the plan."
  }
}

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account         = "123456789012"
    name            = "Hito Raw"
    region          = "Belgium"
    retention_hours = 745
    encryption_key  = "mine"
    labels          = { Team = "web" }
  }

  expect_failures = [var.account, var.name, var.region, var.retention_hours, var.encryption_key, var.labels]
}

run "bad_name" {
  command = plan

  variables {
    name = "goog-raw" # Google's own
  }

  expect_failures = [var.name]
}
