# What the function may do, each on exactly one thing, and who may call it.

locals {
  permitted = { for kind in ["topic", "table", "instance", "database", "secret", "bucket"] : kind => { for name, p in var.permissions : name => p if p.kind == kind } }
}

resource "google_pubsub_topic_iam_member" "this" {
  for_each = local.permitted.topic

  project = var.account
  topic   = each.value.id
  role    = each.value.role
  member  = local.member

  depends_on = [google_service_account.this]
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = local.permitted.bucket

  bucket = each.value.id
  role   = each.value.role
  member = local.member

  dynamic "condition" {
    for_each = each.value.prefix == null ? [] : [each.value.prefix]

    content {
      title      = "Only ${condition.value}"
      expression = "resource.name.startsWith(\"projects/_/buckets/${each.value.id}/objects/${condition.value}\")"
    }
  }

  depends_on = [google_service_account.this]
}

resource "google_bigtable_table_iam_member" "this" {
  for_each = local.permitted.table

  project       = split("/", each.value.id)[1]
  instance_name = split("/", each.value.id)[3]
  table         = split("/", each.value.id)[5]
  role          = each.value.role
  member        = local.member

  depends_on = [google_service_account.this]
}

# What is the instance's: to open connections to it, without which no client opens a table.
resource "google_bigtable_instance_iam_member" "this" {
  for_each = local.permitted.instance

  project  = split("/", each.value.id)[1]
  instance = split("/", each.value.id)[3]
  role     = each.value.role
  member   = local.member

  depends_on = [google_service_account.this]
}

# A database has no rights of its own: they are the project's, for it alone.
# https://cloud.google.com/firestore/docs/manage-databases#per_database_access
resource "google_project_iam_member" "database" {
  for_each = local.permitted.database

  project = split("/", each.value.id)[1]
  role    = each.value.role
  member  = local.member

  condition {
    title      = "Only ${split("/", each.value.id)[3]}"
    expression = "resource.name == \"${each.value.id}\""
  }

  depends_on = [google_service_account.this]
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = local.permitted.secret

  project   = split("/", each.value.id)[1]
  secret_id = split("/", each.value.id)[3]
  role      = each.value.role
  member    = local.member

  depends_on = [google_service_account.this]
}

locals {
  triggered = length(var.stream_triggers) + length(var.schedule_triggers) > 0
  invokers = merge(
    local.triggered ? { push = "serviceAccount:${var.push_account}" } : {},
    try(var.url.public, false) ? { public = "allUsers" } : {},
  )
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.invokers

  project  = var.account
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
