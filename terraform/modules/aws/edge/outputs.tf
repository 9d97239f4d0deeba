output "urls" {
  description = "Where each function is reached, without a slash at the end: the hostname in front, or the functions' own."
  value       = { for key, f in var.functions : key => local.url == null ? trimsuffix(f.url, "/") : local.url }
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
