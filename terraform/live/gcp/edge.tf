# What stands in front of the functions: nothing, or a global load balancer with a firewall.

variable "edge" {
  description = <<-E
    kind: none (the functions' own URLs are public) or load_balancer (one hostname, a firewall, HTTP/3). close: whether the
    functions' own URLs are closed then; not before the certificate is active, when events come by them. domain: your hostname, which a load balancer must have; to have the records made, the name of its Cloud DNS
    zone; certificate and ssl_policy, ids of your own. firewall: whether the load balancer has Cloud Armor; requests_per_address:
    how many requests one address may send in five minutes; common_rules: what Google's preconfigured rules do there, off, count
    or block. log_sample: share of requests that the load balancer logs.
  E
  type = object({
    kind  = optional(string, "none")
    close = optional(bool, true)
    domain = optional(object({
      name        = string
      certificate = optional(string)
      zone        = optional(string)
      ssl_policy  = optional(string)
    }))
    firewall             = optional(bool, true)
    requests_per_address = optional(number, 10000)
    common_rules         = optional(string, "count")
    log_sample           = optional(number, 0)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["none", "load_balancer"], var.edge.kind)
    error_message = "edge.kind must be none or load_balancer."
  }
}

locals {
  closed = var.edge.kind != "none" && var.edge.close
  # Where they are reached: by what works.
  urls = local.closed ? module.edge.urls : { beacon = module.beacon.url, profile = module.profile.url }
}

module "firewall" {
  source = "../../modules/gcp/firewall"
  count  = var.edge.kind == "load_balancer" && var.edge.firewall ? 1 : 0

  account              = var.account
  name                 = var.name
  requests_per_address = var.edge.requests_per_address
  common_rules         = var.edge.common_rules
  labels               = local.labels

  depends_on = [google_project_service.this]
}

module "edge" {
  source = "../../modules/gcp/edge"

  account = var.account
  region  = var.region
  name    = var.name
  kind    = var.edge.kind
  functions = {
    beacon  = { name = module.beacon.name, url = module.beacon.url }
    profile = { name = module.profile.name, url = module.profile.url }
  }
  domain     = var.edge.domain
  firewall   = one(module.firewall[*].id)
  log_sample = var.edge.log_sample
  labels     = local.labels
}

output "edge_target" {
  description = "What your hostname's records must say, when edge.domain has no zone: an IPv4 and an IPv6 address; null without a hostname in front."
  value       = module.edge.target
}
