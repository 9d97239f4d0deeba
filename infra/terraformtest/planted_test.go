package terraformtest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// violation is a change to a plan that a check must find.
type violation struct {
	check string
	// at is the address of the resource that is changed, which must be the one
	// that is found; empty for one that is added under added's address.
	at    string
	what  string
	alter func(r map[string]any)
	added map[string]any
}

// set returns a change of one attribute; path as Resource.at takes it.
func set(path string, value any) func(map[string]any) {
	return func(values map[string]any) {
		keys := strings.Split(path, ".")
		var at any = values
		for _, key := range keys[:len(keys)-1] {
			at = follow(at, key)
		}
		at.(map[string]any)[keys[len(keys)-1]] = value
	}
}

// statementChange returns a change of a policy's first statement.
func statementChange(attribute, field string, value any) func(map[string]any) {
	return func(values map[string]any) {
		var policy map[string]any
		if err := json.Unmarshal([]byte(values[attribute].(string)), &policy); err != nil {
			panic(err)
		}
		policy["Statement"].([]any)[0].(map[string]any)[field] = value
		text, _ := json.Marshal(policy)
		values[attribute] = string(text)
	}
}

const (
	scoreRole   = "module.score.aws_iam_role_policy.this"
	rawTrigger  = `module.enrich.aws_lambda_event_source_mapping.stream["raw"]`
	redrive     = `module.enrich.aws_lambda_event_source_mapping.queue["redrive"]`
	beaconAlarm = `module.observability.aws_cloudwatch_metric_alarm.this["beacon-5xx"]`
)

