output "topic_arn" {
  description = "ARN of the topic that alarms go to; known before it exists."
  value       = local.topic_arn
  depends_on  = [aws_sns_topic.alerts, aws_sns_topic_policy.alerts]
}

output "alarms" {
  description = "Names of the alarms that tell somebody, by what follows the common beginning."
  value = merge(
    { for key, a in aws_cloudwatch_metric_alarm.this : key => a.alarm_name if !startswith(key, "latency-burn-") },
    { for key, a in aws_cloudwatch_composite_alarm.burn : "latency-burn-${key}" => a.alarm_name },
  )
}

output "dashboard_url" {
  description = "Address of the dashboard."
  value       = "https://console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
}
