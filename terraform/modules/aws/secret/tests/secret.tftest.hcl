mock_provider "aws" {
  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hito-keys-AbCdEf" }
  }
}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito-keys"
  value   = "shop: {secret: [do-not-tell]}"
}

run "value_is_not_kept" {
  assert {
    condition     = aws_secretsmanager_secret_version.this.secret_string == null && aws_secretsmanager_secret_version.this.secret_string_wo == null
    error_message = "The value must not be in the state."
  }
  assert {
    condition     = aws_secretsmanager_secret_version.this.secret_string_wo_version == 1
    error_message = "The value is written once per version."
  }
  assert {
    condition     = aws_secretsmanager_secret.this.recovery_window_in_days == 30
    error_message = "A secret deleted by mistake must come back."
  }
  assert {
    condition     = output.arn_pattern == "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hito-keys-??????"
    error_message = "The pattern must match this secret's ARN and no longer name's."
  }
}

run "own_key" {
  command = plan

  variables {
    encryption_key = "arn:aws:kms:eu-west-1:123456789012:key/1234"
    recovery_days  = 0
    value_version  = 2
  }

  assert {
    condition     = aws_secretsmanager_secret.this.kms_key_id == var.encryption_key && aws_secretsmanager_secret.this.recovery_window_in_days == 0 && aws_secretsmanager_secret_version.this.secret_string_wo_version == 2
    error_message = "What is given must be used."
  }
}

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account        = "1"
    region         = "eu-west"
    name           = "-keys"
    description    = format("%2049s", "x")
    value          = ""
    value_version  = 0
    recovery_days  = 3
    encryption_key = "mine"
    labels         = { "aws:mine" = "no" }
  }

  expect_failures = [
    var.account, var.region, var.name, var.description, var.value,
    var.value_version, var.recovery_days, var.encryption_key, var.labels,
  ]
}
