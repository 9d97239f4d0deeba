# What stands between the internet and the functions.
#
# Function URLs stay public (authorization NONE) also behind CloudFront. CloudFront could sign its requests (origin access
# control), but then a client that sends a body must send its SHA-256 in x-amz-content-sha256, since Lambda takes no unsigned
# payload, and a browser's beacon cannot. For the read side, signing would overwrite the Authorization header, in which the
# secret key travels. So who knows a function's URL reaches it without the firewall: do not publish it.

locals {
  cloudfront  = var.kind == "cloudfront"
  api_gateway = var.kind == "api_gateway"

  # What the read side answers; everything else is the beacon's.
  profile_paths = ["/v1/profiles/*", "/v1/ledger", "/v1/quarantine"]

  # https://host/ -> host
  hosts = { for key, f in var.functions : key => trimsuffix(trimprefix(f.url, "https://"), "/") }

  url = (
    var.kind == "none" ? null :
    var.domain != null ? "https://${var.domain.name}" :
    local.cloudfront ? "https://${one(aws_cloudfront_distribution.this[*].domain_name)}" :
    one(aws_apigatewayv2_api.this[*].api_endpoint)
  )
}
