# A secret and its value, which never enters the state: Secrets Manager.

resource "aws_secretsmanager_secret" "this" {
  name                    = var.name
  description             = var.description
  kms_key_id              = var.encryption_key
  recovery_window_in_days = var.recovery_days
  tags                    = var.labels
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id                = aws_secretsmanager_secret.this.id
  secret_string_wo         = var.value
  secret_string_wo_version = var.value_version
}
