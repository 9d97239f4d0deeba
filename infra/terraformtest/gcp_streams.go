package terraformtest

import (
	"slices"
	"strings"
	"time"
)

// signedCalls finds calls by Pub/Sub and Cloud Scheduler that carry no token,
// or one that the function they are for does not take.
func signedCalls(p *Plan) []Finding {
	var found []Finding
	check := func(r *Resource, target, attribute string) {
		url := r.text(target + "." + attribute)
		account, audience := r.text(target+".oidc_token.0.service_account_email"), r.text(target+".oidc_token.0.audience")
		if account == "" || audience == "" {
			found = append(found, finding(r, "it calls %s without a token of an account, for somebody", url))
			return
		}
		for _, service := range p.Of("google_cloud_run_v2_service") {
			audiences, _ := service.at("custom_audiences").([]any)
			name := service.text("name")
			if strings.HasPrefix(url, "https://"+name+"-") && slices.Contains(audiences, any(audience)) && p.has("cloud_run_v2_service", name, "roles/run.invoker", "serviceAccount:"+account) {
				return
			}
		}
		found = append(found, finding(r, "no function at %s takes tokens of %s for %s", url, account, audience))
	}
	for _, r := range p.Of("google_pubsub_subscription") {
		if r.at("push_config.0") != nil {
			check(r, "push_config.0", "push_endpoint")
		}
	}
	for _, r := range p.Of("google_cloud_scheduler_job") {
		if r.at("http_target.0") != nil {
			check(r, "http_target.0", "uri")
		}
	}
	return found
}

// givenUp finds subscriptions that a message which always fails would never
// leave, or would leave for nowhere. Only one that takes dead letters, and calls
// nobody, needs no more.
func givenUp(p *Plan) []Finding {
	var found []Finding
	subscriptions := p.Of("google_pubsub_subscription")
	dead := map[string]bool{} // topics
	for _, r := range subscriptions {
		dead[last(r.text("dead_letter_policy.0.dead_letter_topic"))] = true
	}
	for _, r := range subscriptions {
		topic := last(r.text("dead_letter_policy.0.dead_letter_topic"))
		if slices.Contains(PatientFunctions, r.Module) {
			if topic != "" || retention(r) < 31*24*time.Hour {
				found = append(found, finding(r, "it gives up, and what it gives up is missing in the other cloud"))
			}
			if r.text("retry_policy.0.minimum_backoff") == "" || r.text("retry_policy.0.maximum_backoff") == "" {
				found = append(found, finding(r, "what failed comes again at once"))
			}
			continue
		}
		if topic == "" {
			calls := slices.ContainsFunc([]string{"push_config.0", "bigquery_config.0", "cloud_storage_config.0"}, func(how string) bool { return r.at(how) != nil })
			if calls || !dead[last(r.text("topic"))] {
				found = append(found, finding(r, "what nobody can handle comes for ever, and then is lost"))
			}
			continue
		}
		if r.text("retry_policy.0.minimum_backoff") == "" || r.text("retry_policy.0.maximum_backoff") == "" {
			found = append(found, finding(r, "what failed comes again at once"))
		}
		if n := r.number("dead_letter_policy.0.max_delivery_attempts"); n < 5 || n > 100 {
			found = append(found, finding(r, "a message may come %v times before it is given up", n))
		}
		readers := slices.DeleteFunc(p.Of("google_pubsub_subscription"), func(s *Resource) bool { return last(s.text("topic")) != topic })
		if len(readers) == 0 {
			found = append(found, finding(r, "nothing in the install keeps what is moved to %s", topic))
		}
		for _, s := range readers {
			if retention(s) < retention(r) {
				found = append(found, finding(s, "dead letters are kept shorter than letters"))
			}
		}
		// https://cloud.google.com/pubsub/docs/dead-letter-topics#grant_permissions
		number, _ := p.Variables["project_number"].(string)
		agent := "serviceAccount:service-" + number + "@gcp-sa-pubsub.iam.gserviceaccount.com"
		if !p.has("pubsub_topic", topic, "roles/pubsub.publisher", agent) || !p.has("pubsub_subscription", r.text("name"), "roles/pubsub.subscriber", agent) {
			found = append(found, finding(r, "Pub/Sub may not move its dead letters to %s", topic))
		}
	}
	return found
}

// retention returns how long a subscription keeps messages: by default for a week.
func retention(r *Resource) time.Duration {
	if d, err := time.ParseDuration(r.text("message_retention_duration")); err == nil {
		return d
	}
	return 7 * 24 * time.Hour
}

// expiring finds subscriptions that Pub/Sub deletes once nobody has asked for a
// month. https://cloud.google.com/pubsub/docs/subscription-properties#expiration_period
func expiring(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("google_pubsub_subscription") {
		if ttl, never := r.at("expiration_policy.0.ttl").(string); !never || ttl != "" {
			found = append(found, finding(r, "it is deleted when it was quiet for long"))
		}
	}
	return found
}

// alertPolicies finds alarms that nobody could do anything about.
func alertPolicies(p *Plan, runbooks func(name string) bool) []Finding {
	var found []Finding
	for _, r := range p.Of("google_monitoring_alert_policy") {
		found = append(found, runbookOf(r, r.text("documentation.0.content"), runbooks)...)
		channels, _ := r.at("notification_channels").([]any)
		if len(channels) == 0 && r.Unknown["notification_channels"] == nil && len(p.Of("google_monitoring_notification_channel")) > 0 {
			found = append(found, finding(r, "it tells nobody"))
		}
		if r.at("enabled") == false {
			found = append(found, finding(r, "it is switched off"))
		}
	}
	for _, r := range p.Of("google_monitoring_notification_channel") {
		if strings.HasPrefix(r.text("labels.url"), "http:") {
			found = append(found, finding(r, "alerts go out in the clear"))
		}
	}
	return found
}
