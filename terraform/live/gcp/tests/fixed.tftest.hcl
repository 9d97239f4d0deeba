# What cannot be changed, from an install that is there. Its images are its own, since nothing builds here.

mock_provider "google" {}

mock_provider "google" {
  alias = "billing"
}

variables {
  account        = "mycompany-web"
  project_number = "123456789012"
  region         = "europe-west1"
  functions      = { for f in ["beacon", "enrich", "score", "profile"] : f => { image = "europe-west1-docker.pkg.dev/mycompany-web/hito/${f}:1" } }
}

run "install" {
  assert {
    condition     = length(terraform_data.build) == 0
    error_message = "Nothing may be built."
  }
}

run "same" {
  command = plan
  variables {
    labels = { team = "web" }
  }
  assert {
    condition     = terraform_data.fixed.input.store == "bigtable"
    error_message = "What is the same must go on."
  }
}

run "another_key" {
  command = plan
  variables {
    encryption_key = "projects/mycompany-web/locations/europe-west1/keyRings/hito/cryptoKeys/data"
  }
  expect_failures = [terraform_data.fixed]
}

run "another_zone" {
  command = plan
  variables {
    zone = "europe-west1-d"
  }
  expect_failures = [terraform_data.fixed]
}

run "another_store" {
  command = plan
  variables {
    store = "firestore"
  }
  expect_failures = [terraform_data.fixed]
}
