package terraformtest

import "encoding/json"

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

// peerCondition returns a change of one key of a trust's condition, which nil takes
// away; another operator has it instead of StringEquals.
func peerCondition(operator, key string, value any) func(map[string]any) {
	return func(values map[string]any) {
		var policy map[string]any
		if err := json.Unmarshal([]byte(values["assume_role_policy"].(string)), &policy); err != nil {
			panic(err)
		}
		condition := follow(policy, "Statement.0.Condition").(map[string]any)
		delete(condition["StringEquals"].(map[string]any), key)
		if value != nil {
			if condition[operator] == nil {
				condition[operator] = map[string]any{}
			}
			condition[operator].(map[string]any)[key] = value
		}
		text, _ := json.Marshal(policy)
		values["assume_role_policy"] = string(text)
	}
}

const (
	scoreRole    = "module.score.aws_iam_role_policy.this"
	rawTrigger   = `module.enrich.aws_lambda_event_source_mapping.stream["raw"]`
	relayTrigger = `module.relay[0].aws_lambda_event_source_mapping.stream["enriched"]`
	peerRole     = `module.peer[0].aws_iam_role.this["beacon"]`
	peerPolicy   = `module.peer[0].aws_iam_role_policy.this["beacon"]`

	federationCheck = "only the other cloud's functions are let in, each to one stream"

	redrive     = `module.enrich.aws_lambda_event_source_mapping.queue["redrive"]`
	beaconAlarm = `module.observability.aws_cloudwatch_metric_alarm.this["beacon-5xx"]`
)

