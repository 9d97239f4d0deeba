# A function with everything that is its own: service account, address, triggers. A Cloud Run service.

locals {
  # Made of what is known before anything exists, so that a plan shows every right in full.
  account = "${var.name}@${var.account}.iam.gserviceaccount.com"
  member  = "serviceAccount:${local.account}"
  address = "https://${var.name}-${var.project_number}.${var.region}.run.app"
  pubsub  = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  built = var.package != null
  hash  = local.built ? filesha256(var.package) : null
  image = local.built ? "${var.build.repository}/${var.name}:${substr(local.hash, 0, 32)}" : var.image
  base  = local.built ? "${var.region}-docker.pkg.dev/serverless-runtimes/${var.build.base}" : null

  environment = merge(
    {
      HITO_TIMEOUT = "${var.timeout_seconds}s"
      # Garbage is collected harder near all of it: beyond, the instance is killed with every request that it has. The
      # rest is for what Go does not count.
      GOMEMLIMIT = "${floor(var.memory_mb * 9 / 10)}MiB"
    },
    # Cloud Run sets it for what it knows as a function, and refuses it from others.
    local.built ? {} : { FUNCTION_TARGET = var.target },
    var.environment,
  )
  # Cloud Run limits instances, not calls.
  instances = var.concurrency == null ? null : ceil(var.concurrency / var.requests_per_instance)
}

resource "google_service_account" "this" {
  project      = var.account
  account_id   = var.name
  display_name = var.name
  description  = "What the function ${var.name} runs as."
}

# Called by its content, so that a new package is a new object, and a new version.
resource "google_storage_bucket_object" "package" {
  count = local.built ? 1 : 0

  bucket = var.build.bucket
  name   = "${var.name}/${local.hash}.zip"
  source = var.package
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.account
  location            = var.region
  name                = var.name
  description         = var.description
  deletion_protection = false # nothing is lost with it
  labels              = var.labels

  ingress = var.url == null ? "INGRESS_TRAFFIC_INTERNAL_ONLY" : var.url.load_balancer ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"
  # Tokens can be made out to it before there is an address, and whatever the address is.
  custom_audiences = [var.name]

  # Of the service and not of a version: instances are kept warm where calls go.
  dynamic "scaling" {
    for_each = var.warm_instances > 0 ? [var.warm_instances] : []

    content {
      min_instance_count = scaling.value
    }
  }

  # What the image is of. It says so only: the image itself is built before, as the output build says.
  # https://github.com/hashicorp/terraform-provider-google/issues/22263
  dynamic "build_config" {
    for_each = local.built ? [var.build] : []

    content {
      source_location          = "gs://${google_storage_bucket_object.package[0].bucket}/${google_storage_bucket_object.package[0].name}"
      function_target          = var.target
      image_uri                = local.image
      base_image               = local.base
      enable_automatic_updates = true
      service_account          = "projects/${var.account}/serviceAccounts/${build_config.value.account}"
    }
  }

  template {
    service_account                  = local.account
    timeout                          = "${var.timeout_seconds}s"
    max_instance_request_concurrency = var.requests_per_instance
    encryption_key                   = var.encryption_key

    dynamic "scaling" {
      for_each = local.instances == null ? [] : [local.instances]

      content {
        max_instance_count = scaling.value
      }
    }

    containers {
      image          = local.image
      base_image_uri = local.base

      resources {
        cpu_idle          = var.billing == "request"
        startup_cpu_boost = true
        limits            = { cpu = tostring(var.cpu), memory = "${var.memory_mb}Mi" }
      }

      dynamic "env" {
        for_each = local.environment

        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  # A new version gets all calls at once or, with canary, some of them.
  dynamic "traffic" {
    for_each = local.traffic

    content {
      type     = traffic.value.revision == null ? "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST" : "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
      revision = traffic.value.revision
      percent  = traffic.value.percent
    }
  }

  # The function must not run before it may, nor stay when it may not, nor be deployed before it is built.
  depends_on = [
    google_service_account.this, google_pubsub_topic_iam_member.this, google_storage_bucket_iam_member.this,
    google_bigtable_table_iam_member.this, google_bigtable_instance_iam_member.this, google_project_iam_member.database, google_secret_manager_secret_iam_member.this, var.built,
  ]
}

locals {
  share = var.canary == null ? 100 : floor(var.canary.weight * 100 + 0.5)
  traffic = concat(
    var.canary == null ? [] : [{ revision = var.canary.stable_version, percent = 100 - local.share }],
    local.share == 0 ? [] : [{ revision = null, percent = local.share }],
  )
}

# Pulls instead of being called. Instances are as many as are asked for, and have their processors always.
resource "google_cloud_run_v2_service" "worker" {
  count = var.workers > 0 ? 1 : 0

  project             = var.account
  location            = var.region
  name                = "${var.name}-worker"
  description         = var.description
  deletion_protection = false
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY" # nobody calls it, nor may
  labels              = var.labels

  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = var.workers
  }

  template {
    service_account = local.account
    encryption_key  = var.encryption_key

    containers {
      image = local.image

      resources {
        cpu_idle          = false
        startup_cpu_boost = true
        limits            = { cpu = tostring(var.cpu), memory = "${var.memory_mb}Mi" }
      }

      dynamic "env" {
        for_each = merge(local.environment, { HITO_SUBSCRIPTION = one([for t in values(var.stream_triggers) : "projects/${var.account}/subscriptions/${t.subscription}"]) })

        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  depends_on = [
    google_service_account.this, google_pubsub_topic_iam_member.this, google_storage_bucket_iam_member.this,
    google_bigtable_table_iam_member.this, google_bigtable_instance_iam_member.this, google_project_iam_member.database, google_secret_manager_secret_iam_member.this, google_pubsub_subscription_iam_member.worker,
  ]
}
