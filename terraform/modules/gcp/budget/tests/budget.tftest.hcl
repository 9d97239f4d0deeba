mock_provider "google" {}

variables {
  account         = "mycompany-web"
  project_number  = "123456789012"
  billing_account = "01AB23-45CD67-89EF01"
  name            = "hito"
  monthly         = 500
  emails          = ["team@shop.example"]
}

run "defaults" {
  assert {
    condition     = google_billing_budget.this.amount[0].specified_amount[0].units == "500" && google_billing_budget.this.amount[0].specified_amount[0].nanos == 0
    error_message = "It must be for so much."
  }
  assert {
    condition     = google_billing_budget.this.budget_filter[0].projects == toset(["projects/123456789012"]) && google_billing_budget.this.budget_filter[0].calendar_period == "MONTH" && length(google_billing_budget.this.budget_filter[0].labels) == 0
    error_message = "The whole project's month must be counted, and no other project's."
  }
  assert {
    condition     = toset([for r in google_billing_budget.this.threshold_rules : r.threshold_percent if r.spend_basis == "FORECASTED_SPEND"]) == toset([0.5, 0.8, 1])
    error_message = "It must tell of half, four fifths and all of it, as soon as they are forecast."
  }
  assert {
    condition     = [for r in google_billing_budget.this.threshold_rules : r.threshold_percent if r.spend_basis == "CURRENT_SPEND"] == [1]
    error_message = "It must tell when all of it is spent."
  }
  assert {
    condition     = google_billing_budget.this.all_updates_rule[0].monitoring_notification_channels == tolist([google_monitoring_notification_channel.this["team@shop.example"].id]) && google_monitoring_notification_channel.this["team@shop.example"].labels.email_address == "team@shop.example"
    error_message = "It must tell whom it was asked to."
  }
}

run "one_install" {
  variables {
    monthly        = 99.5
    labels_counted = { install = "hito" }
  }
  assert {
    condition     = google_billing_budget.this.budget_filter[0].labels.install == "hito"
    error_message = "It must count only what has the label."
  }
  assert {
    condition     = google_billing_budget.this.amount[0].specified_amount[0].units == "99" && google_billing_budget.this.amount[0].specified_amount[0].nanos == 500000000
    error_message = "It must be for so much."
  }
}

run "bad_settings" {
  command = plan
  variables {
    account         = "123456789012"
    project_number  = "mycompany-web"
    billing_account = "mine"
    name            = "My budget"
    monthly         = 0
    percent         = []
    emails          = ["team"]
    labels_counted  = { install = "hito", team = "web" }
  }
  expect_failures = [var.account, var.project_number, var.billing_account, var.name, var.monthly, var.percent, var.emails, var.labels_counted]
}
