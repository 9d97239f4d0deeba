package terraformtest

import (
	"encoding/json"
	"slices"
	"strings"
)

// encryptedOnTheWay finds what would answer in the clear.
func encryptedOnTheWay(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("aws_s3_bucket") {
		if !slices.ContainsFunc(p.beside(r, "aws_s3_bucket_policy"), func(b *Resource) bool { return deniesClear(b, "policy", "s3:*") }) {
			found = append(found, finding(r, "the bucket may be reached without TLS"))
		}
	}
	for _, r := range p.Of("aws_sqs_queue") {
		beside := append(p.beside(r, "aws_sqs_queue_policy"), r)
		if !slices.ContainsFunc(beside, func(q *Resource) bool { return deniesClear(q, "policy", "sqs:*") }) {
			found = append(found, finding(r, "the queue may be reached without TLS"))
		}
	}
	for _, r := range p.Of("aws_sns_topic") {
		if !slices.ContainsFunc(p.beside(r, "aws_sns_topic_policy"), func(q *Resource) bool { return deniesClear(q, "policy", "sns:Publish") }) {
			found = append(found, finding(r, "the topic may be reached without TLS"))
		}
	}
	for _, r := range p.Of("aws_sns_topic_subscription") {
		if r.text("protocol") == "http" {
			found = append(found, finding(r, "alerts go out in the clear"))
		}
	}
	for _, r := range p.Of("aws_cloudfront_distribution") {
		behaviors, _ := r.at("ordered_cache_behavior").([]any)
		for _, b := range append(behaviors, r.at("default_cache_behavior.0")) {
			if how, _ := follow(b, "viewer_protocol_policy").(string); how != "https-only" && how != "redirect-to-https" {
				found = append(found, finding(r, "%v may be reached without TLS", follow(b, "path_pattern")))
			}
		}
		origins, _ := r.at("origin").([]any)
		for _, o := range origins {
			if how, _ := follow(o, "custom_origin_config.0.origin_protocol_policy").(string); how != "https-only" {
				found = append(found, finding(r, "%v is reached without TLS", follow(o, "origin_id")))
			}
		}
		if r.text("viewer_certificate.0.acm_certificate_arn") != "" && !strings.HasPrefix(r.text("viewer_certificate.0.minimum_protocol_version"), "TLSv1.2_") {
			found = append(found, finding(r, "an old TLS is spoken: %s", r.text("viewer_certificate.0.minimum_protocol_version")))
		}
	}
	return found
}

// deniesClear reports whether a policy denies everybody an action without TLS.
func deniesClear(r *Resource, attribute, action string) bool {
	for _, s := range documents(r, []byte(r.text(attribute))) {
		if s.Effect == "Deny" && slices.Contains(s.principals(), "*") && slices.Contains(s.Action, action) && s.Condition["Bool"]["aws:SecureTransport"] == "false" {
			return true
		}
	}
	return false
}

// alarms finds alarms that nobody could do anything about: without a runbook
// at the end of their description, or that tell nobody.
func alarms(p *Plan, runbooks func(name string) bool) []Finding {
	var found []Finding
	metric, composite := p.Of("aws_cloudwatch_metric_alarm"), p.Of("aws_cloudwatch_composite_alarm")
	var rules strings.Builder
	for _, r := range composite {
		rules.WriteString(r.text("alarm_rule"))
	}
	for _, r := range append(metric, composite...) {
		found = append(found, runbookOf(r, r.text("alarm_description"), runbooks)...)
		inRule := strings.Contains(rules.String(), `"`+r.text("alarm_name")+`"`)
		actions, _ := r.at("alarm_actions").([]any)
		if len(actions) == 0 && r.Unknown["alarm_actions"] == nil && !inRule {
			found = append(found, finding(r, "it tells nobody"))
		}
		if r.at("actions_enabled") == false {
			found = append(found, finding(r, "it is switched off"))
		}
	}
	return found
}

// boundedTriggers finds triggers that a record which always fails, or a
// flood, could hold up for ever.
func boundedTriggers(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("aws_lambda_event_source_mapping") {
		partial, _ := json.Marshal(r.at("function_response_types"))
		if !strings.Contains(string(partial), `"ReportBatchItemFailures"`) {
			found = append(found, finding(r, "one failure brings back the whole batch"))
		}
		if r.text("starting_position") == "" { // of a queue, which bounds retries itself
			if n := r.number("scaling_config.0.maximum_concurrency"); n < 2 || n > 1000 {
				found = append(found, finding(r, "nothing bounds how many calls it makes at a time"))
			}
			continue
		}
		if slices.Contains(PatientFunctions, r.Module) {
			if r.number("maximum_retry_attempts") != -1 || r.number("maximum_record_age_in_seconds") != -1 || r.at("destination_config.0") != nil {
				found = append(found, finding(r, "it gives up, and what it gives up is missing in the other cloud"))
			}
			continue
		}
		if n, ok := r.at("maximum_retry_attempts").(float64); !ok || n <= 0 || n > 100 {
			found = append(found, finding(r, "a batch is tried once, or for ever"))
		}
		if n, ok := r.at("maximum_record_age_in_seconds").(float64); !ok || n <= 0 || n > 7*24*3600 {
			found = append(found, finding(r, "a record is tried however old it is"))
		}
		if !r.yes("bisect_batch_on_function_error") {
			found = append(found, finding(r, "one bad record costs its whole batch"))
		}
		if r.text("destination_config.0.on_failure.0.destination_arn") == "" {
			found = append(found, finding(r, "what is given up is lost"))
		}
	}
	return found
}
