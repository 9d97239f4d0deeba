output "name" {
  description = "Name of the delivery."
  value       = aws_kinesis_firehose_delivery_stream.this.name
}

output "arn" {
  description = "ARN of the delivery; known before it exists."
  value       = local.arn
  depends_on  = [aws_kinesis_firehose_delivery_stream.this]
}

output "role_name" {
  description = "Name of the role it delivers with, which nothing else uses."
  value       = aws_iam_role.this.name
}

output "log_group_name" {
  description = "Name of the log group that tells of failed deliveries."
  value       = aws_cloudwatch_log_group.this.name
}
