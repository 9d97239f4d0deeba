output "beacon_url" {
  description = "Where events are sent to, by the hostname before both clouds; null without."
  value       = var.domain == null ? null : "https://${var.domain.name}"
}

output "beacon_urls" {
  description = "Where events are sent to, by cloud; the same with a domain."
  value       = { aws = module.aws.beacon_url, gcp = module.gcp.beacon_url }
}

output "profile_urls" {
  description = "Where profiles are read, by cloud; the same with a domain."
  value       = { aws = module.aws.profile_url, gcp = module.gcp.profile_url }
}

output "peers" {
  description = "What live/aws (aws) and live/gcp (gcp) take as peer, to apply one of them alone."
  value       = { aws = module.gcp.peer, gcp = module.aws.peer }
}

output "dashboards" {
  description = "Addresses of the dashboards, by cloud."
  value       = { aws = module.aws.dashboard, gcp = module.gcp.dashboard }
}

output "next_steps" {
  description = "What to do now, by cloud."
  value       = { aws = module.aws.next_steps, gcp = module.gcp.next_steps }
}
