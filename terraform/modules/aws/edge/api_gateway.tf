locals {
  # The beacon takes what no other route takes. HEAD comes with GET: an HTTP API does not add it by itself.
  routes = local.api_gateway ? {
    "$default"                  = "beacon"
    "GET /v1/profiles/{id+}"    = "profile"
    "HEAD /v1/profiles/{id+}"   = "profile"
    "DELETE /v1/profiles/{id+}" = "profile"
    "GET /v1/ledger"            = "profile"
    "HEAD /v1/ledger"           = "profile"
    "GET /v1/quarantine"        = "profile"
    "HEAD /v1/quarantine"       = "profile"
  } : {}
}

resource "aws_apigatewayv2_api" "this" {
  count                        = local.api_gateway ? 1 : 0
  name                         = var.name
  description                  = "Beacons and profiles"
  protocol_type                = "HTTP"
  disable_execute_api_endpoint = var.domain != null
  tags                         = var.labels
}

resource "aws_apigatewayv2_integration" "function" {
  for_each               = local.api_gateway ? var.functions : {}
  api_id                 = aws_apigatewayv2_api.this[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = each.value.arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 29000
}

resource "aws_apigatewayv2_route" "this" {
  for_each  = local.routes
  api_id    = aws_apigatewayv2_api.this[0].id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.function[each.value].id}"
}

resource "aws_lambda_permission" "api_gateway" {
  for_each      = local.api_gateway ? var.functions : {}
  statement_id  = "api-gateway"
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  function_name = each.value.name
  qualifier     = element(split(":", each.value.arn), 7) # arn:aws:lambda:region:account:function:name:alias
  source_arn    = "${aws_apigatewayv2_api.this[0].execution_arn}/*"
}

resource "aws_cloudwatch_log_group" "access" {
  count             = local.api_gateway ? 1 : 0
  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.encryption_key
  tags              = var.labels
}

resource "aws_apigatewayv2_stage" "this" {
  count       = local.api_gateway ? 1 : 0
  api_id      = aws_apigatewayv2_api.this[0].id
  name        = "$default"
  auto_deploy = true
  tags        = var.labels

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access[0].arn
    # The route, not the path: a path names a person. No address either.
    format = jsonencode({
      request_id  = "$context.requestId"
      at          = "$context.requestTimeEpoch"
      route       = "$context.routeKey"
      method      = "$context.httpMethod"
      status      = "$context.status"
      bytes       = "$context.responseLength"
      latency     = "$context.responseLatency"
      integration = "$context.integrationLatency"
      error       = "$context.error.message"
    })
  }

  default_route_settings {
    throttling_rate_limit    = var.throttle.requests_per_second
    throttling_burst_limit   = var.throttle.burst
    detailed_metrics_enabled = true
  }
}

resource "aws_apigatewayv2_domain_name" "this" {
  count       = local.api_gateway && var.domain != null ? 1 : 0
  domain_name = var.domain.name
  tags        = var.labels

  domain_name_configuration {
    certificate_arn = var.domain.certificate
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count       = local.api_gateway && var.domain != null ? 1 : 0
  api_id      = aws_apigatewayv2_api.this[0].id
  domain_name = aws_apigatewayv2_domain_name.this[0].id
  stage       = aws_apigatewayv2_stage.this[0].id
}
