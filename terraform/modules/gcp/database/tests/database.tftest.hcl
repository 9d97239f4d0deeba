mock_provider "google" {}

variables {
  account = "mycompany-web"
  region  = "europe-west1"
  name    = "hito"
  collections = {
    fragments = {}
    booked    = { expires = "expires" }
  }
}

run "keeps_what_it_has" {
  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    error_message = "The database must be protected, and be restorable."
  }
  assert {
    condition     = google_firestore_database.this.type == "FIRESTORE_NATIVE" && google_firestore_database.this.location_id == "europe-west1" && length(google_firestore_database.this.cmek_config) == 0
    error_message = "The database must be of documents, and in the region."
  }
  assert {
    condition     = output.id == "projects/mycompany-web/databases/hito-table" && output.name == "hito-table"
    error_message = "Names are wrong."
  }
}

run "collections" {
  assert {
    condition     = { for name, f in google_firestore_field.unindexed : name => "${f.collection} ${f.field} ${f.database} ${length(f.index_config[0].indexes == null ? [] : f.index_config[0].indexes)} ${length(f.ttl_config)}" } == { fragments = "fragments * hito-table 0 0", booked = "booked * hito-table 0 0" }
    error_message = "Nothing may be indexed."
  }
  assert {
    condition     = { for name, f in google_firestore_field.expires : name => "${f.collection} ${f.field} ${f.database} ${length(f.index_config)} ${length(f.ttl_config)}" } == { booked = "booked expires hito-table 1 1" }
    error_message = "What expires must go, and nothing else."
  }
}

run "settings" {
  command = plan

  variables {
    recovery            = false
    deletion_protection = false
    encryption_key      = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
  }

  assert {
    condition     = google_firestore_database.this.cmek_config[0].kms_key_name == var.encryption_key
    error_message = "The key must be used."
  }
  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_DISABLED" && google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_DISABLED" && google_firestore_database.this.deletion_policy == "DELETE"
    error_message = "What was not asked for must not be there, and a destroy destroy."
  }
}

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account        = ""
    region         = "europe_west1"
    name           = "h"
    collections    = { "F" = {} }
    encryption_key = "mine"
  }

  expect_failures = [var.account, var.region, var.name, var.collections, var.encryption_key]
}
