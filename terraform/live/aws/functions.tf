# The functions, and exactly what each may do.

locals {
  # One processor is 1,769 MB. Handlers spend microseconds per event and wait for the services around
  # them, so memory is bought where there is computing: enrich parses user agents, score folds and
  # evaluates rules.
  default_size = {
    beacon  = { memory_mb = 512, timeout_seconds = 10, concurrency = null, warm_instances = 0, canary = null }
    enrich  = { memory_mb = 1024, timeout_seconds = 30, concurrency = null, warm_instances = 0, canary = null }
    score   = { memory_mb = 1769, timeout_seconds = 60, concurrency = null, warm_instances = 0, canary = null }
    profile = { memory_mb = 512, timeout_seconds = 30, concurrency = null, warm_instances = 0, canary = null }
    relay   = { memory_mb = 512, timeout_seconds = 60, concurrency = null, warm_instances = 0, canary = null }
  }
  size = { for f, size in local.default_size : f => {
    memory_mb       = try(coalesce(var.functions[f].memory_mb), size.memory_mb)
    timeout_seconds = try(coalesce(var.functions[f].timeout_seconds), size.timeout_seconds)
    concurrency     = try(var.functions[f].concurrency, size.concurrency)
    warm_instances  = try(coalesce(var.functions[f].warm_instances), size.warm_instances)
    canary          = try(var.functions[f].canary, size.canary)
  } }

  # CloudFront begins X-Forwarded-For anew: see the module edge.
  trusted_proxies = var.edge.kind == "cloudfront" ? 1 : var.trusted_proxies
}

# What several of them may do.
locals {
  read_projects = {
    # What is configured, and what of it was last good.
    ReadProjects = {
      actions   = ["s3:GetObject"]
      resources = ["${module.projects.arn}/projects/*", "${module.projects.arn}/lastgood/*"]
    }
  }

  tell_peer = var.peer == null ? {} : {
    # What relay takes to the other cloud: who entered or left a segment here.
    TellPeer = {
      actions   = ["kinesis:PutRecords"]
      resources = [module.enriched.arn]
    }
  }

  # An entry of the quarantine is written with the ledger's totals, in one transaction: of each of its
  # writes AWS asks for the right to do it alone. Keys begin with what an item is: f/ a fragment, l/ the
  # ledger, q/ the quarantine.
  write_books = {
    WriteBooks = {
      actions    = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources  = [module.table.arn]
      conditions = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["l/*", "q/*"] } }
    }
  }
}

module "beacon" {
  source = "../../modules/aws/function"

  account            = var.account
  region             = var.region
  name               = "${var.name}-beacon"
  description        = "Takes events and puts them on the raw stream."
  package            = "${var.artifacts_dir}/beacon.zip"
  memory_mb          = local.size.beacon.memory_mb
  timeout_seconds    = local.size.beacon.timeout_seconds
  concurrency        = local.size.beacon.concurrency
  warm_instances     = local.size.beacon.warm_instances
  canary             = local.size.beacon.canary
  tracing            = var.tracing
  log_retention_days = var.log_retention_days
  encryption_key     = var.encryption_key
  labels             = local.labels

  environment = merge(local.peered.beacon, {
    HITO_LOG             = "json"
    HITO_PROJECTS_BUCKET = module.projects.name
    HITO_RAW_STREAM      = module.raw.name
    HITO_TABLE           = module.table.name
    HITO_TRUSTED_PROXIES = tostring(local.trusted_proxies)
  })

  permissions = merge(local.read_projects, local.write_books, {
    PublishRaw = {
      actions   = ["kinesis:PutRecords"]
      resources = [module.raw.arn]
    }
  })

  url = { public = true }
}

module "enrich" {
  source = "../../modules/aws/function"

  account            = var.account
  region             = var.region
  name               = "${var.name}-enrich"
  description        = "Adds to every event what can be known from it, and passes it on to the enriched stream."
  package            = "${var.artifacts_dir}/enrich.zip"
  memory_mb          = local.size.enrich.memory_mb
  timeout_seconds    = local.size.enrich.timeout_seconds
  concurrency        = local.size.enrich.concurrency
  warm_instances     = local.size.enrich.warm_instances
  canary             = local.size.enrich.canary
  tracing            = var.tracing
  log_retention_days = var.log_retention_days
  encryption_key     = var.encryption_key
  labels             = local.labels

  environment = {
    HITO_ENRICHED_STREAM = module.enriched.name
    HITO_LOG             = "json"
    HITO_PROJECTS_BUCKET = module.projects.name
    HITO_TABLE           = module.table.name
  }

  permissions = merge(local.read_projects, local.write_books, {
    PublishEnriched = {
      actions   = ["kinesis:PutRecords"]
      resources = [module.enriched.arn]
    }
  })

