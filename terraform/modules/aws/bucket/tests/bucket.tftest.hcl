mock_provider "aws" {}

variables {
  region = "eu-west-1"
  name   = "hito-projects-123456789012-eu-west-1"
}

run "private" {
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "All public access must be blocked."
  }
  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must be off."
  }
  assert {
    condition = anytrue([for s in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      s.Effect == "Deny" && s.Action == "s3:*" && s.Condition.Bool["aws:SecureTransport"] == "false" && length(s.Resource) == 2
    ])
    error_message = "The bucket and its objects must refuse what does not come by TLS."
  }
  assert {
    condition     = alltrue([for s in jsondecode(aws_s3_bucket_policy.this.policy).Statement : s.Effect == "Deny"])
    error_message = "The bucket's policy must allow nothing to anybody."
  }
}

run "encrypted_and_versioned" {
  assert {
    condition     = [for r in aws_s3_bucket_server_side_encryption_configuration.this.rule : r.apply_server_side_encryption_by_default[0].sse_algorithm] == ["AES256"]
    error_message = "Objects must be encrypted."
  }
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "Old versions must be kept."
  }
  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "A bucket with objects must not go by accident."
  }
}

run "own_key" {
  variables {
    encryption_key = "arn:aws:kms:eu-west-1:123456789012:key/1234"
  }

  assert {
    condition = [for r in aws_s3_bucket_server_side_encryption_configuration.this.rule : "${r.apply_server_side_encryption_by_default[0].sse_algorithm} ${r.apply_server_side_encryption_by_default[0].kms_master_key_id} ${r.bucket_key_enabled}"] == [
      "aws:kms arn:aws:kms:eu-west-1:123456789012:key/1234 true"
    ]
    error_message = "The key must be used, and asked for once per bucket instead of once per object."
  }
}

run "lifecycle" {
  variables {
    lifecycle_rules = {
      archive      = { prefix = "events/", archive_days = 30, expire_days = 400 }
      old-versions = { expire_old_versions_days = 90 }
    }
  }

  assert {
    condition     = [for r in aws_s3_bucket_lifecycle_configuration.this.rule : r.id] == ["abandoned-uploads", "archive", "old-versions"]
    error_message = "Every rule, and the one for abandoned uploads, must be there."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "Abandoned uploads must go."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[1].filter[0].prefix == "events/" && aws_s3_bucket_lifecycle_configuration.this.rule[1].expiration[0].days == 400
    error_message = "A rule must be about its prefix."
  }
  assert {
    condition     = [for t in aws_s3_bucket_lifecycle_configuration.this.rule[1].transition : "${t.days} ${t.storage_class}"] == ["30 GLACIER_IR"]
    error_message = "A rule must archive."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[2].noncurrent_version_expiration[0].noncurrent_days == 90
    error_message = "A rule must delete old versions."
  }
}

run "objects" {
  variables {
    objects = { "projects/shop.yaml" = { content = "settings: {}\n", content_type = "application/yaml" } }
  }

  assert {
    condition     = aws_s3_object.this["projects/shop.yaml"].content == "settings: {}\n" && aws_s3_object.this["projects/shop.yaml"].source_hash == md5("settings: {}\n")
    error_message = "The object must have the content, and follow it."
  }
}

# Every validated variable has a value that is refused.

run "bad_1" {
  command = plan

  variables {
    region          = "nowhere"
    name            = "hito_projects"
    lifecycle_rules = { nothing = { prefix = "a/" } }
    objects         = { "/shop.yaml" = { content = "{}" } }
    encryption_key  = "mine"
    labels          = { "aws:mine" = "no" }
  }

  expect_failures = [
    var.region, var.name, var.lifecycle_rules, var.objects,
    var.encryption_key, var.labels,
  ]
}

run "bad_2" {
  command = plan

  variables {
    lifecycle_rules = { late = { archive_days = 30, expire_days = 30 } }
  }

  expect_failures = [var.lifecycle_rules]
}

run "bad_too_young" {
  command = plan

  variables {
    lifecycle_rules = { young = { archive_days = 7, archive_class = "STANDARD_IA" } }
    labels          = { for i in range(11) : "label-${i}" => "x" } # more than an object takes
  }

  expect_failures = [var.lifecycle_rules, var.labels]
}

run "bad_3" {
  command = plan

  variables {
    lifecycle_rules = { cold = { archive_days = 30, archive_class = "COLD" } }
  }

  expect_failures = [var.lifecycle_rules]
}