var violations = []violation{
	{check: "policies are known", at: scoreRole, what: "unknown policy", alter: func(v map[string]any) { delete(v, "policy") }},
	{check: "no action is a wildcard", at: scoreRole, what: "*", alter: statementChange("policy", "Action", "*")},
	{check: "no action is a wildcard", at: scoreRole, what: "service:*", alter: statementChange("policy", "Action", []string{"dynamodb:*"})},
	{check: "no action is a wildcard", at: scoreRole, what: "Get*", alter: statementChange("policy", "Action", []string{"s3:Get*"})},
	{check: "no action is a wildcard", at: scoreRole, what: "NotAction", alter: statementChange("policy", "NotAction", "s3:GetObject")},
	{
		check: "no action is a wildcard", what: "AWS' own policy",
		added: map[string]any{"address": "aws_iam_role_policy_attachment.admin", "mode": "managed", "type": "aws_iam_role_policy_attachment", "values": map[string]any{"policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"}},
	},
	{check: "no principal is everybody", at: "module.score.aws_iam_role.this", what: "trust in everybody", alter: statementChange("assume_role_policy", "Principal", "*")},
	{check: "no principal is everybody", at: "module.observability.aws_sns_topic_policy.alerts", what: "AWS = *", alter: statementChange("policy", "Principal", map[string]any{"AWS": "*"})},
	{check: "no principal is everybody", at: "module.observability.aws_kms_key.alerts[0]", what: "a key for everybody", alter: statementChange("policy", "Principal", map[string]any{"AWS": []string{"*"}})},
	{
		check: "no principal is everybody", what: "a function for everybody",
		added: map[string]any{"address": "aws_lambda_permission.all", "mode": "managed", "type": "aws_lambda_permission", "values": map[string]any{"action": "lambda:InvokeFunction", "principal": "*", "source_arn": "arn:aws:s3:::x"}},
	},
	{
		check: "no principal is everybody", at: "module.beacon.aws_cloudformation_stack.public[0]", what: "past the address",
		alter: func(v map[string]any) {
			v["template_body"] = `{"Resources":{"P":{"Type":"AWS::Lambda::Permission","Properties":{"Action":"lambda:InvokeFunction","Principal":"*"}}}}`
		},
	},
	{
		check: "no service calls for somebody else", what: "any schedule",
		added: map[string]any{"address": "aws_lambda_permission.any", "mode": "managed", "type": "aws_lambda_permission", "values": map[string]any{"action": "lambda:InvokeFunction", "principal": "events.amazonaws.com"}},
	},
	{check: "no resource is everything", at: scoreRole, what: "*", alter: statementChange("policy", "Resource", "*")},
	{check: "no resource is everything", at: scoreRole, what: "every table", alter: statementChange("policy", "Resource", []string{"arn:aws:dynamodb:eu-west-1:123456789012:table/*"})},
	{check: "no resource is everything", at: scoreRole, what: "NotResource", alter: statementChange("policy", "NotResource", "arn:aws:s3:::x")},
	{
		check: "only public functions have public addresses", what: "score",
		added: map[string]any{"address": "aws_lambda_function_url.score", "mode": "managed", "type": "aws_lambda_function_url", "values": map[string]any{"authorization_type": "NONE"}},
	},
	{check: "everything is encrypted at rest", at: "module.raw.aws_kinesis_stream.this", what: "stream", alter: set("encryption_type", "NONE")},
	{check: "everything is encrypted at rest", at: "module.table.aws_dynamodb_table.this", what: "table", alter: set("server_side_encryption.0.enabled", false)},
	{check: "everything is encrypted at rest", at: "module.actions.aws_sqs_queue.this", what: "queue", alter: set("sqs_managed_sse_enabled", false)},
	{check: "everything is encrypted at rest", at: "module.observability.aws_kms_key.alerts[0]", what: "key", alter: set("enable_key_rotation", false)},
	{
		check: "everything is encrypted at rest", what: "topic",
		added: map[string]any{"address": "aws_sns_topic.plain", "mode": "managed", "type": "aws_sns_topic", "values": map[string]any{"name": "plain"}},
	},
	{
		check: "everything is encrypted at rest", what: "bucket",
		added: map[string]any{"address": "aws_s3_bucket.plain", "mode": "managed", "type": "aws_s3_bucket", "values": map[string]any{"bucket": "plain"}},
	},
	{check: "everything is encrypted on its way", at: "module.projects.aws_s3_bucket.this", what: "bucket", alter: nil}, // see planted
	{check: "everything is encrypted on its way", at: "module.edge.aws_cloudfront_distribution.this[0]", what: "clear distribution", alter: set("default_cache_behavior.0.viewer_protocol_policy", "allow-all")},
	{check: "everything is encrypted on its way", at: "module.edge.aws_cloudfront_distribution.this[0]", what: "old TLS", alter: set("viewer_certificate.0.minimum_protocol_version", "TLSv1")},
	{check: "no bucket is public", at: "module.archive_bucket[0].aws_s3_bucket_public_access_block.this", what: "policy", alter: set("block_public_policy", false)},
	{
		check: "no bucket is public", what: "ACL",
		added: map[string]any{"address": "aws_s3_bucket_acl.open", "mode": "managed", "type": "aws_s3_bucket_acl", "values": map[string]any{"acl": "public-read"}},
	},
	{
		check: "every function has a role of its own", what: "a function without",
		added: map[string]any{"address": "aws_lambda_function.more", "mode": "managed", "type": "aws_lambda_function", "values": map[string]any{"role": "arn:aws:iam::123456789012:role/admin"}},
	},
	{check: "every function has a role of its own", at: "module.score.aws_iam_role.this", what: "somebody else's too", alter: statementChange("assume_role_policy", "Principal", map[string]any{"Service": []string{"lambda.amazonaws.com", "ec2.amazonaws.com"}})},
	{check: "every queue has a dead letter", at: "module.actions.aws_sqs_queue.this", what: "none", alter: set("redrive_policy", "")},
	{check: "every queue has a dead letter", at: "module.actions.aws_sqs_queue.dead", what: "short", alter: set("message_retention_seconds", 60.0)},
	{check: "every queue has a dead letter", at: "module.actions.aws_sqs_queue.this", what: "elsewhere", alter: set("redrive_policy", `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:nobody","maxReceiveCount":5}`)},
	{check: "every alarm leads to a runbook, and somewhere", at: beaconAlarm, what: "no link", alter: set("alarm_description", "Something is wrong.")},
	{check: "every alarm leads to a runbook, and somewhere", at: beaconAlarm, what: "dead link", alter: set("alarm_description", "Runbook: https://github.com/hitolayer/hito/blob/main/docs/runbooks/nothing.md")},
	{check: "every alarm leads to a runbook, and somewhere", at: beaconAlarm, what: "off", alter: set("actions_enabled", false)},
	{
		check: "every alarm leads to a runbook, and somewhere", what: "silent",
		added: map[string]any{"address": "aws_cloudwatch_metric_alarm.silent", "mode": "managed", "type": "aws_cloudwatch_metric_alarm", "values": map[string]any{"alarm_name": "silent", "alarm_description": "https://x/docs/runbooks/beacon-5xx.md"}},
	},
	{check: "every log is kept for so long", at: "module.score.aws_cloudwatch_log_group.this", what: "for ever", alter: set("retention_in_days", 0.0)},
	{check: "every log is kept for so long", at: "module.score.aws_lambda_function.this", what: "Lambda's own", alter: set("logging_config.0.log_group", "/aws/lambda/other")},
	{check: "every trigger is bounded", at: rawTrigger, what: "retries", alter: set("maximum_retry_attempts", -1.0)},
	{check: "every trigger is bounded", at: rawTrigger, what: "no retries", alter: set("maximum_retry_attempts", 0.0)},
	{check: "every trigger is bounded", at: rawTrigger, what: "hours of retries", alter: set("maximum_retry_attempts", 1000.0)},
	{check: "every trigger is bounded", at: rawTrigger, what: "age", alter: set("maximum_record_age_in_seconds", -1.0)},
	{check: "every trigger is bounded", at: rawTrigger, what: "whole batches", alter: set("function_response_types", []any{})},
	{check: "every trigger is bounded", at: rawTrigger, what: "no halves", alter: set("bisect_batch_on_function_error", false)},
	{check: "every trigger is bounded", at: rawTrigger, what: "lost", alter: set("destination_config", []any{})},
	{check: "every trigger is bounded", at: redrive, what: "concurrency", alter: set("scaling_config", []any{})},
	{check: "every table can be restored", at: "module.table.aws_dynamodb_table.this", what: "no recovery", alter: set("point_in_time_recovery.0.enabled", false)},
}

