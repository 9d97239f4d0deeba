# Its own state: capacity is set when a table is made, and is autoscaling's from then on.

mock_provider "aws" {}

variables {
  account = "123456789012"
  region  = "eu-west-1"
  name    = "hito"
  indexes = { quarantine = { key = "q", sort = "at" } }
}

run "provisioned" {
  variables {
    capacity = { read_min = 10, read_max = 1000, write_min = 20, write_max = 2000 }
  }

  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PROVISIONED" && aws_dynamodb_table.this.read_capacity == 10 && aws_dynamodb_table.this.write_capacity == 20
    error_message = "With capacity the table is provisioned, and begins with the minimum."
  }
  assert {
    condition     = keys(aws_appautoscaling_policy.this) == ["index-quarantine-read", "index-quarantine-write", "table-read", "table-write"]
    error_message = "The table and its index must scale, for reads and for writes."
  }
  assert {
    condition     = aws_appautoscaling_target.this["index-quarantine-write"].resource_id == "table/hito/index/quarantine" && aws_appautoscaling_target.this["index-quarantine-write"].max_capacity == 2000
    error_message = "The index scales for itself."
  }
  assert {
    condition     = aws_appautoscaling_policy.this["table-write"].target_tracking_scaling_policy_configuration[0].target_value == 70
    error_message = "Scaling aims at 70 percent."
  }
}
