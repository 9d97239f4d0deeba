variable "name" {
  description = "Name of what stands in front; every resource's name begins with it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name must be 1 to 40 small letters, digits and -, beginning with a letter."
  }
}

variable "kind" {
  description = "What stands in front of the functions: \"none\" (their own URLs are public), \"cloudfront\" (one hostname, WAF, HTTP/3, caching of the browser settings) or \"api_gateway\" (one hostname, throttling and access logs, in one region)."
  type        = string
  default     = "none"
  nullable    = false

  validation {
    condition     = contains(["none", "cloudfront", "api_gateway"], var.kind)
    error_message = "kind must be none, cloudfront or api_gateway."
  }
}

variable "functions" {
  description = "The functions behind it: beacon, which takes everything that is not the profile's, and profile, which reads. url is the function URL; arn is the alias to invoke."
  type = object({
    beacon  = object({ name = string, arn = string, url = string })
    profile = object({ name = string, arn = string, url = string })
  })
  nullable = false
}

variable "domain" {
  description = "Hostname to serve under, null for the product's own. certificate is an ACM certificate's ARN: in us-east-1 for cloudfront, in the stack's region for api_gateway. With a zone (the id of a Route 53 hosted zone that exists already) the records are made too."
  type = object({
    name        = string
    certificate = string
    zone        = optional(string)
  })
  default = null

  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain.name))
    error_message = "domain.name must be a hostname in lower case, without scheme or path."
  }

  validation {
    condition     = var.domain == null || can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.domain.certificate))
    error_message = "domain.certificate must be the ARN of an ACM certificate."
  }

  validation {
    condition     = var.domain == null || var.kind != "cloudfront" || can(regex("^arn:[a-z-]+:acm:us-east-1:", var.domain.certificate))
    error_message = "CloudFront takes certificates of us-east-1 only."
  }

  validation {
    condition     = var.domain == null || var.kind != "none"
    error_message = "A function URL cannot have a hostname of yours: choose cloudfront or api_gateway, or leave domain out."
  }
}

variable "firewall" {
  description = "ARN of the WAF web ACL before CloudFront (module firewall); null for none."
  type        = string
  default     = null

  validation {
    condition     = var.firewall == null || var.kind == "cloudfront"
    error_message = "firewall must be null unless kind is cloudfront: WAF stands before nothing else here."
  }
}

variable "throttle" {
  description = "What the API Gateway lets through: requests_per_second in the long run, burst at once. Beyond it answers 429, which SDKs take as a reason to send again."
  type = object({
    requests_per_second = optional(number, 5000)
    burst               = optional(number, 5000)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.throttle.requests_per_second >= 1 && var.throttle.burst >= 1
    error_message = "requests_per_second and burst are at least 1."
  }
}

variable "settings_ttl" {
  description = "Seconds that CloudFront may keep the browser settings (GET /v1/projects/*/settings) at most: at least 1, since CloudFront compresses only what it may keep."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.settings_ttl >= 1 && var.settings_ttl <= 3600
    error_message = "settings_ttl must be 1 to 3600 seconds."
  }
}

variable "price_class" {
  description = "Where CloudFront serves from: PriceClass_100 (North America and Europe), PriceClass_200 (Asia too) or PriceClass_All."
  type        = string
  default     = "PriceClass_All"
  nullable    = false

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "price_class must be PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "log_retention_days" {
  description = "How many days the API Gateway's access log is kept. It has no paths and no addresses: both are personal data."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "encryption_key" {
  description = "ARN of your own KMS key for the access log; it must let CloudWatch Logs use it. null: the key that AWS manages for the service, which costs nothing."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.encryption_key))
    error_message = "encryption_key must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), or null."
  }
}

variable "labels" {
  description = "Labels (tags) of everything here."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.labels) <= 40 && alltrue([for k, v in var.labels : length(k) <= 128 && length(v) <= 256 && !startswith(lower(k), "aws:")])
    error_message = "labels must be at most 40, keys of up to 128 and values of up to 256 characters, and no key may begin with aws:."
  }
}
