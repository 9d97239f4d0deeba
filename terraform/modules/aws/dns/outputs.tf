output "health_checks" {
  description = "Ids of the health checks, by cloud."
  value       = { for key, c in aws_route53_health_check.this : key => c.id }
}
