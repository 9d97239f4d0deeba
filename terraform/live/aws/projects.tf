# Projects: rules and public keys in a bucket, which functions look at again and again; secret keys in a secret.

locals {
  project_files = setsubtract(fileset(var.projects_dir, "*.yaml"), ["keys.yaml"])
}

module "projects" {
  source = "../../modules/aws/bucket"

  region        = var.region
  name          = "${var.name}-projects-${var.account}-${var.region}"
  versioning    = true
  force_destroy = !var.deletion_protection

  objects = merge(
    { for file in local.project_files : "projects/${file}" => {
      content      = file("${var.projects_dir}/${file}")
      content_type = "application/yaml"
    } },
    { "projects/keys.yaml" = {
      content      = yamlencode({ for project, keys in var.write_keys : project => { write = keys } })
      content_type = "application/yaml"
    } },
  )

  lifecycle_rules = {
    old-versions = { expire_old_versions_days = 90 }
  }

  encryption_key = var.encryption_key
  labels         = local.labels
}

# Made up anew with every plan, and forgotten: written only with a new secret_keys_version.
ephemeral "aws_secretsmanager_random_password" "key" {
  provider = aws.keys
  for_each = var.generate_secret_keys ? toset(keys(var.write_keys)) : toset([])

  password_length     = 40
  exclude_punctuation = true
}

module "secret" {
  source = "../../modules/aws/secret"

  account     = var.account
  region      = var.region
  name        = "${var.name}-keys"
  description = "Secret keys that profiles are read and erased with, by project, in YAML."
  value = yamlencode({
    for project in keys(var.write_keys) : project => {
      secret = concat(
        [for name, key in ephemeral.aws_secretsmanager_random_password.key : key.random_password if name == project],
        lookup(var.secret_keys, project, []),
      )
    }
  })
  value_version  = var.secret_keys_version
  recovery_days  = var.deletion_protection ? 30 : 0
  encryption_key = var.encryption_key
  labels         = local.labels
}
