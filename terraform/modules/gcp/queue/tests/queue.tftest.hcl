mock_provider "google" {}

variables {
  account        = "mycompany-web"
  project_number = "123456789012"
  region         = "europe-west1"
  name           = "hito-actions"
}

run "dead_letters" {
  assert {
    condition = (
      google_pubsub_subscription.this.dead_letter_policy[0].dead_letter_topic == "projects/mycompany-web/topics/hito-actions-dead" &&
      google_pubsub_subscription.this.dead_letter_policy[0].max_delivery_attempts == 5
    )
    error_message = "What fails five times must go to the dead-letter queue."
  }
  assert {
    condition     = google_pubsub_topic.dead.name == "hito-actions-dead" && google_pubsub_subscription.dead.topic == "hito-actions-dead" && google_pubsub_subscription.dead.message_retention_duration == "2678400s"
    error_message = "Dead letters must be kept as long as can be."
  }
  assert {
    condition     = length(google_pubsub_subscription.dead.dead_letter_policy) == 0 && length(google_pubsub_subscription.dead.push_config) == 0 && length(google_pubsub_subscription.this.push_config) == 0
    error_message = "Both wait to be asked."
  }
  assert {
    condition     = alltrue([for s in [google_pubsub_subscription.this, google_pubsub_subscription.dead] : s.expiration_policy[0].ttl == ""])
    error_message = "A subscription that nobody asks must not be deleted."
  }
}

# Without either, dead letters stay where they are, and nothing says so.
run "pubsub_may_move_them" {
  assert {
    condition = [google_pubsub_topic_iam_member.dead.topic, google_pubsub_topic_iam_member.dead.role, google_pubsub_topic_iam_member.dead.member] == [
      "hito-actions-dead", "roles/pubsub.publisher", "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
    ]
    error_message = "Pub/Sub must be able to publish dead letters, and to that topic only."
  }
  assert {
    condition = [google_pubsub_subscription_iam_member.this.subscription, google_pubsub_subscription_iam_member.this.role, google_pubsub_subscription_iam_member.this.member] == [
      "hito-actions", "roles/pubsub.subscriber", "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
    ]
    error_message = "Pub/Sub must be able to take dead letters out of the queue."
  }
}

run "settings" {
  command = plan

  variables {
    retention_hours    = 24
    visibility_seconds = 60
    max_deliveries     = 10
    encryption_key     = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
  }

  assert {
    condition     = google_pubsub_subscription.this.message_retention_duration == "86400s" && google_pubsub_subscription.this.ack_deadline_seconds == 60
    error_message = "Retention is in hours, visibility in seconds."
  }
  assert {
    condition     = google_pubsub_subscription.this.dead_letter_policy[0].max_delivery_attempts == 10
    error_message = "max_deliveries must bound deliveries."
  }
  assert {
    condition = alltrue([for t in [google_pubsub_topic.this, google_pubsub_topic.dead] :
      t.kms_key_name == var.encryption_key && t.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1"])
    ])
    error_message = "Both topics must use the key, and stay in the region."
  }
  assert {
    condition     = output.id == "projects/mycompany-web/topics/hito-actions" && output.subscription_id == "projects/mycompany-web/subscriptions/hito-actions"
    error_message = "Ids must be known in the plan."
  }
}

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account            = "My Company"
    project_number     = "mycompany-web"
    name               = "hi"
    region             = "europe"
    retention_hours    = 0
    visibility_seconds = 9
    max_deliveries     = 4
    encryption_key     = "1234"
    labels             = { goog-mine = "no" }
  }

  expect_failures = [
    var.account, var.project_number, var.name, var.region, var.retention_hours,
    var.visibility_seconds, var.max_deliveries, var.encryption_key, var.labels,
  ]
}
