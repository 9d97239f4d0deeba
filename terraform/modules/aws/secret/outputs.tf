output "name" {
  description = "Name of the secret."
  value       = aws_secretsmanager_secret.this.name
}

output "arn_pattern" {
  description = "ARN of the secret for policies; known before it exists: a question mark for each of the six characters that AWS appends."
  value       = "arn:${startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"}:secretsmanager:${var.region}:${var.account}:secret:${var.name}-??????"
}