// planted plants every violation, one at a time: its check must find it, and
// nothing else that it did not find before.
func planted(t *testing.T, shown []byte, checks []Check) {
	proved := map[string]bool{}
	unaltered, err := ParsePlan(shown)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Run(v.check+"/"+v.what, func(t *testing.T) {
			var form map[string]any
			if err := json.Unmarshal(shown, &form); err != nil {
				t.Fatal(err)
			}
			root := form["planned_values"].(map[string]any)["root_module"].(map[string]any)
			want := v.at
			switch {
			case v.added != nil:
				resources, _ := root["resources"].([]any)
				root["resources"] = append(resources, v.added)
				want = v.added["address"].(string)
			case v.alter == nil: // of the policy beside it
				change(t, root, "module.projects.aws_s3_bucket_policy.this", statementChange("policy", "Effect", "Allow"))
			default:
				change(t, root, v.at, v.alter)
			}
			altered, err := json.Marshal(form)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := ParsePlan(altered)
			if err != nil {
				t.Fatal(err)
			}
			for _, check := range checks {
				if check.Name != v.check {
					continue
				}
				proved[check.Name] = true
				before := check.Run(unaltered)
				found := slices.DeleteFunc(check.Run(plan), func(f Finding) bool { return slices.Contains(before, f) })
				if len(found) == 0 {
					t.Fatal("not found")
				}
				for _, f := range found {
					if f.Address != want {
						t.Errorf("found %s, want only %s", f, want)
					}
				}
			}
		})
	}
	for _, check := range checks {
		if !proved[check.Name] {
			t.Errorf("nothing proves that %q finds anything", check.Name)
		}
	}
}

// change changes a resource's values in a module of a plan.
func change(t *testing.T, module map[string]any, address string, alter func(map[string]any)) {
	t.Helper()
	if !changeIn(module, address, alter) {
		t.Fatalf("the plan has no %s to change", address)
	}
}

func changeIn(module map[string]any, address string, alter func(map[string]any)) bool {
	resources, _ := module["resources"].([]any)
	for _, r := range resources {
		if r := r.(map[string]any); r["address"] == address {
			alter(r["values"].(map[string]any))
			return true
		}
	}
	children, _ := module["child_modules"].([]any)
	for _, c := range children {
		if changeIn(c.(map[string]any), address, alter) {
			return true
		}
	}
	return false
}
