# Packages become images: Google's Go buildpack builds them, in the project. Functions with an image need none of this.

locals {
  packaged = toset([for f, size in local.size : f if size.image == null && (f != "relay" || var.peer != null)])
  build = {
    bucket     = "${var.name}-source-${var.account}"
    repository = "${var.region}-docker.pkg.dev/${var.account}/${var.name}"
    account    = local.build_account
  }
}

module "source" {
  source = "../../modules/gcp/bucket"

  account        = var.account
  region         = var.region
  name           = local.build.bucket
  versioning     = false
  force_destroy  = true # whoever has the code can make packages anew
  encryption_key = var.encryption_key
  labels         = local.labels

  depends_on = [google_project_service.this]
}

resource "google_artifact_registry_repository" "this" {
  project       = var.account
  location      = var.region
  repository_id = var.name
  description   = "Images of the functions of ${var.name}."
  format        = "DOCKER"
  kms_key_name  = var.encryption_key
  labels        = local.labels

  # As far back as one may want to go.
  cleanup_policies {
    id     = "keep"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }
  cleanup_policies {
    id     = "old"
    action = "DELETE"
    condition {
      older_than = "${30 * 24 * 3600}s"
      tag_state  = "ANY"
    }
  }

  depends_on = [google_project_service.this]
}

# Builds run as it: it reads sources, writes images and logs.
resource "google_service_account" "build" {
  project      = var.account
  account_id   = "${var.name}-build"
  display_name = "${var.name}-build"
  description  = "What builds the functions of ${var.name}."

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = module.source.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${local.build_account}"

  depends_on = [google_service_account.build]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.account
  location   = var.region
  repository = google_artifact_registry_repository.this.repository_id
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${local.build_account}"

  depends_on = [google_service_account.build]
}

resource "google_project_iam_member" "build" {
  project = var.account
  role    = "roles/logging.logWriter"
  member  = "serviceAccount:${local.build_account}"

  depends_on = [google_service_account.build]
}

# The provider says of a service what it is built of, and builds nothing. So a script asks Cloud Run for it, once per
# package. https://github.com/hashicorp/terraform-provider-google/issues/22263
resource "terraform_data" "build" {
  for_each = local.packaged

  # What is built, and the repository that it is in: another one has no images.
  triggers_replace = [{
    beacon  = module.beacon.build
    enrich  = module.enrich.build
    score   = module.score.build
    profile = module.profile.build
    relay   = try(module.relay[0].build, null) # of one output alone, or it would wait for itself
  }[each.key], google_artifact_registry_repository.this.kms_key_name]

  provisioner "local-exec" {
    command     = "${path.module}/build.sh"
    environment = { BUILD = self.triggers_replace[0], PARENT = "projects/${var.account}/locations/${var.region}" }
  }

  depends_on = [google_storage_bucket_iam_member.build, google_artifact_registry_repository_iam_member.build, google_project_iam_member.build]
}
