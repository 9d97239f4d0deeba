locals {
  # AWS' managed policies, by the ids that are the same in every account:
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
  caching_disabled              = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
  all_viewer_except_host_header = "b689b0a8-53d0-40ab-baf2-68738e2966ac" # a function URL answers to its own Host only

  every_method = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]
}

# Lambda keeps only the first address of X-Forwarded-For that reaches a function URL, and CloudFront appends the visitor's
# behind whatever the visitor sent: the address could be chosen freely. So the header goes away at the door, and CloudFront
# begins it anew with the visitor's address. The hostname is handed on, because Host becomes the function URL's.
resource "aws_cloudfront_function" "forwarded" {
  count   = local.cloudfront ? 1 : 0
  name    = "${var.name}-forwarded"
  comment = "The visitor's own address and hostname, not what the visitor says they are"
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = <<-JS
    function handler(event) {
      var request = event.request;
      delete request.headers['x-forwarded-for'];
      request.headers['x-forwarded-host'] = { value: request.headers.host.value };
      return request;
    }
  JS
}

resource "aws_cloudfront_cache_policy" "settings" {
  count       = local.cloudfront ? 1 : 0
  name        = "${var.name}-settings"
  comment     = "Browser settings: the same for everybody, but for the origin that CORS echoes"
  min_ttl     = 0
  default_ttl = var.settings_ttl
  max_ttl     = var.settings_ttl
  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = true
    enable_accept_encoding_brotli = true
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "whitelist"
      headers {
        items = ["Origin"]
      }
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

resource "aws_cloudfront_distribution" "this" {
  count           = local.cloudfront ? 1 : 0
  comment         = var.name
  tags            = var.labels
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  price_class     = var.price_class
  aliases         = var.domain == null ? [] : [var.domain.name]
  web_acl_id      = var.firewall

  dynamic "origin" {
    for_each = local.hosts
    content {
      origin_id   = origin.key
      domain_name = origin.value
      custom_origin_config {
        http_port                = 80
        https_port               = 443
        origin_protocol_policy   = "https-only"
        origin_ssl_protocols     = ["TLSv1.2"]
        origin_read_timeout      = 30
        origin_keepalive_timeout = 60
      }
    }
  }

  default_cache_behavior {
    target_origin_id         = "beacon"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = local.every_method
    cached_methods           = ["GET", "HEAD"]
    cache_policy_id          = local.caching_disabled
    origin_request_policy_id = local.all_viewer_except_host_header
    compress                 = false # a beacon's answer is 16 bytes
    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.forwarded[0].arn
    }
  }

  ordered_cache_behavior {
    path_pattern             = "/v1/projects/*/settings"
    target_origin_id         = "beacon"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = ["GET", "HEAD", "OPTIONS"]
    cached_methods           = ["GET", "HEAD"]
    cache_policy_id          = aws_cloudfront_cache_policy.settings[0].id
    origin_request_policy_id = local.all_viewer_except_host_header
    compress                 = true
    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.forwarded[0].arn
    }
  }

  dynamic "ordered_cache_behavior" {
    for_each = local.profile_paths
    content {
      path_pattern             = ordered_cache_behavior.value
      target_origin_id         = "profile"
      viewer_protocol_policy   = "https-only"       # a redirect would come after the secret key went over the wire
      allowed_methods          = local.every_method # CloudFront knows DELETE only in the company of all others
      cached_methods           = ["GET", "HEAD"]
      cache_policy_id          = local.caching_disabled
      origin_request_policy_id = local.all_viewer_except_host_header
      compress                 = false
      function_association {
        event_type   = "viewer-request"
        function_arn = aws_cloudfront_function.forwarded[0].arn
      }
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = try(var.domain.certificate, null)
    minimum_protocol_version       = var.domain == null ? "TLSv1" : "TLSv1.2_2021" # CloudFront's own certificate knows no other
    ssl_support_method             = var.domain == null ? null : "sni-only"
  }
}
