output "identities" {
  description = "Who the other cloud's functions are here, by function: ARN of a role, which is also whom their tokens must be for. Known before it exists."
  value       = local.role_arns
  depends_on  = [aws_iam_role.this]
}
