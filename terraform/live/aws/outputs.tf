output "beacon_url" {
  description = "Where events are sent to, by the hostname in front if there is one: https://…/v1/track and the rest of Segment's tracking API."
  value       = module.edge.urls.beacon
}

output "profile_url" {
  description = "Where profiles are read, by the hostname in front if there is one: https://…/v1/profiles/user_id:<id>."
  value       = module.edge.urls.profile
}

output "functions" {
  description = "Name, ARN of what to call (alias live), version published last, role and log group of every function."
  value = { for f, m in merge({ beacon = module.beacon, enrich = module.enrich, score = module.score, profile = module.profile }, { for m in module.relay : "relay" => m }) : f => {
    name           = m.name
    alias_arn      = m.alias_arn
    version        = m.version
    role_name      = m.role_name
    log_group_name = m.log_group_name
  } }
}

output "streams" {
  description = "Names of the streams: raw, enriched."
  value       = { raw = module.raw.name, enriched = module.enriched.name }
}

output "table" {
  description = "Name of the table of profiles, ledger and quarantine."
  value       = module.table.name
}

output "queues" {
  description = "Name and dead-letter queue's name of every queue: actions, and the redrive queues of enrich and score."
  value = { for q, m in merge({ actions = module.actions }, module.redrive) : q => {
    name             = m.name
    dead_letter_name = m.dead_letter_name
  } }
}

output "actions_url" {
  description = "URL of the queue that tells who entered or left a segment."
  value       = module.actions.url
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
      curl -u ${try(values(var.write_keys)[0][0], "<write key>")}: ${module.edge.urls.beacon}/v1/track -d '{"userId":"u1","event":"Hello"}'
    Read the secret keys:
      aws secretsmanager get-secret-value --region ${var.region} --secret-id ${module.secret.name} --query SecretString --output text
    Read the profile, a second later, with one of them:
      curl -H 'Authorization: Bearer <secret key>' ${module.edge.urls.profile}/v1/profiles/user_id:u1
    Have alarms tell you: ${length(var.notify) == 0 ? "nobody is told yet, so set notify, apply, and confirm the mail. Then try" : "try"} one:
      aws cloudwatch set-alarm-state --region ${var.region} --alarm-name ${var.name}-score-errors --state-value ALARM --state-reason test
    Then put your own project's file into projects_dir, give it a key in write_keys, and apply again.
    A project added now has no secret key until secret_keys_version is raised, and that makes all generated keys anew. To keep
    those in use, read them as above, give all of them and the new project's in secret_keys, set generate_secret_keys to false,
    and raise secret_keys_version.
  E
}
