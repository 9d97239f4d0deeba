terraform {
  # 1.11 is the first with write-only arguments, which keep secrets out of the state.
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 6.0.0"
    }
    google = {
      source  = "hashicorp/google"
      version = ">= 7.0.0, < 8.0.0"
    }
  }
}

# Of the hostname. The installs have providers of their own, as when they are applied alone.
provider "aws" {
  region              = "us-east-1" # where CloudFront's certificates and Route 53's metrics are
  allowed_account_ids = [var.aws.account]
}

provider "google" {
  project = var.gcp.account
  region  = var.gcp.region
}

locals {
  labels = merge(var.labels, { install = var.name })
}
