# Lets the other cloud's functions in, each to one stream, and without a key: Google says who they are, and AWS believes it for an
# hour at a time. A function there shows AWS a token that Google's metadata server made for it.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  # Roles are global: two regions of an account must not meet.
  role_names = { for f in keys(var.callers) : f => "${var.name}-peer-${f}-${var.region}" }
  role_arns  = { for f, name in local.role_names : f => "arn:${local.partition}:iam::${var.account}:role/${name}" }
}

resource "aws_iam_role" "this" {
  for_each = var.callers

  name        = local.role_names[each.key]
  description = "What the ${each.key} of ${var.name} in the other cloud may do here."
  tags        = var.labels

  # Google's tokens of service accounts have the account's number as sub and as azp, which AWS calls aud; whom a token is for,
  # which is this role, AWS calls oaud.
  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = "accounts.google.com" }
      Condition = { StringEquals = {
        "accounts.google.com:aud"  = each.value
        "accounts.google.com:oaud" = local.role_arns[each.key]
        "accounts.google.com:sub"  = each.value
      } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = var.callers

  name = local.role_names[each.key]
  role = aws_iam_role.this[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Publish"
        Effect   = "Allow"
        Action   = ["kinesis:PutRecords"]
        Resource = [var.streams[each.key]]
      }],
      var.encryption_key == null ? [] : [{
        Sid      = "UseKey"
        Effect   = "Allow"
        Action   = ["kms:GenerateDataKey"]
        Resource = [var.encryption_key]
      }],
    )
  })
}
