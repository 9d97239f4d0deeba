# The firewall before the load balancer: Cloud Armor.

resource "google_compute_security_policy" "this" {
  project     = var.account
  name        = var.name
  description = "In front of ${var.name}"
  type        = "CLOUD_ARMOR"
  labels      = var.labels

  # 429 is what SDKs send again after, where 403 makes them give up.
  rule {
    priority    = 1000
    action      = "throttle"
    description = "No address may send more than its share."

    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.requests_per_address
        interval_sec = 300
      }
    }
  }

  # Those of Google's rules that a beacon, which carries a page's title and address, does not set off by itself.
  dynamic "rule" {
    for_each = var.common_rules == "off" ? {} : { "scannerdetection" = 900, "protocolattack" = 901, "rce" = 902 }

    content {
      priority    = rule.value
      action      = "deny(403)"
      preview     = var.common_rules == "count"
      description = "Google's rules, ${rule.key}."

      match {
        expr {
          expression = "evaluatePreconfiguredWaf('${rule.key}-v33-stable', {'sensitivity': 1})"
        }
      }
    }
  }

  rule {
    priority    = 2147483647
    action      = "allow"
    description = "Everybody else."

    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}
