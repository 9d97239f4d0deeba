# What a month may cost, and who is told before it does: a budget of Cloud Billing. It tells, it stops nothing, and costs nothing.

resource "google_monitoring_notification_channel" "this" {
  for_each = var.emails

  project      = var.account
  display_name = "${var.name} budget"
  type         = "email"
  labels       = { email_address = each.key }
  user_labels  = var.labels
}

resource "google_billing_budget" "this" {
  billing_account = var.billing_account
  display_name    = var.name

  amount {
    # In the billing account's own currency: another is refused.
    specified_amount {
      units = tostring(floor(var.monthly))
      nanos = floor((var.monthly - floor(var.monthly)) * 1000000000)
    }
  }

  budget_filter {
    projects        = ["projects/${var.project_number}"] # by its number, which Google makes of an id
    labels          = var.labels_counted
    calendar_period = "MONTH"
  }

  dynamic "threshold_rules" {
    for_each = concat([for p in var.percent : { basis = "FORECASTED_SPEND", percent = p }], [{ basis = "CURRENT_SPEND", percent = 100 }])

    content {
      spend_basis       = threshold_rules.value.basis
      threshold_percent = threshold_rules.value.percent / 100
    }
  }

  all_updates_rule {
    monitoring_notification_channels = [for c in google_monitoring_notification_channel.this : c.id]
    disable_default_iam_recipients   = true # who administers the billing account is told only when asked for
  }
}
