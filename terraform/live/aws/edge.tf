# What stands in front of the functions' URLs: nothing, CloudFront with a firewall, or an API Gateway.

variable "edge" {
  description = <<-E
    kind: none (the functions' own URLs are public), cloudfront (one hostname, a firewall, HTTP/3)
    or api_gateway (one hostname, a throttle, an access log). domain: your hostname, its ACM certificate (in
    us-east-1 for cloudfront, in the install's region for api_gateway) and, to have the records made, the id of its Route 53 zone.
    firewall: whether CloudFront has a WAF; requests_per_address: how many requests one address may send in five
    minutes; common_rules: what AWS' common rules do there, off, count or block. requests_per_second and burst: what
    the API Gateway lets through.
  E
  type = object({
    kind = optional(string, "none")
    domain = optional(object({
      name        = string
      certificate = string
      zone        = optional(string)
    }))
    price_class          = optional(string, "PriceClass_All")
    firewall             = optional(bool, true)
    requests_per_address = optional(number, 10000)
    common_rules         = optional(string, "count")
    requests_per_second  = optional(number, 5000)
    burst                = optional(number, 5000)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["none", "cloudfront", "api_gateway"], var.edge.kind)
    error_message = "edge.kind must be none, cloudfront or api_gateway."
  }
}

# CloudFront's firewall is made in us-east-1, wherever the rest is.
provider "aws" {
  alias               = "us_east_1"
  region              = "us-east-1"
  allowed_account_ids = [var.account]
}

module "firewall" {
  source    = "../../modules/aws/firewall"
  count     = var.edge.kind == "cloudfront" && var.edge.firewall ? 1 : 0
  providers = { aws = aws.us_east_1 }

  name                 = "${var.name}-${var.region}"
  requests_per_address = var.edge.requests_per_address
  common_rules         = var.edge.common_rules
  log_retention_days   = var.log_retention_days
  labels               = local.labels
}

module "edge" {
  source = "../../modules/aws/edge"

  name = "${var.name}-${var.region}" # CloudFront's names are global
  kind = var.edge.kind
  functions = {
    beacon  = { name = module.beacon.name, arn = module.beacon.alias_arn, url = module.beacon.url }
    profile = { name = module.profile.name, arn = module.profile.alias_arn, url = module.profile.url }
  }
  domain             = var.edge.domain
  firewall           = one(module.firewall[*].arn)
  price_class        = var.edge.price_class
  throttle           = { requests_per_second = var.edge.requests_per_second, burst = var.edge.burst }
  log_retention_days = var.log_retention_days
  encryption_key     = var.encryption_key
  labels             = local.labels
}

output "edge_target" {
  description = "What your hostname's record must point to, when edge.domain has no zone; null without a hostname in front."
  value       = module.edge.target
}
