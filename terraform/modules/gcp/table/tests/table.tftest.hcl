mock_provider "google" {}

variables {
  account = "mycompany-web"
  region  = "europe-west1"
  name    = "hito"
  families = {
    f = { versions = 1 }
    l = { sum = true }
    s = { age_days = 40 }
  }
}

run "keeps_what_it_has" {
  assert {
    condition     = google_bigtable_instance.this.deletion_protection && !google_bigtable_instance.this.force_destroy && google_bigtable_table.this.deletion_protection == "PROTECTED"
    error_message = "The table and its instance must be protected."
  }
  assert {
    condition     = [for p in google_bigtable_table.this.automated_backup_policy : "${p.frequency} ${p.retention_period}"] == ["24h0m0s 840h0m0s"]
    error_message = "The table must be restorable."
  }
}

run "opens" {
  assert {
    condition     = google_project_iam_custom_role.open.permissions == toset(["bigtable.instances.ping"]) && google_project_iam_custom_role.open.role_id == "hito_open"
    error_message = "The role must let a client in, and nothing else."
  }
  assert {
    condition     = output.open == { kind = "instance", role = "projects/mycompany-web/roles/hito_open", id = "projects/mycompany-web/instances/hito-table" }
    error_message = "What a client needs must be told."
  }
}

run "families" {
  assert {
    condition     = sort([for f in google_bigtable_table.this.column_family : "${f.family} ${f.type == null ? "values" : f.type}"]) == tolist(["f values", "l intsum", "s values"])
    error_message = "Families are as they are given, and sums add up."
  }
  assert {
    condition     = keys(google_bigtable_gc_policy.this) == ["f", "s"]
    error_message = "Nothing may be removed of sums."
  }
  assert {
    condition = (
      google_bigtable_gc_policy.this["f"].max_version[0].number == 1 && length(google_bigtable_gc_policy.this["f"].max_age) == 0 &&
      google_bigtable_gc_policy.this["s"].max_age[0].duration == "960h" && length(google_bigtable_gc_policy.this["s"].max_version) == 0
    )
    error_message = "What is old must go: by number, or by age."
  }
  assert {
    condition     = alltrue([for name, p in google_bigtable_gc_policy.this : p.column_family == name && p.table == "hito" && p.instance_name == "hito-table"])
    error_message = "A policy must be its family's."
  }
}

# Any other profile refuses conditional writes.
run "one_cluster" {
  assert {
    condition = (
      google_bigtable_app_profile.this.single_cluster_routing[0].cluster_id == google_bigtable_instance.this.cluster[0].cluster_id &&
      google_bigtable_app_profile.this.single_cluster_routing[0].allow_transactional_writes &&
      google_bigtable_app_profile.this.multi_cluster_routing_use_any == null
    )
    error_message = "Writes must be able to depend on what is stored."
  }
  assert {
    condition     = [for c in google_bigtable_instance.this.cluster : "${c.cluster_id} ${c.zone} ${c.storage_type}"] == ["hito-table europe-west1-b SSD"]
    error_message = "There is one cluster, in the region."
  }
  assert {
    condition     = google_bigtable_instance.this.cluster[0].autoscaling_config[0].min_nodes == 1 && google_bigtable_instance.this.cluster[0].autoscaling_config[0].max_nodes == 10 && google_bigtable_instance.this.cluster[0].autoscaling_config[0].cpu_target == 60
    error_message = "The cluster must scale, from little."
  }
  assert {
    condition     = output.id == "projects/mycompany-web/instances/hito-table/tables/hito" && output.app_profile == "hito" && output.instance == "hito-table"
    error_message = "Names are wrong."
  }
}

run "settings" {
  command = plan

  variables {
    zone                = "europe-west1-d"
    capacity            = { min_nodes = 3, max_nodes = 30, utilization = 50 }
    recovery_days       = 0
    deletion_protection = false
    encryption_key      = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
    labels              = { team = "web" }
  }

  assert {
    condition     = google_bigtable_instance.this.cluster[0].zone == "europe-west1-d" && google_bigtable_instance.this.cluster[0].autoscaling_config[0].max_nodes == 30 && google_bigtable_instance.this.cluster[0].autoscaling_config[0].cpu_target == 50
    error_message = "Zone and capacity must be used."
  }
  assert {
    condition     = google_bigtable_instance.this.cluster[0].kms_key_name == var.encryption_key && google_bigtable_instance.this.labels["team"] == "web"
    error_message = "Key and labels must be used."
  }
  assert {
    condition     = length(google_bigtable_table.this.automated_backup_policy) == 0 && google_bigtable_table.this.deletion_protection == "UNPROTECTED" && !google_bigtable_instance.this.deletion_protection && google_bigtable_instance.this.force_destroy
    error_message = "What was not asked for must not be there."
  }
}

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account        = ""
    region         = "europe_west1"
    name           = "h"
    families       = { "F" = {} }
    capacity       = { min_nodes = 1, max_nodes = 11 }
    recovery_days  = 2
    encryption_key = "mine"
    labels         = { "goog-mine" = "no" }
  }

  expect_failures = [
    var.account, var.region, var.name, var.families,
    var.capacity, var.recovery_days, var.encryption_key, var.labels,
  ]
}

run "bad_together" {
  command = plan

  variables {
    zone     = "us-central1-b"
    families = { f = { versions = 1, age_days = 1 } }
    capacity = { min_nodes = 1, max_nodes = 1, utilization = 90 }
  }

  expect_failures = [var.zone, var.families, var.capacity]
}
