mock_provider "aws" {}

variables {
  name    = "hito"
  monthly = 500
  emails  = ["team@shop.example"]
}

run "defaults" {
  assert {
    condition     = aws_budgets_budget.this.limit_amount == "500" && aws_budgets_budget.this.limit_unit == "USD" && aws_budgets_budget.this.time_unit == "MONTHLY" && length(aws_budgets_budget.this.cost_filter) == 0
    error_message = "The whole account's month must be counted."
  }
  assert {
    condition     = toset([for n in aws_budgets_budget.this.notification : n.threshold if n.notification_type == "FORECASTED"]) == toset([50, 80, 100])
    error_message = "It must tell of half, four fifths and all of it, as soon as they are forecast."
  }
  assert {
    condition     = [for n in aws_budgets_budget.this.notification : n.threshold if n.notification_type == "ACTUAL"] == [100]
    error_message = "It must tell when all of it is spent."
  }
}

run "one_install" {
  variables {
    labels_counted = { install = "hito" }
  }
  assert {
    condition     = one([for f in aws_budgets_budget.this.cost_filter : f.values if f.name == "TagKeyValue"])[0] == "user:install$hito"
    error_message = "It must count only what has the label."
  }
}

run "bad_settings" {
  command = plan
  variables {
    name    = "My budget"
    monthly = 0
    percent = []
    emails  = ["team"]
  }
  expect_failures = [var.name, var.monthly, var.percent, var.emails]
}
