output "name" {
  description = "Name of the delivery."
  value       = aws_kinesis_firehose_delivery_stream.this.name
}

output "arn" {
  description = "ARN of the delivery; known before it exists."
  value       = local.arn
  depends_on  = [aws_kinesis_firehose_delivery_stream.this]
}
