output "name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.bucket
}

output "arn" {
  description = "ARN of the bucket; known before it exists."
  value       = local.arn
  # Who uses the bucket finds it private, and filled.
  depends_on = [aws_s3_bucket.this, aws_s3_bucket_public_access_block.this, aws_s3_bucket_policy.this, aws_s3_object.this]
}

output "objects" {
  description = "Keys of the objects that are part of the install."
  value       = keys(aws_s3_object.this)
}
