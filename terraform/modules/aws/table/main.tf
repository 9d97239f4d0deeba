# A table of items found by one key, with indexes, expiry and backups: DynamoDB.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  arn       = "arn:${local.partition}:dynamodb:${var.region}:${var.account}:table/${var.name}"
  on_demand = var.capacity == null
  attributes = toset(concat([var.key],
    [for i in values(var.indexes) : i.key],
  [for i in values(var.indexes) : i.sort if i.sort != null]))
}

resource "aws_dynamodb_table" "this" {
  name                        = var.name
  billing_mode                = local.on_demand ? "PAY_PER_REQUEST" : "PROVISIONED"
  hash_key                    = var.key
  read_capacity               = local.on_demand ? null : var.capacity.read_min
  write_capacity              = local.on_demand ? null : var.capacity.write_min
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.labels

  dynamic "attribute" {
    for_each = local.attributes

    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = var.indexes

    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value.key
      range_key       = global_secondary_index.value.sort
      projection_type = "ALL"
      read_capacity   = local.on_demand ? null : var.capacity.read_min
      write_capacity  = local.on_demand ? null : var.capacity.write_min

      dynamic "on_demand_throughput" {
        for_each = local.on_demand && var.limits != null ? [var.limits] : []

        content {
          max_read_request_units  = on_demand_throughput.value.read
          max_write_request_units = on_demand_throughput.value.write
        }
      }
    }
  }

  dynamic "on_demand_throughput" {
    for_each = local.on_demand && var.limits != null ? [var.limits] : []

    content {
      max_read_request_units  = on_demand_throughput.value.read
      max_write_request_units = on_demand_throughput.value.write
    }
  }

  dynamic "ttl" {
    for_each = var.expiry == null ? [] : [var.expiry]

    content {
      attribute_name = ttl.value
      enabled        = true
    }
  }

  point_in_time_recovery {
    enabled                 = var.recovery_days > 0
    recovery_period_in_days = var.recovery_days > 0 ? var.recovery_days : null
  }

  # false would not mean unencrypted, but the key that the service owns: one that no audit sees.
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.encryption_key
  }

  lifecycle {
    # Autoscaling owns these; a plan must not take back under load what it gave. The price: limits and
    # keys of an index that exists are changed by removing the index here first.
    ignore_changes = [read_capacity, write_capacity, global_secondary_index]

    precondition {
      condition     = var.capacity == null || var.limits == null
      error_message = "limits bound on-demand throughput: give them only without capacity, whose maxima bound provisioned throughput."
    }
  }
}

# The table and each index scale for themselves: an index that lags throttles the writes of its table.
locals {
  scaled = local.on_demand ? {} : merge([
    for id, resource in merge(
      { table = { id = "table/${aws_dynamodb_table.this.name}", kind = "table" } },
      { for name in keys(var.indexes) : "index-${name}" => { id = "table/${aws_dynamodb_table.this.name}/index/${name}", kind = "index" } },
      ) : {
      "${id}-read"  = { resource = resource.id, dimension = "dynamodb:${resource.kind}:ReadCapacityUnits", metric = "DynamoDBReadCapacityUtilization", min = var.capacity.read_min, max = var.capacity.read_max }
      "${id}-write" = { resource = resource.id, dimension = "dynamodb:${resource.kind}:WriteCapacityUnits", metric = "DynamoDBWriteCapacityUtilization", min = var.capacity.write_min, max = var.capacity.write_max }
    }
  ]...)
}

resource "aws_appautoscaling_target" "this" {
  for_each = local.scaled

  service_namespace  = "dynamodb"
  resource_id        = each.value.resource
  scalable_dimension = each.value.dimension
  min_capacity       = each.value.min
  max_capacity       = each.value.max
  tags               = var.labels
}

resource "aws_appautoscaling_policy" "this" {
  for_each = local.scaled

  name               = "${var.name}-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[each.key].service_namespace
  resource_id        = aws_appautoscaling_target.this[each.key].resource_id
  scalable_dimension = aws_appautoscaling_target.this[each.key].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.capacity.utilization
    scale_in_cooldown  = 300
    scale_out_cooldown = 30

    predefined_metric_specification {
      predefined_metric_type = each.value.metric
    }
  }
}
