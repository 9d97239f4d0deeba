# One hostname before several clouds: who asks for it is sent to one of those that answer, by weight.

locals {
  # An address of each kind: a client with IPv6 alone is a client too.
  records = { for pair in setproduct(keys(var.targets), ["A", "AAAA"]) : join("-", pair) => { target = pair[0], type = pair[1] } }
}

# Each of Route 53's places asks every 10 s, and finds it lost when it had no answer three times; that is so once no more than 18 % of
# them had one. So a cloud is left some 30 s after it is lost, and by who keeps an answer, the TTL later.
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
resource "aws_route53_health_check" "this" {
  for_each = var.targets

  type              = "HTTPS"
  fqdn              = each.value.alias == null ? var.hostname : each.value.alias.name
  ip_address        = each.value.ipv4
  port              = 443
  enable_sni        = true
  resource_path     = var.health_path
  request_interval  = 10
  failure_threshold = 3
  tags              = merge(var.labels, { Name = "${var.name}-${each.key}" })
}

resource "aws_route53_record" "this" {
  for_each = local.records

  zone_id         = var.zone
  name            = var.hostname
  type            = each.value.type
  set_identifier  = each.value.target
  health_check_id = aws_route53_health_check.this[each.value.target].id

  # With weight 0 it is asked for only when no other answers.
  weighted_routing_policy {
    weight = var.targets[each.value.target].weight
  }

  # An alias has its target's TTL, which CloudFront's is 60 s too.
  ttl     = var.targets[each.value.target].alias == null ? var.ttl_seconds : null
  records = var.targets[each.value.target].alias == null ? [each.value.type == "A" ? var.targets[each.value.target].ipv4 : var.targets[each.value.target].ipv6] : null

  dynamic "alias" {
    for_each = var.targets[each.value.target].alias == null ? [] : [var.targets[each.value.target].alias]

    content {
      name                   = alias.value.name
      zone_id                = alias.value.zone
      evaluate_target_health = false # the health check looks further
    }
  }
}

# What shows others whose the hostname is.
resource "aws_route53_record" "proof" {
  for_each = var.proofs

  zone_id = var.zone
  name    = each.value.name
  type    = each.value.type
  ttl     = 300
  records = [each.value.value]
}
