# Lets the other cloud's functions in, each to one topic, and without a key: AWS says who they are, and Google believes it for an
# hour at a time. A function there shows Google a signed question to AWS, who it is, which Google asks.

locals {
  # arn:aws:iam::123456789012:role/hito-beacon-eu-west-1 is arn:aws:sts::123456789012:assumed-role/hito-beacon-eu-west-1 while a
  # function runs as it.
  parts   = { for f, arn in var.callers : f => split(":", arn) }
  assumed = { for f, p in local.parts : f => "arn:${p[1]}:sts::${p[4]}:assumed-role/${trimprefix(p[5], "role/")}" }

  pool     = "projects/${var.project_number}/locations/global/workloadIdentityPools/${var.name}-peer"
  provider = "${local.pool}/providers/aws"
  emails   = { for f in keys(var.callers) : f => "${var.name}-peer-${f}@${var.account}.iam.gserviceaccount.com" }
}

resource "google_iam_workload_identity_pool" "this" {
  project                   = var.account
  workload_identity_pool_id = "${var.name}-peer"
  display_name              = "${var.name}-peer"
  description               = "The other cloud's functions of ${var.name}."
}

# Of one account, whoever asks; and of that account only the two functions get a token at all.
# https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds#mappings-and-conditions
resource "google_iam_workload_identity_pool_provider" "this" {
  project                            = var.account
  workload_identity_pool_id          = google_iam_workload_identity_pool.this.workload_identity_pool_id
  workload_identity_pool_provider_id = "aws"
  display_name                       = "aws"
  description                        = "The AWS account of ${var.name}."

  aws {
    account_id = local.parts.beacon[4]
  }

  attribute_mapping = {
    "google.subject"     = "assertion.arn"
    "attribute.aws_role" = "assertion.arn.contains('assumed-role') ? assertion.arn.extract('{account_arn}assumed-role/') + 'assumed-role/' + assertion.arn.extract('assumed-role/{role_name}/') : assertion.arn"
  }
  attribute_condition = "attribute.aws_role in ['${join("', '", sort(values(local.assumed)))}']"
}

resource "google_service_account" "this" {
  for_each = var.callers

  project      = var.account
  account_id   = "${var.name}-peer-${each.key}"
  display_name = "${var.name}-peer-${each.key}"
  description  = "Who the ${each.key} of ${var.name} in the other cloud is here."
}

resource "google_service_account_iam_member" "this" {
  for_each = var.callers

  service_account_id = "projects/${var.account}/serviceAccounts/${local.emails[each.key]}"
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${local.pool}/attribute.aws_role/${local.assumed[each.key]}"

  depends_on = [google_service_account.this, google_iam_workload_identity_pool.this]
}

resource "google_pubsub_topic_iam_member" "this" {
  for_each = var.callers

  project = var.account
  topic   = var.streams[each.key]
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.emails[each.key]}"

  depends_on = [google_service_account.this]
}
