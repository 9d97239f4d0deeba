mock_provider "google" {}

variables {
  account        = "mycompany-web"
  project_number = "123456789012"
  name           = "hito"
  notify         = { team = { address = "team@shop.example" } }
  functions = {
    beacon  = { name = "hito-beacon", timeout_seconds = 10, public = true }
    enrich  = { name = "hito-enrich", timeout_seconds = 30, stream = "hito-raw", subscription = "hito-raw-enrich" }
    score   = { name = "hito-score", timeout_seconds = 60, instances = 40, stream = "hito-enriched", subscription = "hito-enriched-score" }
    profile = { name = "hito-profile", timeout_seconds = 30, instances = 1, public = true }
  }
  streams = { raw = "hito-raw", enriched = "hito-enriched" }
  queues = {
    actions       = { name = "hito-actions", dead_letter_name = "hito-actions-dead", consumed = false }
    score-redrive = { name = "hito-score-dead", dead_letter_name = "hito-score-parked" }
  }
  tables   = { table = { name = "hito", instance = "hito-table" } }
  archives = { enriched = "hito-archive" }
}

run "x" {
  command = apply
}
