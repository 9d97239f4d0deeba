# What a month may cost, and who is told before it does.

variable "budget" {
  description = "billing_account: which pays for the project, such as 01AB23-45CD67-89EF01; who applies must be allowed to make budgets there. monthly: what a month may cost, in its currency. emails: who is told when it is forecast to come to half, four fifths and all of it. labelled: count only what has this install's label; else the whole project. null: no budget."
  type = object({
    billing_account = string
    monthly         = number
    emails          = set(string)
    labelled        = optional(bool, false)
  })
  default = null
}

# Cloud Billing asks which project's quota it is asked by, where others know by what is made.
provider "google" {
  alias                 = "billing"
  project               = var.account
  billing_project       = var.account
  user_project_override = true
}

module "budget" {
  source    = "../../modules/gcp/budget"
  count     = var.budget == null ? 0 : 1
  providers = { google = google.billing }

  account         = var.account
  project_number  = var.project_number
  billing_account = var.budget.billing_account
  name            = var.name
  monthly         = var.budget.monthly
  emails          = var.budget.emails
  labels_counted  = var.budget.labelled ? { install = var.name } : {}
  labels          = local.labels

  depends_on = [google_project_service.this]
}
