output "name" {
  description = "Name of the table."
  value       = aws_dynamodb_table.this.name
}

output "arn" {
  description = "ARN of the table; known before it exists."
  value       = local.arn
  depends_on  = [aws_dynamodb_table.this]
}

output "index_arns" {
  description = "ARN of every index, by name; known before it exists."
  value       = { for name in keys(var.indexes) : name => "${local.arn}/index/${name}" }
  depends_on  = [aws_dynamodb_table.this]
}
