output "name" {
  description = "Name of the function."
  value       = google_cloud_run_v2_service.this.name
}

output "url" {
  description = "HTTPS address of the function, without a path; null without one for the world. Known before it exists."
  value       = var.url == null ? null : local.address
  depends_on  = [google_cloud_run_v2_service.this]
}

output "version" {
  description = "Name of the version deployed last: a revision."
  value       = google_cloud_run_v2_service.this.latest_ready_revision
}

output "service_account" {
  description = "Email of the function's own service account; known before it exists."
  value       = local.account
  depends_on  = [google_service_account.this]
}

output "service_account_subject" {
  description = "Number of the service account, which is the subject of its tokens."
  value       = google_service_account.this.unique_id
}

output "subscriptions" {
  description = "Names of the stream triggers' subscriptions, by name of the trigger."
  value       = { for name, s in google_pubsub_subscription.stream : name => s.name }
}

output "dead_letter_name" {
  description = "Name of the topic, and subscription, of what comes once more; null without streams."
  value       = one(google_pubsub_subscription.dead[*].name)
}

output "parked_name" {
  description = "Name of the topic, and subscription, of what nothing helped; null without streams."
  value       = one(google_pubsub_subscription.parked[*].name)
}

output "build" {
  description = "What to ask of Cloud Run to have the image built of the package: the body of projects.locations.builds.submit, in JSON; null with an image of one's own."
  value = local.built ? jsonencode({
    storageSource = { bucket = google_storage_bucket_object.package[0].bucket, object = google_storage_bucket_object.package[0].name }
    imageUri      = local.image
    buildpackBuild = {
      functionTarget         = var.target
      baseImage              = local.base
      enableAutomaticUpdates = true
    }
    serviceAccount = "projects/${var.account}/serviceAccounts/${var.build.account}"
  }) : null
}

output "policy" {
  description = "What the function may do, by name: role, and what on; known before it exists."
  value = { for name, p in merge(
    var.permissions,
    { for name, t in var.stream_triggers : "Pull${title(name)}" => { role = "roles/pubsub.subscriber", kind = "subscription", id = "projects/${var.account}/subscriptions/${t.subscription}", prefix = null } if var.workers > 0 },
  ) : name => "${p.role} on ${p.kind} ${p.id}${p.prefix == null ? "" : "/${p.prefix}"}" }
}
