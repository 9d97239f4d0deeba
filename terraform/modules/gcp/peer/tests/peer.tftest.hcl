mock_provider "google" {}

variables {
  account        = "mycompany-web"
  project_number = "987654321"
  name           = "hito"
  callers        = { beacon = "arn:aws:iam::123456789012:role/hito-beacon-eu-west-1", relay = "arn:aws:iam::123456789012:role/hito-relay-eu-west-1" }
  streams        = { beacon = "projects/mycompany-web/topics/hito-raw", relay = "projects/mycompany-web/topics/hito-enriched" }
}

run "trust" {
  command = plan

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.aws[0].account_id == "123456789012" && length(google_iam_workload_identity_pool_provider.this.oidc) == 0
    error_message = "Only that account of AWS may be believed."
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.this.attribute_condition == "attribute.aws_role in ['arn:aws:sts::123456789012:assumed-role/hito-beacon-eu-west-1', 'arn:aws:sts::123456789012:assumed-role/hito-relay-eu-west-1']"
    error_message = "Only the two functions may get a token at all."
  }
  assert {
    condition = { for f, m in google_service_account_iam_member.this : f => [m.service_account_id, m.role, m.member] } == { for f in ["beacon", "relay"] : f => [
      "projects/mycompany-web/serviceAccounts/hito-peer-${f}@mycompany-web.iam.gserviceaccount.com", "roles/iam.workloadIdentityUser",
      "principalSet://iam.googleapis.com/projects/987654321/locations/global/workloadIdentityPools/hito-peer/attribute.aws_role/arn:aws:sts::123456789012:assumed-role/hito-${f}-eu-west-1",
    ] }
    error_message = "Each function may be its one service account."
  }
  assert {
    condition     = output.identities == { for f, a in google_service_account.this : f => "//iam.googleapis.com/projects/987654321/locations/global/workloadIdentityPools/hito-peer/providers/${google_iam_workload_identity_pool_provider.this.workload_identity_pool_provider_id}#${a.account_id}@mycompany-web.iam.gserviceaccount.com" }
    error_message = "Who they are is not who there is."
  }
}

run "rights" {
  command = plan

  assert {
    condition = { for f, m in google_pubsub_topic_iam_member.this : f => [m.topic, m.role, m.member] } == {
      beacon = ["projects/mycompany-web/topics/hito-raw", "roles/pubsub.publisher", "serviceAccount:hito-peer-beacon@mycompany-web.iam.gserviceaccount.com"]
      relay  = ["projects/mycompany-web/topics/hito-enriched", "roles/pubsub.publisher", "serviceAccount:hito-peer-relay@mycompany-web.iam.gserviceaccount.com"]
    }
    error_message = "Each may publish on its one topic, and nothing else."
  }
}

run "bad" {
  command = plan

  variables {
    account        = "1"
    project_number = "mycompany-web"
    name           = "a-name-of-nineteen1"
    callers        = { beacon = "arn:aws:iam::123456789012:role/*", relay = "arn:aws:iam::123456789012:root" }
    streams        = { beacon = "hito-raw", relay = "hito-enriched" }
  }
  expect_failures = [var.account, var.project_number, var.name, var.callers, var.streams]
}

run "bad_two_accounts" {
  command = plan

  variables {
    callers = { beacon = "arn:aws:iam::123456789012:role/hito-beacon-eu-west-1", relay = "arn:aws:iam::210987654321:role/hito-relay-eu-west-1" }
  }
  expect_failures = [var.callers]
}
