output "identities" {
  description = "Who the other cloud's functions are here, by function: the pool's provider, #, and the email of a service account. Known before it exists."
  value       = { for f, email in local.emails : f => "//iam.googleapis.com/${local.provider}#${email}" }
  depends_on  = [google_iam_workload_identity_pool_provider.this, google_service_account_iam_member.this, google_pubsub_topic_iam_member.this]
}
