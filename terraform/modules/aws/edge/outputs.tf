output "urls" {
  description = "Where each function is reached, without a slash at the end: the hostname in front, or the functions' own."
  value       = { for key, f in var.functions : key => local.url == null ? trimsuffix(f.url, "/") : local.url }
}

output "trusted_proxies" {
  description = "The number of proxies whose X-Forwarded-For may be believed: the functions' HITO_TRUSTED_PROXIES. An API Gateway tells the visitor's address as a function URL does, so only CloudFront counts. It depends on kind alone."
  value       = local.cloudfront ? 1 : 0
}

output "target" {
  description = "What a hostname's record must point to when domain has no zone: name, and zone of the alias target. Null without a proxy."
  value = (
    local.cloudfront ? {
      name = aws_cloudfront_distribution.this[0].domain_name
      zone = aws_cloudfront_distribution.this[0].hosted_zone_id
    } :
    local.api_gateway && var.domain != null ? {
      name = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name
      zone = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].hosted_zone_id
    } : null
  )
}

output "api" {
  description = "Id of the API Gateway's HTTP API, null without one."
  value       = one(aws_apigatewayv2_api.this[*].id)
}
