output "name" {
  description = "Name of the queue, topic and subscription."
  value       = google_pubsub_topic.this.name
}

output "id" {
  description = "The topic that messages are sent to as projects/P/topics/T; known before it exists."
  value       = local.id
  depends_on  = [google_pubsub_subscription.this] # else what is sent first is lost
}

output "subscription_id" {
  description = "The subscription that messages are received from as projects/P/subscriptions/S; known before it exists."
  value       = local.subscription_id
  depends_on  = [google_pubsub_subscription.this]
}

output "dead_letter_name" {
  description = "Name of the dead-letter queue, topic and subscription."
  value       = google_pubsub_subscription.dead.name
}
