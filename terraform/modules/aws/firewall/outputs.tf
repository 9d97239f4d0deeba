output "arn" {
  description = "ARN of the web ACL."
  value       = aws_wafv2_web_acl.this.arn
}

output "metric_names" {
  description = "Names of the rules' metrics in the namespace AWS/WAFV2, in us-east-1."
  value       = { for key in ["rate-per-address", "body-too-long", "aws-common"] : key => "${var.name}-${key}" }
}
