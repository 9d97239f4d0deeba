mock_provider "google" {}

variables {
  account = "mycompany-web"
  region  = "europe-west1"
  name    = "hito-projects-mycompany-web"
}

run "private" {
  assert {
    condition     = google_storage_bucket.this.public_access_prevention == "enforced" && google_storage_bucket.this.uniform_bucket_level_access
    error_message = "All public access must be blocked, and ACLs be off."
  }
  assert {
    condition     = google_storage_bucket.this.location == "EUROPE-WEST1"
    error_message = "Objects must stay in the region."
  }
}

run "keeps_what_it_has" {
  assert {
    condition     = google_storage_bucket.this.versioning[0].enabled && !google_storage_bucket.this.force_destroy
    error_message = "Old versions must be kept, and a bucket with objects not go by accident."
  }
  assert {
    condition     = [for r in google_storage_bucket.this.lifecycle_rule : "${one(r.action).type} ${one(r.condition).age}"] == ["AbortIncompleteMultipartUpload 7"]
    error_message = "Abandoned uploads must go, and nothing else."
  }
}

run "own_key" {
  command = plan

  variables {
    encryption_key = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
    versioning     = false
    force_destroy  = true
    labels         = { team = "web" }
  }

  assert {
    condition     = google_storage_bucket.this.encryption[0].default_kms_key_name == var.encryption_key && google_storage_bucket.this.labels["team"] == "web"
    error_message = "The key and labels must be used."
  }
  assert {
    condition     = !google_storage_bucket.this.versioning[0].enabled && google_storage_bucket.this.force_destroy
    error_message = "Settings must be used."
  }
}

run "lifecycle" {
  variables {
    lifecycle_rules = {
      archive      = { prefix = "events/", archive_days = 30, expire_days = 400 }
      old-versions = { expire_old_versions_days = 90 }
    }
  }

  assert {
    condition     = length(google_storage_bucket.this.lifecycle_rule) == 4
    error_message = "Every rule, and the one for abandoned uploads, must be there."
  }
  assert {
    condition = (
      one(google_storage_bucket.this.lifecycle_rule[1].action).storage_class == "COLDLINE" && one(google_storage_bucket.this.lifecycle_rule[1].condition).age == 30 &&
      one(google_storage_bucket.this.lifecycle_rule[1].condition).matches_prefix == tolist(["events/"])
    )
    error_message = "A rule must archive, and be about its prefix."
  }
  assert {
    condition     = one(google_storage_bucket.this.lifecycle_rule[2].action).type == "Delete" && one(google_storage_bucket.this.lifecycle_rule[2].condition).age == 400 && one(google_storage_bucket.this.lifecycle_rule[2].condition).with_state == "LIVE"
    error_message = "A rule must delete."
  }
  assert {
    condition = (
      one(google_storage_bucket.this.lifecycle_rule[3].action).type == "Delete" && one(google_storage_bucket.this.lifecycle_rule[3].condition).days_since_noncurrent_time == 90 &&
      one(google_storage_bucket.this.lifecycle_rule[3].condition).with_state == "ARCHIVED" && one(google_storage_bucket.this.lifecycle_rule[3].condition).matches_prefix == null
    )
    error_message = "A rule must delete old versions, and old versions only."
  }
}

run "objects" {
  variables {
    objects = { "projects/shop.yaml" = { content = "settings: {}\n", content_type = "application/yaml" } }
  }

  assert {
    condition     = nonsensitive(google_storage_bucket_object.this["projects/shop.yaml"].content) == "settings: {}\n" && google_storage_bucket_object.this["projects/shop.yaml"].content_type == "application/yaml"
    error_message = "The object must have the content."
  }
  assert {
    condition     = output.objects == ["projects/shop.yaml"]
    error_message = "The object must be told of."
  }
}

# Every validated variable has a value that is refused.

run "bad_1" {
  command = plan

  variables {
    account         = "me"
    region          = "nowhere"
    name            = "hito_projects"
    lifecycle_rules = { nothing = { prefix = "a/" } }
    objects         = { "/shop.yaml" = { content = "{}" } }
    encryption_key  = "mine"
    labels          = { Mine = "no" }
  }

  expect_failures = [
    var.account, var.region, var.name, var.lifecycle_rules, var.objects,
    var.encryption_key, var.labels,
  ]
}

run "bad_2" {
  command = plan

  variables {
    lifecycle_rules = { late = { archive_days = 30, expire_days = 30 } }
  }

  expect_failures = [var.lifecycle_rules]
}

run "bad_3" {
  command = plan

  variables {
    lifecycle_rules = { cold = { archive_days = 30, archive_class = "GLACIER" } }
  }

  expect_failures = [var.lifecycle_rules]
}
