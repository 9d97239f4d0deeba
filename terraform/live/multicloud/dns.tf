# The hostname that leads to both. Its zone, certificate and health checks are AWS' and global: when all of AWS were away, Route 53
# would still answer, and nobody could change what.

module "certificate_aws" {
  source = "../../modules/aws/certificate"
  count  = var.domain == null ? 0 : 1

  domain = var.domain.name
  zone   = var.domain.zone
  labels = local.labels
}

resource "google_project_service" "certificatemanager" {
  count = var.domain == null ? 0 : 1

  project            = var.gcp.account
  service            = "certificatemanager.googleapis.com"
  disable_on_destroy = false
}

module "certificate_gcp" {
  source = "../../modules/gcp/certificate"
  count  = var.domain == null ? 0 : 1

  account = var.gcp.account
  name    = var.name
  domain  = var.domain.name
  labels  = local.labels

  depends_on = [google_project_service.certificatemanager]
}

module "dns" {
  source = "../../modules/aws/dns"
  count  = var.domain == null ? 0 : 1

  name     = var.name
  zone     = var.domain.zone
  hostname = var.domain.name
  targets = {
    aws = { weight = var.weights.aws, alias = module.aws.edge_target }
    gcp = { weight = var.weights.gcp, ipv4 = module.gcp.edge_target.ipv4, ipv6 = module.gcp.edge_target.ipv6 }
  }
  proofs = { gcp = module.certificate_gcp[0].proof }
  labels = local.labels
}

# Route 53 tells of its health checks in us-east-1, wherever the installs are, so that their alarms are there, with a topic of their own.
module "observability" {
  source = "../../modules/aws/observability"
  count  = var.domain == null ? 0 : 1

  account       = var.aws.account
  region        = "us-east-1"
  name          = "${var.name}-edge"
  notify        = var.notify
  functions     = {}
  health_checks = module.dns[0].health_checks
  runbooks      = var.runbooks
  labels        = local.labels
}
