mock_provider "google" {}

variables {
  account        = "mycompany-web"
  project_number = "123456789012"
  region         = "europe-west1"
  name           = "hito-archive"
  stream         = "hito-rows"
}

run "table" {
  assert {
    condition     = google_bigquery_dataset.this.dataset_id == "hito_archive" && google_bigquery_dataset.this.location == "europe-west1" && output.table == "mycompany-web.hito_archive.events"
    error_message = "The dataset must be in the region, and called by the archive's name."
  }
  assert {
    condition = { for c in jsondecode(google_bigquery_table.this.schema) : c.name => "${c.type} ${c.mode}" } == {
      project      = "STRING REQUIRED"
      message_id   = "STRING REQUIRED"
      type         = "STRING NULLABLE"
      name         = "STRING NULLABLE"
      user_id      = "STRING NULLABLE"
      anonymous_id = "STRING NULLABLE"
      group_id     = "STRING NULLABLE"
      timestamp    = "TIMESTAMP NULLABLE"
      received_at  = "TIMESTAMP REQUIRED"
      origin       = "STRING NULLABLE"
      context      = "JSON NULLABLE"
      properties   = "JSON NULLABLE"
      traits       = "JSON NULLABLE"
      enriched     = "JSON NULLABLE"
    }
    error_message = "The columns are others."
  }
  assert {
    condition     = google_bigquery_table.this.time_partitioning[0].type == "DAY" && google_bigquery_table.this.time_partitioning[0].field == "received_at" && google_bigquery_table.this.time_partitioning[0].expiration_ms == 2592000000
    error_message = "Events must go by themselves: erasing a person does not reach into the archive."
  }
  assert {
    condition     = google_bigquery_table.this.clustering == tolist(["project", "name", "user_id"])
    error_message = "A project's events must be found without reading all the others'."
  }
  assert {
    condition     = google_bigquery_table.this.deletion_protection && !google_bigquery_dataset.this.delete_contents_on_destroy
    error_message = "The archive must be protected."
  }
}

run "delivery" {
  assert {
    condition     = google_pubsub_subscription.this.topic == "hito-rows" && google_pubsub_subscription.this.bigquery_config[0].table == output.table && output.stream_id == "projects/mycompany-web/topics/hito-rows"
    error_message = "It must read the stream and write the table."
  }
  assert {
    condition     = google_pubsub_subscription.this.bigquery_config[0].use_table_schema && google_pubsub_subscription.this.bigquery_config[0].drop_unknown_fields
    error_message = "Fields are columns, and what has no column must not stop a row."
  }
  assert {
    condition     = google_pubsub_subscription.this.dead_letter_policy[0].dead_letter_topic == "projects/mycompany-web/topics/hito-archive-dead" && google_pubsub_subscription.dead.topic == "hito-archive-dead" && google_pubsub_subscription.dead.message_retention_duration == "2678400s"
    error_message = "What does not fit must be kept."
  }
  assert {
    condition     = google_pubsub_subscription.this.expiration_policy[0].ttl == "" && google_pubsub_subscription.dead.expiration_policy[0].ttl == ""
    error_message = "No subscription may go by itself."
  }
}

run "least_privilege" {
  assert {
    condition     = [for a in google_bigquery_dataset.this.access : "${a.role} ${a.special_group}"] == ["OWNER projectOwners"]
    error_message = "Viewers of the project may not read all events."
  }
  assert {
    condition = [google_bigquery_table_iam_member.this.dataset_id, google_bigquery_table_iam_member.this.table_id, google_bigquery_table_iam_member.this.role, google_bigquery_table_iam_member.this.member] == [
      "hito_archive", "events", "roles/bigquery.dataEditor", "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
    ]
    error_message = "Pub/Sub may write this table, and nothing else."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.dead.topic == "hito-archive-dead" && google_pubsub_topic_iam_member.dead.role == "roles/pubsub.publisher" && google_pubsub_subscription_iam_member.this.subscription == "hito-archive" && google_pubsub_subscription_iam_member.this.role == "roles/pubsub.subscriber"
    error_message = "Pub/Sub must be able to move dead letters."
  }
}

run "settings" {
  command = plan
  variables {
    expire_days         = null
    deletion_protection = false
    encryption_key      = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
    labels              = { team = "web" }
  }
  assert {
    condition = (
      google_bigquery_dataset.this.default_encryption_configuration[0].kms_key_name == var.encryption_key && google_bigquery_table.this.encryption_configuration[0].kms_key_name == var.encryption_key &&
      google_pubsub_topic.this.kms_key_name == var.encryption_key && google_pubsub_topic.dead.kms_key_name == var.encryption_key
    )
    error_message = "Rows must be encrypted with the key wherever they are."
  }
  assert {
    condition     = !google_bigquery_table.this.deletion_protection && google_bigquery_dataset.this.delete_contents_on_destroy && google_bigquery_table.this.labels["team"] == "web"
    error_message = "Settings must be used."
  }
  assert {
    condition     = google_pubsub_topic.this.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1"])
    error_message = "Rows must stay in the region."
  }
}

run "bad" {
  command = plan
  variables {
    account        = "12345"
    project_number = "mine"
    region         = "Belgium"
    name           = "Archive"
    stream         = "a/b"
    expire_days    = 0
    encryption_key = "mine"
    labels         = { Mine = "no" }
  }
  expect_failures = [var.account, var.project_number, var.region, var.name, var.stream, var.expire_days, var.encryption_key, var.labels]
}
