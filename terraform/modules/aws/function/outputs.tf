output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "ARN of the function; known before it exists."
  value       = local.arn
  depends_on  = [aws_lambda_function.this]
}

output "alias_arn" {
  description = "ARN of the alias live, which is what to call; known before it exists."
  value       = "${local.arn}:live"
  depends_on  = [aws_lambda_alias.live]
}

output "version" {
  description = "Number of the version published last."
  value       = aws_lambda_function.this.version
}

output "url" {
  description = "HTTPS address of the function, without a path; null without one."
  value       = try(trimsuffix(aws_lambda_function_url.this[0].function_url, "/"), null)
}

output "role_name" {
  description = "Name of the function's own role."
  value       = aws_iam_role.this.name
}

output "role_arn" {
  description = "ARN of the function's own role; known before it exists."
  value       = local.role_arn
  depends_on  = [aws_iam_role.this]
}

output "log_group_name" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "policy" {
  description = "What the function's role may do, as a policy in JSON; known before it exists."
  value       = local.policy
  depends_on  = [aws_iam_role_policy.this]
}
