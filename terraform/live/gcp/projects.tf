# Projects: rules and public keys in a bucket, which functions look at again and again; secret keys in a secret.

locals {
  project_files = setsubtract(fileset(var.projects_dir, "*.yaml"), ["keys.yaml"])
}

module "projects" {
  source = "../../modules/gcp/bucket"

  account       = var.account
  region        = var.region
  name          = "${var.name}-projects-${var.account}"
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

  depends_on = [google_project_service.this]
}

# Nothing of Google's makes keys up, so that they are given, or added to the secret later, past Terraform: see next_steps.
module "secret" {
  source = "../../modules/gcp/secret"

  account        = var.account
  region         = var.region
  name           = "${var.name}-keys"
  description    = "Secret keys that profiles are read and erased with, by project, in YAML."
  value          = yamlencode({ for project in keys(var.write_keys) : project => { secret = lookup(var.secret_keys, project, []) } })
  value_version  = var.secret_keys_version
  recovery_days  = var.deletion_protection ? 30 : 0
  encryption_key = var.encryption_key
  labels         = local.labels

  depends_on = [google_project_service.this]
}
