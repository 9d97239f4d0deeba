mock_provider "aws" {
  mock_resource "aws_cloudfront_function" {
    defaults = { arn = "arn:aws:cloudfront::123456789012:function/x" }
  }
  mock_resource "aws_cloudfront_distribution" {
    defaults = { domain_name = "d111.cloudfront.net", hosted_zone_id = "Z2FDTNDATAQYW2", arn = "arn:aws:cloudfront::123456789012:distribution/x" }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = { api_endpoint = "https://abc.execute-api.eu-west-1.amazonaws.com", execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:abc", id = "abc" }
  }
  mock_resource "aws_apigatewayv2_domain_name" {
    defaults = { domain_name_configuration = { target_domain_name = "d-1.execute-api.eu-west-1.amazonaws.com", hosted_zone_id = "Z1" } }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:x" }
  }
}

variables {
  name = "hito-eu-west-1"
  functions = {
    beacon  = { name = "hito-beacon", arn = "arn:aws:lambda:eu-west-1:123456789012:function:hito-beacon:live", url = "https://bbb.lambda-url.eu-west-1.on.aws/" }
    profile = { name = "hito-profile", arn = "arn:aws:lambda:eu-west-1:123456789012:function:hito-profile:live", url = "https://ppp.lambda-url.eu-west-1.on.aws/" }
  }
}

run "nothing_unless_asked_for" {
  assert {
    condition     = length(aws_cloudfront_distribution.this) == 0 && length(aws_apigatewayv2_api.this) == 0 && length(aws_route53_record.this) == 0
    error_message = "Nothing may stand in front by default."
  }
  assert {
    condition     = output.urls == { beacon = "https://bbb.lambda-url.eu-west-1.on.aws", profile = "https://ppp.lambda-url.eu-west-1.on.aws" }
    error_message = "Without a proxy the functions' own URLs are where they are reached."
  }
}

run "cloudfront" {
  variables {
    kind     = "cloudfront"
    firewall = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/hito/1"
    domain   = { name = "t.shop.example", certificate = "arn:aws:acm:us-east-1:123456789012:certificate/abc", zone = "Z0123" }
  }
  assert {
    condition     = { for o in aws_cloudfront_distribution.this[0].origin : o.origin_id => o.domain_name } == { beacon = "bbb.lambda-url.eu-west-1.on.aws", profile = "ppp.lambda-url.eu-west-1.on.aws" }
    error_message = "The origins must be the functions' hosts."
  }
  assert {
    condition = { for b in aws_cloudfront_distribution.this[0].ordered_cache_behavior : b.path_pattern => b.target_origin_id } == {
      "/v1/projects/*/settings" = "beacon", "/v1/profiles/*" = "profile", "/v1/ledger" = "profile", "/v1/quarantine" = "profile"
    } && aws_cloudfront_distribution.this[0].default_cache_behavior[0].target_origin_id == "beacon"
    error_message = "The read side goes to the profile, everything else to the beacon."
  }
  assert {
    condition = alltrue([for b in concat(aws_cloudfront_distribution.this[0].ordered_cache_behavior, aws_cloudfront_distribution.this[0].default_cache_behavior) :
      b.cache_policy_id == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad" && !b.compress if try(b.path_pattern, "") != "/v1/projects/*/settings"
    ])
    error_message = "Nothing but the browser settings may be cached."
  }
  assert {
    condition = alltrue([for b in concat(aws_cloudfront_distribution.this[0].ordered_cache_behavior, aws_cloudfront_distribution.this[0].default_cache_behavior) :
      b.origin_request_policy_id == "b689b0a8-53d0-40ab-baf2-68738e2966ac" && one(b.function_association).event_type == "viewer-request"
    ])
    error_message = "Everything a visitor sends must reach the function, but Host and a made-up address."
  }
  assert {
    condition     = contains(aws_cloudfront_distribution.this[0].default_cache_behavior[0].allowed_methods, "POST") && alltrue([for b in aws_cloudfront_distribution.this[0].ordered_cache_behavior : contains(b.allowed_methods, "DELETE") if b.target_origin_id == "profile"])
    error_message = "Beacons are POSTed, persons are DELETEd."
  }
  assert {
    condition     = strcontains(aws_cloudfront_function.forwarded[0].code, "delete request.headers['x-forwarded-for']")
    error_message = "An address that the visitor made up must not reach the function."
  }
  assert {
    condition     = aws_cloudfront_distribution.this[0].viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021" && aws_cloudfront_distribution.this[0].http_version == "http2and3" && aws_cloudfront_distribution.this[0].web_acl_id == var.firewall
    error_message = "TLS 1.2, HTTP/3 and the firewall are part of it."
  }
  assert {
    condition     = toset(keys(aws_route53_record.this)) == toset(["A", "AAAA"]) && aws_route53_record.this["AAAA"].alias[0].name == "d111.cloudfront.net"
    error_message = "With a zone both records are made."
  }
  assert {
    condition     = output.urls.beacon == "https://t.shop.example" && output.urls.profile == "https://t.shop.example"
    error_message = "Both are reached under the one hostname, behind one proxy."
  }
}

run "cloudfront_without_a_domain" {
  variables {
    kind = "cloudfront"
  }
  assert {
    condition     = output.urls.beacon == "https://d111.cloudfront.net" && length(aws_route53_record.this) == 0 && output.target.name == "d111.cloudfront.net"
    error_message = "CloudFront's own hostname must do."
  }
}

run "api_gateway" {
  variables {
    kind     = "api_gateway"
    domain   = { name = "t.shop.example", certificate = "arn:aws:acm:eu-west-1:123456789012:certificate/abc" }
    throttle = { requests_per_second = 100, burst = 200 }
  }
  assert {
    condition     = aws_apigatewayv2_stage.this[0].default_route_settings[0].throttling_rate_limit == 100 && aws_apigatewayv2_stage.this[0].default_route_settings[0].throttling_burst_limit == 200
    error_message = "The throttle must be as given."
  }
  assert {
    condition     = alltrue([for k in ["GET", "HEAD", "DELETE"] : contains(keys(aws_apigatewayv2_route.this), "${k} /v1/profiles/{id+}")]) && contains(keys(aws_apigatewayv2_route.this), "$default")
    error_message = "The read side has routes of its own, everything else goes to the beacon."
  }
  assert {
    condition     = alltrue([for i in aws_apigatewayv2_integration.function : i.payload_format_version == "2.0"])
    error_message = "Functions take payload format 2.0."
  }
  assert {
    condition     = alltrue([for p in aws_lambda_permission.api_gateway : p.qualifier == "live" && p.principal == "apigateway.amazonaws.com" && p.source_arn == "arn:aws:execute-api:eu-west-1:123456789012:abc/*"])
    error_message = "This API alone may call, and what is live alone."
  }
  assert {
    condition     = !strcontains(aws_apigatewayv2_stage.this[0].access_log_settings[0].format, "context.path") && !strcontains(aws_apigatewayv2_stage.this[0].access_log_settings[0].format, "sourceIp")
    error_message = "The access log must not name persons."
  }
  assert {
    condition     = aws_apigatewayv2_api.this[0].disable_execute_api_endpoint && output.urls.beacon == "https://t.shop.example" && output.api == "abc"
    error_message = "With a hostname there is no other way in."
  }
}

run "bad_kind" {
  command = plan
  variables {
    kind = "nginx"
  }
  expect_failures = [var.kind]
}

run "bad_domain" {
  command = plan
  variables {
    kind   = "cloudfront"
    domain = { name = "https://t.shop.example", certificate = "arn:aws:acm:us-east-1:123456789012:certificate/abc" }
  }
  expect_failures = [var.domain]
}

run "certificate_of_another_region" {
  command = plan
  variables {
    kind   = "cloudfront"
    domain = { name = "t.shop.example", certificate = "arn:aws:acm:eu-west-1:123456789012:certificate/abc" }
  }
  expect_failures = [var.domain]
}

run "domain_without_a_proxy" {
  command = plan
  variables {
    domain = { name = "t.shop.example", certificate = "arn:aws:acm:us-east-1:123456789012:certificate/abc" }
  }
  expect_failures = [var.domain]
}

run "firewall_before_nothing" {
  command = plan
  variables {
    kind     = "api_gateway"
    firewall = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/hito/1"
  }
  expect_failures = [var.firewall]
}

run "bad_settings" {
  command = plan
  variables {
    name               = "Hito"
    settings_ttl       = 0
    price_class        = "PriceClass_300"
    log_retention_days = 31
    throttle           = { burst = 0 }
  }
  expect_failures = [var.name, var.settings_ttl, var.price_class, var.log_retention_days, var.throttle]
}
