output "channels" {
  description = "Names of the channels that alarms go to, by the names in notify."
  value       = { for name, c in google_monitoring_notification_channel.this : name => c.name }
}

output "alarms" {
  description = "Names of the alarms that tell somebody, by what follows the common beginning."
  value       = { for key, a in google_monitoring_alert_policy.this : key => a.display_name }
}

output "dashboard_url" {
  description = "Address of the dashboard."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", google_monitoring_dashboard.this.id))[0]}?project=${var.account}"
}
