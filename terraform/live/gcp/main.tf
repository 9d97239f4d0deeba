# A whole install of hito on Google Cloud.
#
#   browser / SDK ──▶ beacon ──▶ [raw] ──▶ enrich ──▶ [enriched] ──▶ score ──▶ table ──▶ profile ──▶ reader
#                                                                      └──▶ actions

locals {
  labels = merge(var.labels, { install = var.name })
  # Made of what is known before anything exists, so that a plan shows every right in full.
  push_account  = "${var.name}-push@${var.account}.iam.gserviceaccount.com"
  build_account = "${var.name}-build@${var.account}.iam.gserviceaccount.com"
}

# What of Google Cloud the project uses. It stays on when the install goes: others may use it too.
resource "google_project_service" "this" {
  for_each = toset(concat(
    ["artifactregistry", "cloudbuild", "cloudresourcemanager", "cloudscheduler", "iam", "logging", "monitoring", "pubsub", "run", "secretmanager", "storage"],
    var.store == "bigtable" ? ["bigtable", "bigtableadmin"] : ["firestore"],
    var.archive == null ? [] : ["bigquery"],
    var.budget == null ? [] : ["billingbudgets"],
    var.edge.kind == "none" ? [] : ["compute"],
    try(var.edge.domain.zone, null) == null ? [] : ["dns"],
  ))

  project            = var.account
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# What a table is made with is another table when it changes, and what is around it would have changed by the time that this is
# refused. So it is refused before.
resource "terraform_data" "fixed" {
  input = {
    encryption_key = var.encryption_key
    zone           = var.zone
    store          = var.store
  }

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = jsonencode(self.input) == jsonencode({ encryption_key = var.encryption_key, zone = var.zone, store = var.store })
      error_message = "encryption_key, zone and store cannot be changed: the table would be another, and empty. If it shall be, take its protection away (deletion_protection = false, and apply), then apply with -replace=terraform_data.fixed."
    }
  }
}

module "raw" {
  source = "../../modules/gcp/stream"

  account         = var.account
  region          = var.region
  name            = "${var.name}-raw"
  retention_hours = var.retention_hours
  encryption_key  = var.encryption_key
  labels          = local.labels

  depends_on = [google_project_service.this]
}

module "enriched" {
  source = "../../modules/gcp/stream"

  account         = var.account
  region          = var.region
  name            = "${var.name}-enriched"
  retention_hours = var.retention_hours
  encryption_key  = var.encryption_key
  labels          = local.labels

  depends_on = [google_project_service.this]
}

module "table" {
  source = "../../modules/gcp/table"
  count  = var.store == "bigtable" ? 1 : 0

  account = var.account
  region  = var.region
  zone    = var.zone
  name    = var.name
  families = {
    f = { versions = 1 }  # fragments
    l = { sum = true }    # the ledger's sums
    s = { age_days = 40 } # what is booked: longer than a message can come again
    q = { age_days = 30 } # the quarantine
  }
  capacity            = var.table_capacity
  deletion_protection = var.deletion_protection
  encryption_key      = var.encryption_key
  labels              = local.labels

  depends_on = [google_project_service.this]
}

# The same for little load.
module "database" {
  source = "../../modules/gcp/database"
  count  = var.store == "firestore" ? 1 : 0

  account = var.account
  region  = var.region
  name    = var.name
  collections = {
    fragments  = {}
    ledger     = { expires = "expires" } # hours; totals stay
    booked     = { expires = "expires" }
    quarantine = { expires = "expires" }
    bodies     = { expires = "expires" } # of large entries in quarantine
  }
  deletion_protection = var.deletion_protection
  encryption_key      = var.encryption_key

  depends_on = [google_project_service.this]
}

# Who entered or left a segment.
module "actions" {
  source = "../../modules/gcp/queue"

  account            = var.account
  project_number     = var.project_number
  region             = var.region
  name               = "${var.name}-actions"
  retention_hours    = 96
  visibility_seconds = 180
  max_deliveries     = 10
  encryption_key     = var.encryption_key
  labels             = local.labels

  depends_on = [google_project_service.this]
}

# Whom messages and schedules come from. It may call enrich and score, and nothing else.
resource "google_service_account" "push" {
  project      = var.account
  account_id   = "${var.name}-push"
  display_name = "${var.name}-push"
  description  = "Whom pushed messages and schedules of ${var.name} come from."

  depends_on = [google_project_service.this]
}

# Pub/Sub makes its OIDC tokens, and no others. Cloud Scheduler's service agent may, since its service was turned on.
resource "google_service_account_iam_member" "push" {
  service_account_id = "projects/${var.account}/serviceAccounts/${local.push_account}"
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  depends_on = [google_service_account.push]
}