// awsViolations are those of AWS' policies.
var awsViolations = []violation{
	{check: "policies are known", at: scoreRole, what: "unknown policy", alter: func(v map[string]any) { delete(v, "policy") }},
	{check: "no action is a wildcard", at: scoreRole, what: "*", alter: statementChange("policy", "Action", "*")},
	{check: "no action is a wildcard", at: scoreRole, what: "service:*", alter: statementChange("policy", "Action", []string{"dynamodb:*"})},
	{check: "no action is a wildcard", at: scoreRole, what: "Get*", alter: statementChange("policy", "Action", []string{"s3:Get*"})},
	{check: "no action is a wildcard", at: scoreRole, what: "NotAction", alter: statementChange("policy", "NotAction", "s3:GetObject")},
	{
		check: "no action is a wildcard", what: "AWS' own policy",
		added: resource("aws_iam_role_policy_attachment", "admin", map[string]any{"policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
	},
	{check: "no principal is everybody", at: "module.score.aws_iam_role.this", what: "trust in everybody", alter: statementChange("assume_role_policy", "Principal", "*")},
	{check: "no principal is everybody", at: "module.observability.aws_sns_topic_policy.alerts", what: "AWS = *", alter: statementChange("policy", "Principal", map[string]any{"AWS": "*"})},
	{check: "no principal is everybody", at: "module.observability.aws_kms_key.alerts[0]", what: "a key for everybody", alter: statementChange("policy", "Principal", map[string]any{"AWS": []string{"*"}})},
	{
		check: "no principal is everybody", what: "a function for everybody",
		added: resource("aws_lambda_permission", "all", map[string]any{"action": "lambda:InvokeFunction", "principal": "*", "source_arn": "arn:aws:s3:::x"}),
	},
	{
		check: "no principal is everybody", at: "module.beacon.aws_cloudformation_stack.public[0]", what: "past the address",
		alter: func(v map[string]any) {
			v["template_body"] = `{"Resources":{"P":{"Type":"AWS::Lambda::Permission","Properties":{"Action":"lambda:InvokeFunction","Principal":"*"}}}}`
		},
	},
	{
		check: "no service calls for somebody else", what: "any schedule",
		added: resource("aws_lambda_permission", "any", map[string]any{"action": "lambda:InvokeFunction", "principal": "events.amazonaws.com"}),
	},
	{check: "no resource is everything", at: scoreRole, what: "*", alter: statementChange("policy", "Resource", "*")},
	{check: "no resource is everything", at: scoreRole, what: "every table", alter: statementChange("policy", "Resource", []string{"arn:aws:dynamodb:eu-west-1:123456789012:table/*"})},
	{check: "no resource is everything", at: scoreRole, what: "NotResource", alter: statementChange("policy", "NotResource", "arn:aws:s3:::x")},
	{
		check: "only public functions have public addresses", what: "score",
		added: resource("aws_lambda_function_url", "score", map[string]any{"authorization_type": "NONE"}),
	},
	{check: "everything is encrypted at rest", at: "module.raw.aws_kinesis_stream.this", what: "stream", alter: set("encryption_type", "NONE")},
	{check: "everything is encrypted at rest", at: "module.table.aws_dynamodb_table.this", what: "table", alter: set("server_side_encryption.0.enabled", false)},
	{check: "everything is encrypted at rest", at: "module.actions.aws_sqs_queue.this", what: "queue", alter: set("sqs_managed_sse_enabled", false)},
	{check: "everything is encrypted at rest", at: "module.observability.aws_kms_key.alerts[0]", what: "key", alter: set("enable_key_rotation", false)},
	{
		check: "everything is encrypted at rest", what: "topic",
		added: resource("aws_sns_topic", "plain", map[string]any{"name": "plain"}),
	},
	{
		check: "everything is encrypted at rest", what: "bucket",
		added: resource("aws_s3_bucket", "plain", map[string]any{"bucket": "plain"}),
	},
	{check: "everything is encrypted on its way", at: "module.projects.aws_s3_bucket.this", of: "module.projects.aws_s3_bucket_policy.this", what: "bucket", alter: statementChange("policy", "Effect", "Allow")},
	{check: "everything is encrypted on its way", at: "module.edge.aws_cloudfront_distribution.this[0]", what: "clear distribution", alter: set("default_cache_behavior.0.viewer_protocol_policy", "allow-all")},
	{check: "everything is encrypted on its way", at: "module.edge.aws_cloudfront_distribution.this[0]", what: "old TLS", alter: set("viewer_certificate.0.minimum_protocol_version", "TLSv1")},
	{check: "no bucket is public", at: "module.archive_bucket[0].aws_s3_bucket_public_access_block.this", what: "policy", alter: set("block_public_policy", false)},
	{
		check: "no bucket is public", what: "ACL",
		added: resource("aws_s3_bucket_acl", "open", map[string]any{"acl": "public-read"}),
	},
	{
		check: "every function has a role of its own", what: "a function without",
		added: resource("aws_lambda_function", "more", map[string]any{"role": "arn:aws:iam::123456789012:role/admin"}),
	},
	{check: "every function has a role of its own", at: "module.score.aws_iam_role.this", what: "somebody else's too", alter: statementChange("assume_role_policy", "Principal", map[string]any{"Service": []string{"lambda.amazonaws.com", "ec2.amazonaws.com"}})},
	{check: federationCheck, at: peerRole, what: "anybody with an account at Google", alter: statementChange("assume_role_policy", "Condition", nil)},
	{check: federationCheck, at: peerRole, what: "any subject", alter: peerCondition("StringLike", "accounts.google.com:sub", "*")},
	{check: federationCheck, at: peerRole, what: "another subject", alter: peerCondition("StringEquals", "accounts.google.com:sub", "100000000000000000003")},
	{check: federationCheck, at: peerRole, what: "two subjects", alter: peerCondition("StringEquals", "accounts.google.com:sub", []string{"100000000000000000001", "100000000000000000003"})},
	{check: federationCheck, at: peerRole, what: "no audience", alter: peerCondition("StringEquals", "accounts.google.com:oaud", nil)},
	{check: federationCheck, at: peerRole, what: "the other's audience", alter: peerCondition("StringEquals", "accounts.google.com:oaud", "arn:aws:iam::123456789012:role/hito-peer-relay-eu-west-1")},
	{check: federationCheck, at: peerRole, what: "whoever has the token", alter: peerCondition("StringEquals", "accounts.google.com:aud", nil)},
	{check: federationCheck, at: peerRole, what: "an audience if there is one", alter: peerCondition("StringEqualsIfExists", "accounts.google.com:oaud", "x")},
	{check: federationCheck, at: peerRole, what: "somebody else's word", alter: statementChange("assume_role_policy", "Principal", map[string]any{"Federated": "graph.facebook.com"})},
	{check: federationCheck, at: peerRole, what: "another account too", alter: statementChange("assume_role_policy", "Principal", map[string]any{"Federated": "accounts.google.com", "AWS": "210987654321"})},
	{check: federationCheck, at: "module.score.aws_iam_role.this", what: "score's role", alter: statementChange("assume_role_policy", "Principal", map[string]any{"Federated": "accounts.google.com"})},
	{check: federationCheck, at: peerPolicy, what: "the other stream", alter: statementChange("policy", "Resource", "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-enriched")},
	{check: federationCheck, at: peerPolicy, what: "every stream", alter: statementChange("policy", "Resource", "arn:aws:kinesis:eu-west-1:123456789012:stream/hito-*")},
	{check: federationCheck, at: peerPolicy, what: "to read", alter: statementChange("policy", "Action", []string{"kinesis:PutRecords", "kinesis:GetRecords"})},
	{check: federationCheck, at: "module.peer[0]", of: `module.peer[0].aws_iam_role.this["relay"]`, what: "relay shut out"},
	{check: "every queue has a dead letter", at: "module.actions.aws_sqs_queue.this", what: "none", alter: set("redrive_policy", "")},
	{check: "every queue has a dead letter", at: "module.actions.aws_sqs_queue.dead", what: "short", alter: set("message_retention_seconds", 60.0)},
	{check: "every queue has a dead letter", at: "module.actions.aws_sqs_queue.this", what: "elsewhere", alter: set("redrive_policy", `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:nobody","maxReceiveCount":5}`)},
	{check: "every alarm leads to a runbook, and somewhere", at: beaconAlarm, what: "no link", alter: set("alarm_description", "Something is wrong.")},
	{check: "every alarm leads to a runbook, and somewhere", at: beaconAlarm, what: "dead link", alter: set("alarm_description", "Runbook: https://github.com/hitolayer/hito/blob/main/docs/runbooks/nothing.md")},
	{check: "every alarm leads to a runbook, and somewhere", at: beaconAlarm, what: "off", alter: set("actions_enabled", false)},
	{
		check: "every alarm leads to a runbook, and somewhere", what: "silent",
		added: resource("aws_cloudwatch_metric_alarm", "silent", map[string]any{"alarm_name": "silent", "alarm_description": "https://x/docs/runbooks/beacon-5xx.md"}),
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
	{check: "every trigger is bounded", at: relayTrigger, what: "relay gives up after tries", alter: set("maximum_retry_attempts", 100.0)},
	{check: "every trigger is bounded", at: relayTrigger, what: "relay gives up after days", alter: set("maximum_record_age_in_seconds", 604800.0)},
	{check: "every trigger is bounded", at: redrive, what: "concurrency", alter: set("scaling_config", []any{})},
	{check: "every table can be restored", at: "module.table.aws_dynamodb_table.this", what: "no recovery", alter: set("point_in_time_recovery.0.enabled", false)},
}
