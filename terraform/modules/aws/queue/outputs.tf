output "name" {
  description = "Name of the queue."
  value       = aws_sqs_queue.this.name
}

output "arn" {
  description = "ARN of the queue; known before it exists."
  value       = local.arn
  depends_on  = [aws_sqs_queue.this]
}

output "url" {
  description = "URL that messages are sent to."
  value       = local.url
  depends_on  = [aws_sqs_queue.this]
}

output "dead_letter_name" {
  description = "Name of the dead-letter queue."
  value       = aws_sqs_queue.dead.name
}
