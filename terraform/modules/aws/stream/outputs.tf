output "name" {
  description = "Name of the stream."
  value       = aws_kinesis_stream.this.name
}

output "arn" {
  description = "ARN of the stream; known before it exists."
  value       = local.arn
  depends_on  = [aws_kinesis_stream.this]
}

output "consumer_arns" {
  description = "ARN of every dedicated consumer, by name; known once it exists, since it holds the time of its creation."
  value       = { for name, consumer in aws_kinesis_stream_consumer.this : name => consumer.arn }
}
