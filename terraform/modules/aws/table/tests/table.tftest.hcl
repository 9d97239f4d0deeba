mock_provider "aws" {}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito"
  indexes = { quarantine = { key = "q", sort = "at" } }
}

run "keeps_what_it_has" {
  assert {
    condition     = aws_dynamodb_table.this.point_in_time_recovery[0].enabled && aws_dynamodb_table.this.point_in_time_recovery[0].recovery_period_in_days == 35
    error_message = "The table must be restorable."
  }
  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "The table must be protected."
  }
  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].enabled
    error_message = "The table must be encrypted with a key that can be audited."
  }
  assert {
    condition     = aws_dynamodb_table.this.ttl[0].enabled && aws_dynamodb_table.this.ttl[0].attribute_name == "ttl"
    error_message = "Items must expire by ttl."
  }
}

run "keys" {
  assert {
    condition     = aws_dynamodb_table.this.hash_key == "pk" && aws_dynamodb_table.this.range_key == null
    error_message = "The table has one key, pk."
  }
  assert {
    condition     = { for a in aws_dynamodb_table.this.attribute : a.name => a.type } == { at = "S", pk = "S", q = "S" }
    error_message = "Keys are strings."
  }
  assert {
    condition     = [for i in aws_dynamodb_table.this.global_secondary_index : "${i.name} ${i.hash_key} ${i.range_key} ${i.projection_type}"] == ["quarantine q at ALL"]
    error_message = "The index finds by q, in order of at, and has everything."
  }
  assert {
    condition     = output.arn == "arn:aws:dynamodb:eu-west-1:123456789012:table/hito" && output.index_arns["quarantine"] == "${output.arn}/index/quarantine"
    error_message = "ARNs are wrong."
  }
}

run "on_demand" {
  variables {
    limits = { read = 4000, write = 2000 }
  }

  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST" && length(aws_appautoscaling_target.this) == 0
    error_message = "Without capacity the table is on demand."
  }
  assert {
    condition     = alltrue([for t in concat(aws_dynamodb_table.this.on_demand_throughput, flatten(aws_dynamodb_table.this.global_secondary_index[*].on_demand_throughput)) : t.max_read_request_units == 4000 && t.max_write_request_units == 2000])
    error_message = "Limits must bound the table and its index."
  }
}

run "without" {
  variables {
    recovery_days       = 0
    expiry              = null
    deletion_protection = false
    indexes             = {}
  }

  assert {
    condition     = !aws_dynamodb_table.this.point_in_time_recovery[0].enabled && length(aws_dynamodb_table.this.ttl) == 0 && length(aws_dynamodb_table.this.attribute) == 1
    error_message = "What was not asked for must not be there."
  }
}

run "capacity_and_limits" {
  command = plan
  variables {
    capacity = { read_min = 1, read_max = 1, write_min = 1, write_max = 1 }
    limits   = { read = 1, write = 1 }
  }
  expect_failures = [aws_dynamodb_table.this]
}

# Every validated variable has a value that is refused.

run "bad" {
  command = plan

  variables {
    account        = ""
    region         = "eu_west_1"
    name           = "hi"
    key            = ""
    indexes        = { q = { key = "q" } }
    expiry         = "Time to live"
    capacity       = { read_min = 10, read_max = 5, write_min = 1, write_max = 1 }
    limits         = { read = 0, write = 1 }
    recovery_days  = 36
    encryption_key = "alias/mine"
    labels         = { "aws:mine" = "no" }
  }

  expect_failures = [
    var.account, var.region, var.name, var.key, var.indexes,
    var.expiry, var.capacity, var.limits, var.recovery_days, var.encryption_key,
    var.labels,
  ]
}
