# The functions, and exactly what each may do.

locals {
  # Handlers spend microseconds per event and wait for the services around them, so that many calls share a processor.
  # Memory is bought where there are many events at a time.
  default_size = {
    beacon  = { memory_mb = 512, timeout_seconds = 10 }
    enrich  = { memory_mb = 1024, timeout_seconds = 30 }
    score   = { memory_mb = 1024, timeout_seconds = 60 }
    profile = { memory_mb = 512, timeout_seconds = 30 }
    relay   = { memory_mb = 512, timeout_seconds = 60 }
  }
  size = { for f, size in local.default_size : f => {
    image                 = try(var.functions[f].image, null)
    memory_mb             = try(coalesce(var.functions[f].memory_mb), size.memory_mb)
    cpu                   = try(coalesce(var.functions[f].cpu), 1)
    timeout_seconds       = try(coalesce(var.functions[f].timeout_seconds), size.timeout_seconds)
    concurrency           = try(var.functions[f].concurrency, null)
    requests_per_instance = try(coalesce(var.functions[f].requests_per_instance), 80)
    billing               = try(coalesce(var.functions[f].billing), "request")
    warm_instances        = try(coalesce(var.functions[f].warm_instances), 0)
    workers               = try(coalesce(var.functions[f].workers), 0)
    canary                = try(var.functions[f].canary, null)
  } }

  # Cloud Run's front end adds whom it got a request from, and a load balancer before it the same and itself. As long as there is a
  # way around that, who takes it must not be believed.
  trusted_proxies = var.trusted_proxies + (local.closed ? 2 : 1)
}

# What several of them are told, and may do.
locals {
  environment = merge(
    {
      HITO_LOG             = "json"
      HITO_PROJECTS_BUCKET = module.projects.name
      HITO_TABLE           = local.table.id
    },
    { for t in module.table : "HITO_APP_PROFILE" => t.app_profile },
  )

  # Cloud Run looks whether a caller may, and takes the signature off its token; the function looks at the rest.
  pushed = {
    HITO_PUSH_ACCOUNT = local.push_account
    HITO_PUSH_CHECKED = "true"
  }

  read_projects = {
    # What is configured, and what of it was last good: there is nothing else in the bucket.
    ReadProjects = { role = "roles/storage.objectViewer", kind = "bucket", id = module.projects.name }
  }

  tell_peer = var.peer == null ? {} : {
    # What relay takes to the other cloud: who entered or left a segment here.
    TellPeer = { role = "roles/pubsub.publisher", kind = "topic", id = module.enriched.id }
  }

  # Rights end at the table, or the database: whoever books may write all of it.
  table = one(concat(
    [for t in module.table : { id = t.id, kind = "table", user = "roles/bigtable.user", reader = "roles/bigtable.reader" }],
    [for d in module.database : { id = d.id, kind = "database", user = "roles/datastore.user", reader = "roles/datastore.viewer" }],
  ))
  open_table = { for t in module.table : "OpenTable" => t.open }
  write_books = {
    WriteBooks = { role = local.table.user, kind = local.table.kind, id = local.table.id }
  }
}

module "beacon" {
  source = "../../modules/gcp/function"

  account               = var.account
  project_number        = var.project_number
  region                = var.region
  name                  = "${var.name}-beacon"
  description           = "Takes events and puts them on the raw stream."
  target                = "beacon"
  package               = local.size.beacon.image == null ? "${var.artifacts_dir}/beacon.zip" : null
  build                 = local.build
  built                 = try(terraform_data.build["beacon"].id, null)
  image                 = local.size.beacon.image
  memory_mb             = local.size.beacon.memory_mb
  cpu                   = local.size.beacon.cpu
  timeout_seconds       = local.size.beacon.timeout_seconds
  concurrency           = local.size.beacon.concurrency
  requests_per_instance = local.size.beacon.requests_per_instance
  billing               = local.size.beacon.billing
  warm_instances        = local.size.beacon.warm_instances
  canary                = local.size.beacon.canary
  encryption_key        = var.encryption_key
  labels                = local.labels

  environment = merge(local.environment, local.peered.beacon, {
    HITO_RAW_STREAM      = module.raw.id
    HITO_TRUSTED_PROXIES = tostring(local.trusted_proxies)
  })

  permissions = merge(local.read_projects, local.open_table, local.write_books, {
    PublishRaw = { role = "roles/pubsub.publisher", kind = "topic", id = module.raw.id }
  })

  url = { load_balancer = local.closed }

  depends_on = [google_project_service.this]
}

module "enrich" {
  source = "../../modules/gcp/function"

  account               = var.account
  project_number        = var.project_number
  region                = var.region
  name                  = "${var.name}-enrich"
  description           = "Adds to every event what can be known from it, and passes it on to the enriched stream."
  target                = "enrich"
  package               = local.size.enrich.image == null ? "${var.artifacts_dir}/enrich.zip" : null
  build                 = local.build
  built                 = try(terraform_data.build["enrich"].id, null)
  image                 = local.size.enrich.image
  memory_mb             = local.size.enrich.memory_mb
  cpu                   = local.size.enrich.cpu
  timeout_seconds       = local.size.enrich.timeout_seconds
  concurrency           = local.size.enrich.concurrency
  requests_per_instance = local.size.enrich.requests_per_instance
  billing               = local.size.enrich.billing
  warm_instances        = local.size.enrich.warm_instances
  canary                = local.size.enrich.canary
  encryption_key        = var.encryption_key
  labels                = local.labels

