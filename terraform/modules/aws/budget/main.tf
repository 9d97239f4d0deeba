# What a month may cost, and who is told before it does: AWS Budgets. It tells, it stops nothing; the first two budgets of an
# account cost nothing.

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = var.labels

  dynamic "cost_filter" {
    for_each = length(var.labels_counted) == 0 ? [] : [[for k, v in var.labels_counted : format("user:%s$%s", k, v)]]
    content {
      name   = "TagKeyValue"
      values = cost_filter.value
    }
  }

  dynamic "notification" {
    for_each = concat([for p in var.percent : { type = "FORECASTED", percent = p }], [{ type = "ACTUAL", percent = 100 }])
    content {
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value.percent
      threshold_type             = "PERCENTAGE"
      notification_type          = notification.value.type
      subscriber_email_addresses = var.emails
    }
  }
}
