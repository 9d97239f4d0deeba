# What a month may cost, and who is told before it does.

variable "budget" {
  description = "monthly: what a month may cost, in US dollars. emails: who is told when it is forecast to come to half, four fifths and all of it. labelled: count only what has this install's label, once it is activated as a cost allocation tag; else the whole account. null: no budget."
  type = object({
    monthly  = number
    emails   = set(string)
    labelled = optional(bool, false)
  })
  default = null
}

module "budget" {
  source = "../../modules/aws/budget"
  count  = var.budget == null ? 0 : 1

  name           = "${var.name}-${var.region}" # budgets are the whole account's
  monthly        = var.budget.monthly
  emails         = var.budget.emails
  labels_counted = var.budget.labelled ? { install = var.name } : {}
  labels         = local.labels
}