  environment = merge(local.environment, local.pushed,
    {
      HITO_ENRICHED_STREAM = module.enriched.id
      HITO_PUSH_AUDIENCE   = "${var.name}-enrich"
    },
    var.archive == null ? {} : { HITO_ARCHIVE_STREAM = module.archive[0].stream_id },
  )

  permissions = merge(local.read_projects, local.open_table, local.write_books,
    {
      PublishEnriched = { role = "roles/pubsub.publisher", kind = "topic", id = module.enriched.id }
    },
    var.archive == null ? {} : {
      PublishRows = { role = "roles/pubsub.publisher", kind = "topic", id = module.archive[0].stream_id }
    },
  )

  workers      = local.size.enrich.workers
  push_account = local.push_account

  stream_triggers = {
    raw = { stream = module.raw.id, subscription = "${module.raw.name}-enrich", max_deliveries = var.max_deliveries }
  }

  depends_on = [google_project_service.this, google_service_account_iam_member.push]
}

module "score" {
  source = "../../modules/gcp/function"

  account               = var.account
  project_number        = var.project_number
  region                = var.region
  name                  = "${var.name}-score"
  description           = "Folds events into profiles and decides scores and segments."
  target                = "score"
  package               = local.size.score.image == null ? "${var.artifacts_dir}/score.zip" : null
  build                 = local.build
  built                 = try(terraform_data.build["score"].id, null)
  image                 = local.size.score.image
  memory_mb             = local.size.score.memory_mb
  cpu                   = local.size.score.cpu
  timeout_seconds       = local.size.score.timeout_seconds
  concurrency           = local.size.score.concurrency
  requests_per_instance = local.size.score.requests_per_instance
  billing               = local.size.score.billing
  warm_instances        = local.size.score.warm_instances
  canary                = local.size.score.canary
  encryption_key        = var.encryption_key
  labels                = local.labels

  environment = merge(local.environment, local.pushed,
    {
      HITO_ACTIONS_STREAM = module.actions.id
      HITO_PUSH_AUDIENCE  = "${var.name}-score"
    },
    var.peer == null ? {} : { HITO_ENRICHED_STREAM = module.enriched.id },
  )

  permissions = merge(local.read_projects, local.open_table, local.tell_peer, {
    KeepLastGood   = { role = "roles/storage.objectUser", kind = "bucket", id = module.projects.name, prefix = "lastgood/" }
    FoldProfiles   = { role = local.table.user, kind = local.table.kind, id = local.table.id }
    PublishActions = { role = "roles/pubsub.publisher", kind = "topic", id = module.actions.id }
  })

  workers      = local.size.score.workers
  push_account = local.push_account

  stream_triggers = {
    enriched = { stream = module.enriched.id, subscription = "${module.enriched.name}-score", max_deliveries = var.max_deliveries }
  }

  # Segments follow time and new rules without events: every minute a sixtieth of all profiles is decided anew.
  schedule_triggers = {
    sweep = { minutes = 1, enabled = var.sweep }
  }

  depends_on = [google_project_service.this, google_service_account_iam_member.push]
}

module "profile" {
  source = "../../modules/gcp/function"

  account               = var.account
  project_number        = var.project_number
  region                = var.region
  name                  = "${var.name}-profile"
  description           = "Reads and erases profiles."
  target                = "profile"
  package               = local.size.profile.image == null ? "${var.artifacts_dir}/profile.zip" : null
  build                 = local.build
  built                 = try(terraform_data.build["profile"].id, null)
  image                 = local.size.profile.image
  memory_mb             = local.size.profile.memory_mb
  cpu                   = local.size.profile.cpu
  timeout_seconds       = local.size.profile.timeout_seconds
  concurrency           = local.size.profile.concurrency
  requests_per_instance = local.size.profile.requests_per_instance
  billing               = local.size.profile.billing
  warm_instances        = local.size.profile.warm_instances
  canary                = local.size.profile.canary
  encryption_key        = var.encryption_key
  labels                = local.labels

  environment = merge(local.environment, {
    HITO_RAW_STREAM = module.raw.id
    HITO_SECRET     = module.secret.id
  })

  permissions = merge(local.read_projects, local.open_table, {
    ReadProfiles    = { role = local.table.reader, kind = local.table.kind, id = local.table.id }
    PublishErasures = { role = "roles/pubsub.publisher", kind = "topic", id = module.raw.id }
    ReadSecretKeys  = { role = "roles/secretmanager.secretAccessor", kind = "secret", id = module.secret.id }
  })

  url = { load_balancer = local.closed }

  depends_on = [google_project_service.this]
}
