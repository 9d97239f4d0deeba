locals {
  # An HTTP API's own hostname has no IPv6 address.
  record_types = try(var.domain.zone, null) == null ? [] : local.cloudfront ? ["A", "AAAA"] : local.api_gateway ? ["A"] : []
}

resource "aws_route53_record" "this" {
  for_each = toset(local.record_types)
  zone_id  = var.domain.zone
  name     = var.domain.name
  type     = each.key
  alias {
    name = (local.cloudfront
      ? aws_cloudfront_distribution.this[0].domain_name
    : aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name)
    zone_id = (local.cloudfront
      ? aws_cloudfront_distribution.this[0].hosted_zone_id
    : aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].hosted_zone_id)
    evaluate_target_health = false
  }
}
