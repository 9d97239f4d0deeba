output "beacon_url" {
  description = "Where events are sent to, by the hostname in front once the functions' own URLs are closed: https://…/v1/track and the rest of Segment's tracking API."
  value       = local.urls.beacon
}

output "profile_url" {
  description = "Where profiles are read, by the hostname in front once the functions' own URLs are closed: https://…/v1/profiles/user_id:<id>."
  value       = local.urls.profile
}

output "functions" {
  description = "Name, version deployed last (a revision) and service account of every function."
  value = { for f, m in merge({ beacon = module.beacon, enrich = module.enrich, score = module.score, profile = module.profile }, { for m in module.relay : "relay" => m }) : f => {
    name            = m.name
    version         = m.version
    service_account = m.service_account
  } }
}

output "streams" {
  description = "Names of the streams: raw, enriched."
  value       = { raw = module.raw.name, enriched = module.enriched.name }
}

output "table" {
  description = "Table of profiles, ledger and quarantine, as projects/P/instances/I/tables/T, or projects/P/databases/D."
  value       = local.table.id
}

output "queues" {
  description = "Name and dead-letter queue's name of every queue: actions, and the dead letters of enrich and score, which come once more before they are parked."
  value = merge(
    { actions = { name = module.actions.name, dead_letter_name = module.actions.dead_letter_name } },
    { for f, m in { enrich = module.enrich, score = module.score } : f => { name = m.dead_letter_name, dead_letter_name = m.parked_name } },
  )
}

output "actions_subscription" {
  description = "Subscription that tells who entered or left a segment, as projects/P/subscriptions/S."
  value       = module.actions.subscription_id
}

output "projects_bucket" {
  description = "Name of the bucket of rules: projects/<project>.yaml."
  value       = module.projects.name
}

output "secret" {
  description = "Name of the secret with the projects' secret keys."
  value       = module.secret.name
}

output "next_steps" {
  description = "What to do now."
  value       = <<-E
    Send an event:
      curl -u ${try(values(var.write_keys)[0][0], "<write key>")}: ${local.urls.beacon}/v1/track -d '{"userId":"u1","event":"Hello"}'
    Unless secret_keys gave them, make a secret key for every project, without which nobody reads its profiles (in service 5 minutes later):
      printf '%s:\n  secret: [%s]\n' ${join(" ", [for p in keys(var.write_keys) : "${p} $(openssl rand -hex 20)"])} | gcloud secrets versions add ${module.secret.name} --project ${var.account} --data-file=-
    Read the secret keys:
      gcloud secrets versions access latest --secret ${module.secret.name} --project ${var.account}
    Read the profile, with one of them:
      curl -H 'Authorization: Bearer <secret key>' ${local.urls.profile}/v1/profiles/user_id:u1
    ${length(var.notify) == 0 ? "Nobody is told of alarms yet: set notify, and apply." : "Alarms tell ${join(", ", keys(var.notify))}."}
    Then put your own project's file into projects_dir, give it a key in write_keys, and apply again. Add a version with its
    secret key, and all the others', to the secret.
  E
}
