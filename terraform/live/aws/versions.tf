terraform {
  # 1.11 is the first with write-only arguments, which keep secrets out of the state.
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 6.0.0"
    }
  }
}

provider "aws" {
  region = var.region
  # Credentials of another account are refused before anything is done.
  allowed_account_ids = [var.account]
}

# Makes keys up. It has a configuration of its own, since the mocks that tests put in place of the other
# have no ephemeral resources.
provider "aws" {
  alias               = "keys"
  region              = var.region
  allowed_account_ids = [var.account]
}