  stream_triggers = {
    raw = {
      stream   = module.raw.arn
      consumer = var.fan_out ? { name = "enrich", arn = module.raw.consumer_arns["enrich"] } : null
      # A record is a pack of a request's events, two or three: up to about 1,500 events, of 20 µs each.
      batch_size = 500
      # Lambda counts whole seconds, and one would use up the whole second there is for an event. With 0
      # batches still fill when there is much to do: what arrives during a call makes up the next one.
      window_seconds = 0
      # A shard's batches come one after the other: the ledger is booked by the shard's position, and what
      # is given up names a range of the shard. A shard takes 1 MiB/s, a tenth of what a call can do.
      parallelism = 1
      # What fails is alone after some halving and given up after 5 more tries, minutes later: it must not
      # hold up its shard. The age is for what waits: refusals by a throttled function are no retries.
      retries       = 5
      retry_seconds = var.retry_hours * 3600
      failure_queue = module.redrive["enrich"].arn
    }
  }

  # A message names up to a whole batch of records, each of which is tried alone. Few calls at a time, so
  # that the past does not hold up the present, and enough to be through well before the stream forgets.
  queue_triggers = {
    redrive = { queue = module.redrive["enrich"].arn, batch_size = 1, concurrency = 10 }
  }
}

module "score" {
  source = "../../modules/aws/function"

  account            = var.account
  region             = var.region
  name               = "${var.name}-score"
  description        = "Folds events into profiles and decides scores and segments."
  package            = "${var.artifacts_dir}/score.zip"
  memory_mb          = local.size.score.memory_mb
  timeout_seconds    = local.size.score.timeout_seconds
  concurrency        = local.size.score.concurrency
  warm_instances     = local.size.score.warm_instances
  canary             = local.size.score.canary
  tracing            = var.tracing
  log_retention_days = var.log_retention_days
  encryption_key     = var.encryption_key
  labels             = local.labels

  environment = merge(
    {
      HITO_ACTIONS_STREAM  = module.actions.url
      HITO_LOG             = "json"
      HITO_PROJECTS_BUCKET = module.projects.name
      HITO_TABLE           = module.table.name
    },
    var.peer == null ? {} : { HITO_ENRICHED_STREAM = module.enriched.name },
  )

  permissions = merge(local.read_projects, local.write_books, local.tell_peer, {
    KeepLastGood = {
      actions   = ["s3:PutObject"]
      resources = ["${module.projects.arn}/lastgood/*"]
    }
    # A fragment too large for one item is in several, which are put and, once replaced, deleted.
    FoldProfiles = {
      actions    = ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources  = [module.table.arn]
      conditions = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["f/*"] } }
    }
    # A scan names no key, so that it cannot be narrowed by keys.
    SweepProfiles = {
      actions   = ["dynamodb:Scan"]
      resources = [module.table.arn]
    }
    PublishActions = {
      actions   = ["sqs:SendMessage"]
      resources = [module.actions.arn]
    }
  })

  stream_triggers = {
    enriched = {
      stream   = module.enriched.arn
      consumer = var.fan_out ? { name = "score", arn = module.enriched.consumer_arns["score"] } : null
      # The larger a batch, the more events of one visitor meet in it, to be saved in one write.
      batch_size = 500
      # Waiting a second would coalesce more, and cost the second that an event may take: see enrich.
      window_seconds = 0
      parallelism    = 1 # see enrich
      retries        = 5
      retry_seconds  = var.retry_hours * 3600
      failure_queue  = module.redrive["score"].arn
    }
  }

  queue_triggers = {
    redrive = { queue = module.redrive["score"].arn, batch_size = 1, concurrency = 10 }
  }

  # Segments follow time and new rules without events: every minute a sixtieth of all profiles is decided anew.
  schedule_triggers = {
    sweep = { minutes = 1, enabled = var.sweep }
  }
}

module "profile" {
  source = "../../modules/aws/function"

  account            = var.account
  region             = var.region
  name               = "${var.name}-profile"
  description        = "Reads and erases profiles."
  package            = "${var.artifacts_dir}/profile.zip"
  memory_mb          = local.size.profile.memory_mb
  timeout_seconds    = local.size.profile.timeout_seconds
  concurrency        = local.size.profile.concurrency
  warm_instances     = local.size.profile.warm_instances
  canary             = local.size.profile.canary
  tracing            = var.tracing
  log_retention_days = var.log_retention_days
  encryption_key     = var.encryption_key
  labels             = local.labels

  environment = {
    HITO_LOG             = "json"
    HITO_PROJECTS_BUCKET = module.projects.name
    HITO_RAW_STREAM      = module.raw.name
    HITO_SECRET          = module.secret.name
    HITO_TABLE           = module.table.name
  }

  permissions = merge(local.read_projects, {
    ReadProfiles = {
      actions   = ["dynamodb:BatchGetItem"]
      resources = [module.table.arn]
    }
    ListQuarantine = {
      actions   = ["dynamodb:Query"]
      resources = [module.table.index_arns["quarantine"]]
    }
    PublishErasures = {
      actions   = ["kinesis:PutRecords"]
      resources = [module.raw.arn]
    }
    ReadSecretKeys = {
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [module.secret.arn_pattern]
    }
  })

  url = { public = true }
}
