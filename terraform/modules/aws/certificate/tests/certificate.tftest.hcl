mock_provider "aws" {
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn                       = "arn:aws:acm:us-east-1:123456789012:certificate/abc"
      domain_validation_options = [{ domain_name = "t.shop.example", resource_record_name = "_a.t.shop.example.", resource_record_type = "CNAME", resource_record_value = "_b.acm-validations.aws." }]
    }
  }
  mock_resource "aws_route53_record" {
    defaults = { fqdn = "_a.t.shop.example" }
  }
}

variables {
  domain = "t.shop.example"
  zone   = "Z0123456789"
}

run "certificate" {
  assert {
    condition     = aws_acm_certificate.this.domain_name == "t.shop.example" && aws_acm_certificate.this.validation_method == "DNS"
    error_message = "A certificate must renew itself, which one by mail does not."
  }
  assert {
    condition     = [aws_route53_record.proof.zone_id, aws_route53_record.proof.name, aws_route53_record.proof.type] == ["Z0123456789", "_a.t.shop.example.", "CNAME"] && aws_route53_record.proof.records == toset(["_b.acm-validations.aws."])
    error_message = "The proof must be where AWS looks for it."
  }
  assert {
    condition     = output.arn == aws_acm_certificate.this.arn && aws_acm_certificate_validation.this.validation_record_fqdns == toset(["_a.t.shop.example"])
    error_message = "Who uses the certificate must wait until it is issued."
  }
}

run "bad" {
  command = plan

  variables {
    domain = "*.shop.example"
    zone   = "shop.example"
    labels = { "aws:mine" = "no" }
  }
  expect_failures = [var.domain, var.zone, var.labels]
}
